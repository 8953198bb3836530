"""Videos and annotations in reverse."""
