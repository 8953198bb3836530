"""opentad_bi: understanding untrimmed video, forward and backward."""

__version__ = "0.1.0"
