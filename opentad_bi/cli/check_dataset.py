"""Check the data sets of a config before training: annotation, class map, and every video or feature file.

Every file is read and every frame decoded, unless --fast is given. Exit code 0: all was checked, there are no errors;
1: there are errors, or something cannot be checked, which a line "not checked" says.
"""

import logging
from pathlib import Path

from tqdm import tqdm

from ..config import dataset_config, load_config, parse_overrides
from ..datasets.common.check import unwrap
from ..datasets.detection.annotation import write_class_map
from ..datasets.detection.check import check_dataset
from ..utils.checks import WARNING, has_errors, result_table
from ..utils.logging import is_strict
from ._data_check import TRAIN, check_reach
from .common import Parser, add_config_arguments, add_strict_argument, command


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    add_config_arguments(cli)
    cli.add_argument("--fast", action="store_true", help="annotation, presence of files and some headers; decode none")
    cli.add_argument("--split", nargs="+", metavar="S", help="which of train, val, test (default: all there are)")
    cli.add_argument("--workers", type=int, default=4, help="files opened at the same time")
    cli.add_argument(
        "--write-class-map", action="store_true", help="make missing class maps from the labels of the annotation"
    )
    add_strict_argument(cli)
    return cli


def run(args):
    """Check and print the results; returns 1 for errors and what cannot be checked, with --strict for any result."""
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    splits = cfg.to_dict()["dataset"]
    names = args.split or [name for name in splits if name != "wrap"]
    datasets = {name: dataset_config(splits, name) for name in names}
    failed = False
    for name, dataset in datasets.items():
        if args.write_class_map:
            make_class_map(unwrap(dataset)[0])
        results = check_dataset(dataset, full=not args.fast, workers=args.workers, progress=_progress(name))
        if name == TRAIN and "model" in cfg and not has_errors(results):
            results += check_reach(cfg)
        print(f"{name}:\n{result_table(results)}\n")
        failed = failed or any(is_strict() or result.level != WARNING for result in results)
    return int(failed)


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)


def make_class_map(cfg):
    """Write the class map that a dataset config names, if it is not there."""
    path = Path(cfg["class_map"])
    if not path.is_file():
        classes = write_class_map(cfg["ann_file"], path)
        logging.getLogger(__name__).info("%s: %d classes written", path, len(classes))


def _progress(name):
    return lambda jobs, total: tqdm(jobs, total=total, desc=name, leave=False)
