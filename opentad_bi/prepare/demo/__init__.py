"""Generated data sets for demonstrations and tests."""
