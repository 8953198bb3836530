"""Command lines: each module has `parser()`, `run(args)` and `main(argv=None)`, which give an exit code.

The files in tools/ are shells of them.
"""
