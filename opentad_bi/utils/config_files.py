"""Where config files lie, and the files that a config is made of."""

import difflib
import functools
import tempfile
from pathlib import Path, PurePath

from mmengine.config import Config

from .files import read_text, walk_files
from .logging import LOGGER

_PACKAGE = Path(__file__).resolve().parents[1]
# {part of version 0.1.0: the one that holds what it said}: accepted as a base in this version
JOINED = {
    "_base_/prompts/ucf_crime_frames.py": "_base_/datasets/ucf_crime_videos.py",
    "_base_/schedules/coop.py": "_base_/models/feature_prompts.py",
    "_base_/schedules/fg_clip.py": "_base_/models/fg_clip.py",
    "_base_/schedules/prompt_tuning.py": "_base_/models/video_clip.py",
}


def config_root() -> Path:
    """The folder of the shipped configs: inside the package where it was installed, else beside it in a checkout."""
    inside = _PACKAGE / "configs"
    return inside if inside.is_dir() else _PACKAGE.parent / "configs"


def shipped_configs() -> list[Path]:
    """The shipped configs that can be run, without the parts in `_base_`: paths below `config_root()`, sorted."""
    root = config_root()
    paths = (path.relative_to(root) for path in walk_files(root, (".py",)))
    return sorted(path for path in paths if "_base_" not in path.parts)


def find_config(name: str | Path) -> Path:
    """The file of a config.

    Args:
        name: the path of a file, from the working directory, which comes first; or the path of a shipped config below
            `configs/`, with or without that folder and the suffix, such as "demo/pair_exp1"; or its last part alone,
            "pair_exp1", where only one config that can be run has it.
    Raises:
        ValueError: several shipped configs have this last part; names them.
        FileNotFoundError: there is none; names the nearest, and where they were looked for.
    """
    if Path(name).is_file():
        return Path(name)
    root, parts = config_root(), PurePath(name).parts
    below = PurePath(*parts[1:]) if parts[:1] == ("configs",) else PurePath(name)
    if not below.is_absolute():
        for path in (root / below, root / f"{below}.py"):
            if path.is_file():
                return path
    stem, known = below.name.removesuffix(".py"), shipped_configs()
    same = [path for path in known if path.stem == stem] if len(below.parts) == 1 else []
    if len(same) > 1:
        names = ", ".join(path.with_suffix("").as_posix() for path in same)
        raise ValueError(f"config {name} may be any of {names}; give it with its folder")
    if same:
        return root / same[0]
    raise FileNotFoundError(f"config {name} does not exist; looked in {Path.cwd()} and {root}{_nearest(below, known)}")


def _nearest(below, known):
    """A hint: the shipped configs whose path, or last part, is most like that of `below`."""
    whole = {path.with_suffix("").as_posix(): path for path in known}
    last = {}
    for name, path in whole.items():
        last.setdefault(path.stem, []).append(name)
    text = below.as_posix().removesuffix(".py")
    near = difflib.get_close_matches(text, whole, n=3, cutoff=0.7)
    near += [name for stem in difflib.get_close_matches(below.stem, last, n=2, cutoff=0.7) for name in last[stem]]
    near = list(dict.fromkeys(near))[:4]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def config_chain(path: str | Path) -> list[Path]:
    """The files that the config at `path` is made of, in the order in which they are merged.

    The bases of a file come before it, in the order in which it names them; but one that only an earlier part stands
    for (`JOINED`) says more than that part did, and comes before the others. A file that several of them are based on
    is merged once, where it comes first.

    Returns:
        list of absolute Path; the last is the config itself.
    Raises:
        FileNotFoundError: one of them does not exist.
        ValueError: files are based on each other in a circle.
        SyntaxError: one is not valid Python.
    """
    chain: list[Path] = []
    pending: list[Path] = []

    def visit(file):
        if file in pending:
            circle = " -> ".join(map(str, [*pending[pending.index(file) :], file]))
            raise ValueError(f"configs are based on each other in a circle: {circle}")
        if file not in chain:
            pending.append(file)
            bases = [_find_base(base, file) for base in _bases(file)]
            named = [base for base, joined in bases if not joined]
            besides = [base for base, joined in bases if joined and base not in named]
            for base in (*besides, *named):
                visit(base)
            chain.append(pending.pop())

    visit(Path(path).absolute())
    return chain


def _bases(file):
    """What `_base_` says in a config, after the variables of mmengine such as {{ fileDirname }} are filled in."""
    if "_base_" not in read_text(file, "config"):
        return []
    with tempfile.TemporaryDirectory() as folder:
        copy = str(Path(folder, f"config{file.suffix}"))
        Config._substitute_predefined_vars(str(file), copy)
        Config._substitute_env_variables(copy, copy)
        Config._pre_substitute_base_vars(copy, copy)
        return Config._get_base_files(copy)


def _find_base(base, file):
    """The file that `base` names in the config `file`: seen from there, else among the shipped ones.

    Returns:
        its Path, and whether it stands for an earlier part, see `JOINED`.
    """
    if "::" in base:  # of another package
        return Path(Config._get_cfg_path(base, str(file))[0]), False
    beside = file.parent / base
    if beside.is_file():
        return Path(beside).resolve(), False
    for earlier, now in JOINED.items():
        if PurePath(base).as_posix().endswith(earlier):
            _log_joined(earlier, now)
            beside = Path(beside.as_posix().removesuffix(earlier) + now)
            return (beside if beside.is_file() else config_root() / now).resolve(), True
    parts = list(PurePath(base).parts)
    while parts and parts[0] in ("..", "."):  # of a shipped config that was copied elsewhere
        del parts[0]
    try:
        return find_config(Path(base) if Path(base).is_absolute() else PurePath(*parts)).absolute(), False
    except FileNotFoundError as error:
        raise FileNotFoundError(f"config {file} is based on {base}, which is not beside it; {error}") from error


@functools.cache
def _log_joined(earlier, now):
    """Log once per process that a part of the shipped configs is now in another one."""
    LOGGER.warning("the part %s of the configs is now in %s; the next version will not accept the earlier name",
                   earlier, now)  # fmt: skip
