"""Making data: reversed videos and annotations, demonstration sets, untrimmed videos from trimmed clips."""
