"""What the data sets of all families share."""
