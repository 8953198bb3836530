"""What metrics of all families share."""
