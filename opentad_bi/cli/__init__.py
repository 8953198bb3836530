"""The command line: `main` has the table of commands, `arguments` their options, the other modules do the work."""

import sys

if sys.argv[:1] == ["-m"]:  # python -m opentad_bi.cli.NAME, whose modules are not commands themselves
    sys.exit("the commands are those of `opentad-bi`, or `python -m opentad_bi`; --help lists them")
