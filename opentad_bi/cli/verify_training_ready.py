"""Is all ready for a training?  A line for each of captions, boxes, files, weights, a trial step, memory, disk.

Exit code 0: nothing is in the way; 1: something is, and the line says what to do.
"""

import json
from dataclasses import asdict

import torch

from ..config import load_config, parse_overrides
from ..utils.checks import has_errors, result_table
from ._readiness import readiness
from .common import Parser, add_config_arguments, add_device_arguments, command


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    add_config_arguments(cli)
    cli.add_argument("--json", action="store_true", help="print the results as JSON")
    cli.add_argument("--fast", action="store_true", help="decode no frames and build no model")
    cli.add_argument("--workers", type=int, default=4, help="files opened at the same time")
    add_device_arguments(cli)
    return cli


def run(args):
    """Print the results; returns 1 if one of them is an error."""
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    torch.manual_seed(args.seed)
    device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    results = readiness(cfg, device, full=not args.fast, workers=args.workers)
    failed = has_errors(results)
    if args.json:
        print(json.dumps({"ready": not failed, "results": [asdict(result) for result in results]}, indent=2))
    else:
        print(result_table(results))
    return int(failed)


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)
