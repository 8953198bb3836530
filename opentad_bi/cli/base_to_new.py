"""Train on the first half of the classes, and evaluate on those and on the other half, which training never saw.

The base classes are the first half of the labels, rounded up, the new ones the rest; either is told apart among its own
classes alone. The harmonic mean of both accuracies goes with them (CoCoOp, Zhou et al., CVPR 2022). All files lie in
WORK_DIR/base_to_new/seed<SEED>.
"""

from pathlib import Path

from ..config import load_config, parse_overrides
from ..engine.warm_start import file_classes
from ..evaluation.common.tables import numbers_table
from ..registry import MODELS
from ..utils.files import write_json
from ..utils.logging import LOGGER
from ..utils.weight_files import load_checkpoint
from ._trained_runs import Run, needs_keys, read_numbers, refuse_many_processes, run_name
from .common import Parser, add_config_arguments, add_device_arguments, command, make_writable

BASE, NEW = "base", "new"


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    add_config_arguments(cli)
    add_device_arguments(cli)
    cli.add_argument(
        "--checkpoint", metavar="P", help="weights learned on the base classes (default: they are trained)"
    )
    cli.add_argument("--work_dir", help="folder for runs (default: the config's work_dir)")
    cli.add_argument("--out", metavar="JSON", help="the numbers (default: base_to_new.json in the folder of the run)")
    return cli


def run(args):
    """Train if need be, evaluate twice, write the numbers; returns 0, or the exit code of what ended early."""
    refuse_many_processes("train by tools/train.py with protocol=base, and give its weights as --checkpoint")
    present = needs_keys(args.config, ("protocol", "protocol_count"), "a choice of classes")
    folder = Path(args.work_dir or load_config(args.config, parse_overrides(args.cfg_options)).work_dir)
    folder = folder / "base_to_new" / f"seed{args.seed}"
    out = Path(args.out or folder / "base_to_new.json")
    for place, option in ((folder, "--work_dir"), (out.parent, "--out")):
        make_writable(place, option)
    named = {"run_id": run_name(args, f"{BASE}_seed{args.seed}")} if "run_id" in present else {}
    both = Run(args, folder, {**named, **protocol(BASE)}, args.seed)
    check_classes(both, args.checkpoint)
    if args.checkpoint is None:
        both.refuse_another()
        if code := both.train():
            return code
    for name in (BASE, NEW):
        if code := both.test(folder / f"{name}.json", keys=protocol(name), checkpoint=args.checkpoint):
            return code
    tell(out, {name: read_numbers(folder / f"{name}.json") for name in (BASE, NEW)})
    return 0


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)


def protocol(name):
    """Keys of the config for the base classes or the new ones."""
    return {"protocol": name, "protocol_count": None}


def check_classes(both, checkpoint=None):
    """Make sure that what is learned of the base classes may serve the new ones, and was learned of them alone.

    Args:
        both: the `Run`.
        checkpoint: weights that are there.
    Raises:
        ValueError: learned vectors belong to classes; the checkpoint was learned on other classes.
    """
    base, new = (both.dataset("test", protocol(name)).classes for name in (BASE, NEW))
    model = MODELS.build(both.config(protocol(NEW)).model, classes=new)
    if not getattr(model, "open_vocabulary", False):
        raise ValueError(
            f"{both.args.config}: what this model learns belongs to the classes it is trained on and cannot "
            "be used for others; share the context among the classes (csc=False, no class_init)"
        )
    names = file_classes(load_checkpoint(checkpoint)) if checkpoint else None
    if names and names != list(map(str, base)):
        seen = [name for name in names if name in new]
        why = f"{seen[0]!r}, for one, is a new one here" if seen else f"they begin with {names[0]!r}, not {base[0]!r}"
        raise ValueError(
            f"{checkpoint} was learned on {len(names)} classes that are not the {len(base)} base ones: {why}"
        )


def harmonic_mean(base, new):
    """2bn / (b + n) of two shares; 0 where both are 0."""
    return 2 * base * new / (base + new) if base + new else 0.0


def tell(out, numbers):
    """Write {"base", "new", "harmonic_mean"} of {name: numbers}, and show them as a table."""
    both = [own.get("top1") for own in numbers.values()]
    mean = None if None in both else harmonic_mean(*both)
    write_json(out, {**numbers, "harmonic_mean": mean})
    rows = [((which,), own) for which, own in numbers.items()]
    LOGGER.info("%s\n%s", out, numbers_table(("classes",), [*rows, (("harmonic mean",), {"top1": mean})]))
