"""Train with K videos per class, for several K and several draws of them, and tell mean and spread on the test set.

Every pair (K, seed) is a run of its own below WORK_DIR/few_shot; typed again, the command leaves out what is finished
and goes on with what is not. A run of other data or weights is refused, numbers of another test set are made anew. The
tables few_shot.txt, few_shot.csv and few_shot.json lie there too.
"""

from pathlib import Path

import pandas as pd

from ..config import load_config, parse_overrides
from ..errors import some
from ..evaluation.common.tables import numbers_table
from ..utils.files import atomic, write_json, write_text
from ..utils.logging import LOGGER
from ._trained_runs import Run, needs_keys, read_numbers, refuse_many_processes, run_name
from .common import Parser, add_config_arguments, add_device_argument, command, make_writable


def parser():
    """The arguments of the command."""
    cli = Parser(__doc__)
    add_config_arguments(cli)
    cli.add_argument("--shots", nargs="+", type=int, metavar="K", default=[1, 2, 4, 8, 16], help="videos of a class")
    cli.add_argument("--seeds", nargs="+", type=int, metavar="S", default=[0, 1, 2], help="of draw and training")
    cli.add_argument(
        "--val-shots", type=int, metavar="N", help="videos of a class to validate on (default: K, up to 4)"
    )
    cli.add_argument("--work_dir", help="folder for runs (default: the config's work_dir)")
    add_device_argument(cli)
    return cli


def run(args):
    """Train and evaluate every pair, and write the tables; returns 0, or the exit code of what ended early."""
    refuse_many_processes("start it several times side by side, each with other --shots, and whole for the table")
    check_numbers("--shots", args.shots, lowest=1)
    check_numbers("--seeds", args.seeds, lowest=0)
    check_numbers("--val-shots", [] if args.val_shots is None else [args.val_shots], lowest=1)
    present = needs_keys(args.config, ("K_train", "K_val", "draw_seed"), "a draw of videos")
    folder = Path(args.work_dir or load_config(args.config, parse_overrides(args.cfg_options)).work_dir) / "few_shot"
    make_writable(folder, "--work_dir")
    runs = {(shots, seed): make_run(args, present, folder, shots, seed) for shots in args.shots for seed in args.seeds}
    for planned in runs.values():  # what is wrong with one shows before hours of training
        planned.refuse_another()
        for split in ("train", "val"):
            planned.dataset(split)
    for (shots, seed), planned in runs.items():
        changes = planned.outdated()
        if not changes:
            LOGGER.info("K=%d, seed %d: finished, %s", shots, seed, planned.numbers)
            continue
        if planned.numbers.is_file():
            LOGGER.warning("K=%d, seed %d: %s is made anew: %s", shots, seed, planned.numbers, some(changes))
        if code := planned.train() or planned.test():
            return code
    write_tables(folder, args.config, runs)
    return 0


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)


def check_numbers(option, values, *, lowest):
    """ValueError for a number that is too low or stands there twice."""
    for value in values:
        if value < lowest:
            raise ValueError(f"{option} {value} must be at least {lowest}")
        if values.count(value) > 1:
            raise ValueError(f"{option} has {value} twice")


def make_run(args, present, folder, shots, seed):
    """The `Run` of one pair; `present` are the top-level keys of the config."""
    name = f"K{shots}_seed{seed}"
    val_shots = min(shots, 4) if args.val_shots is None else args.val_shots
    keys = {"K_train": shots, "K_val": val_shots, "draw_seed": seed}
    keys |= {"val_share": 0.0, "run_id": run_name(args, name)}
    keys = {key: value for key, value in keys.items() if key in present}
    return Run(args, folder / name, keys, seed)


def write_tables(folder, config, runs):
    """Write few_shot.txt, few_shot.csv and few_shot.json, and show the first."""
    rows = [{"shots": k, "seed": seed} | read_numbers(planned.numbers) for (k, seed), planned in runs.items()]
    frame = pd.DataFrame(rows)
    summary = summarise(frame)
    with atomic(folder / "few_shot.csv") as temporary:
        summary.to_csv(temporary, index=False)
    plain = [{k: None if pd.isna(v) else v for k, v in row.items()} for row in summary.to_dict("records")]
    write_json(folder / "few_shot.json", {"config": config, "runs": rows, "summary": plain})
    text = table(summary)
    write_text(folder / "few_shot.txt", text + "\n")
    LOGGER.info("%s\n%s", folder / "few_shot.txt", text)


def summarise(frame):
    """Mean and standard deviation (n - 1) over the seeds, one row per K.

    Args:
        frame: DataFrame of runs with `shots`, `seed` and numbers.
    Returns:
        DataFrame: shots, seeds (how many), <number>_mean, <number>_std (NaN of a single seed).
    """
    grouped = frame.drop(columns="seed").groupby("shots")
    told = grouped.agg(["mean", "std"])
    told.columns = [f"{name}_{what}" for name, what in told.columns]
    told.insert(0, "seeds", grouped.size())
    return told.reset_index()


def table(summary):
    """Text of `summarise`'s rows, in percent."""
    names = [name.removesuffix("_mean") for name in summary if name.endswith("_mean")]
    rows = [
        ((row["shots"], row["seeds"]), {name: (row[f"{name}_mean"], row[f"{name}_std"]) for name in names})
        for row in summary.to_dict("records")
    ]
    return numbers_table(("shots", "seeds"), rows, _spread)


def _spread(told):
    mean, std = told
    return f"{100 * mean:.2f}" + ("" if pd.isna(std) else f" +- {100 * std:.2f}")
