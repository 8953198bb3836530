"""Metrics, and pictures of results. The modules that register a metric are listed in `registry.METRICS`."""
