"""The datasets of opentad_bi; importing this package registers them."""
