"""Check the data sets of a config before training: annotation, class map, and every video or feature file."""

import argparse
import logging
from pathlib import Path

from tqdm import tqdm

from ..config import load_config, parse_overrides
from ..datasets.annotation import write_class_map
from ..datasets.check import check_dataset, table, unwrap
from .common import run_command


def parser():
    """The arguments of the command."""
    cli = argparse.ArgumentParser(prog="check_dataset.py", description=__doc__)
    cli.add_argument("config", help="Python config file")
    cli.add_argument("--fast", action="store_true", help="annotation and presence of files only; open none")
    cli.add_argument("--subset", nargs="+", metavar="S", help="which of train, val, test (default: all there are)")
    cli.add_argument("--workers", type=int, default=4, help="files opened at the same time (4)")
    cli.add_argument(
        "--write-class-map", action="store_true", help="make missing class maps from the labels of the annotation"
    )
    cli.add_argument(
        "--cfg-options", nargs="+", default=[], metavar="a.b=v", help="overrides of existing keys of the config"
    )
    return cli


def main(argv=None):
    """Check and print the findings; returns 1 if there are errors."""
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    return run_command(lambda: run(args))


def run(args):
    """The work of the command."""
    cfg = load_config(args.config, parse_overrides(args.cfg_options)).to_dict()["dataset"]
    wrap = cfg.pop("wrap", None)
    for name in args.subset or ():
        if name not in cfg:
            raise KeyError(f"--subset {name!r}: the config has {', '.join(cfg)}")
    failed = False
    for name in args.subset or cfg:
        if args.write_class_map:
            make_class_map(unwrap(cfg[name])[0])
        dataset = {**wrap, "dataset": cfg[name]} if wrap else cfg[name]
        findings = check_dataset(dataset, full=not args.fast, workers=args.workers, progress=_progress(name))
        print(f"{name}:\n{table(findings)}\n")
        failed = failed or any(finding.level == "error" for finding in findings)
    return int(failed)


def make_class_map(cfg):
    """Write the class map that a dataset config names, if it is not there."""
    path = Path(cfg["class_map"])
    if not path.is_file():
        classes = write_class_map(cfg["ann_file"], path)
        logging.getLogger(__name__).info("%s: %d classes written", path, len(classes))


def _progress(name):
    return lambda jobs, total: tqdm(jobs, total=total, desc=name, leave=False)
