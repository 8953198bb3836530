"""Command lines: each module has `main(argv=None)`; the files in tools/ are shells of them."""
