"""Towers of CLIP models, over open_clip."""
