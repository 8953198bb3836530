"""How the package is built, in numbers, as a table: python benchmarks/structure.py [--root CHECKOUT].

A module is a Python file of opentad_bi that is no `__init__.py`. Lines of code are those with more on them than
comments and docstrings. An importer of a module is another module that imports it or a name of it, perhaps through a
package; an `__init__.py` is none. A function is annotated if all its parameters (`self` and `cls` aside) and its return
are; it is public if neither its name nor that of a class around it begins with "_" (`__init__` is no private name), and
it stands in no other function. A leaf is a config that is not in `_base_`; behind it are itself and all its bases.

The files that a batch passes are those of opentad_bi in which a function is entered from the moment that a training
batch of a pair with a fusion (experiment 3-2 of the demonstration) is asked for until its optimizers and the average
have stepped, with no workers. For this a process of its own trains a small pair with the checkout's code.
"""

import argparse
import ast
import inspect
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import tokenize
from collections import Counter
from fractions import Fraction
from pathlib import Path

PACKAGE = "opentad_bi"
CONFIG, FRAMES, SIZE = "demo/pair_exp3_2.py", 150, 48
SILENT = {getattr(tokenize, kind) for kind in ("COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER")}


def code_lines(source, tree):
    """Numbers of the lines of a source file that hold code."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in SILENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def functions(node, public=True):
    """(function, is it public?) of all functions below `node`."""
    for child in ast.iter_child_nodes(node):
        name = getattr(child, "name", "")
        own = public and (not name.startswith("_") or name == "__init__")
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child, own
            yield from functions(child, False)
        else:
            yield from functions(child, own if isinstance(child, ast.ClassDef) else public)


def annotated(function):
    """Are all parameters and the return of a function annotated?"""
    own = function.args
    given = [*own.posonlyargs, *own.args, *own.kwonlyargs, own.vararg, own.kwarg]
    named = [one for one in given if one is not None and one.arg not in ("self", "cls")]
    return function.returns is not None and all(one.annotation is not None for one in named)


def importers(trees):
    """{path of a module: paths of its importers} of the files {path: tree}; paths are relative to the checkout."""
    files = {module_name(path): path for path in trees}
    imports = {path: list(imported(path, tree)) for path, tree in trees.items()}

    def resolve(parts, seen=()):
        """The file that a dotted name means, followed through the packages that pass it on."""
        if parts in files:
            return files[parts]
        package = files.get(parts[:-1])
        if package is None or package.name != "__init__.py" or parts in seen:
            return package
        passed = next((target for target, name in imports[package] if name == parts[-1]), None)
        return resolve(passed, (*seen, parts)) if passed else package

    found = {path: set() for path in trees if path.name != "__init__.py"}
    for path in found:
        for target, _ in imports[path]:
            other = resolve(target)
            if other in found and other != path:
                found[other].add(path)
    return found


def module_name(path):
    """Parts of the dotted name of a file; a package has that of its folder."""
    parts = path.with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imported(path, tree):
    """(parts of the dotted name, name in the importing file) of what a file imports from the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            above = path.with_suffix("").parts[: -node.level] if node.level else ()
            base = (*above, *(node.module or "").split(".")) if node.module else above
            if base[:1] == (PACKAGE,):
                yield from (((*base, alias.name), alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            names = ((tuple(alias.name.split(".")), alias.asname or alias.name) for alias in node.names)
            yield from (pair for pair in names if pair[0][0] == PACKAGE)


def config_chain(path, chain=None):
    """The file of a config and of all its bases, each once."""
    chain = {} if chain is None else chain
    if path not in chain:
        chain[path] = path.read_text(encoding="utf-8")
        for node in ast.parse(chain[path]).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_base_":
                bases = ast.literal_eval(node.value)
                for base in [bases] if isinstance(bases, str) else bases:
                    config_chain((path.parent / base).resolve(), chain)
    return chain


def share(part, whole):
    return f"{part} of {whole} ({100 * part / max(whole, 1):.0f} %)"


def package_rows(root):
    """(measure, value) of the source files."""
    paths = sorted(path.relative_to(root) for path in (root / PACKAGE).rglob("*.py"))
    texts = {path: (root / path).read_text(encoding="utf-8") for path in paths}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    code = {path: len(code_lines(texts[path], tree)) for path, tree in trees.items()}
    length = {path: len(text.splitlines()) for path, text in texts.items()}
    modules = [path for path in paths if path.name != "__init__.py"]
    folder, fullest = Counter(path.parent for path in modules).most_common(1)[0]
    longest = max(modules, key=length.get)
    every = [(path, *found) for path, tree in trees.items() for found in functions(tree)]
    place, function, _ = max(every, key=lambda row: row[1].end_lineno - row[1].lineno)
    public = [function for _, function, is_public in every if is_public]
    calls = (node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.Call))
    asked = sum(isinstance(node.func, ast.Name) and node.func.id in ("hasattr", "getattr") for node in calls)
    once = sum(len(found) == 1 for found in importers(trees).values())
    return [
        ("modules", len(modules)),
        ("lines of code of a module, median", f"{statistics.median(code[path] for path in modules):g}"),
        ("modules of at most 50 lines of code", share(sum(code[path] <= 50 for path in modules), len(modules))),
        ("modules in the fullest folder", f"{fullest} (`{folder}`)"),
        ("longest module, lines", f"{length[longest]} (`{longest}`)"),
        ("longest function, lines", f"{function.end_lineno - function.lineno + 1} (`{place}`: `{function.name}`)"),
        ("modules with one importer", share(once, len(modules))),
        ("lines, all files", f"{sum(length.values()):,}"),
        ("lines of code, all files", f"{sum(code.values()):,}"),
        ("functions with all annotations", share(sum(annotated(function) for _, function, _ in every), len(every))),
        ("public functions with all annotations", share(sum(map(annotated, public)), len(public))),
        ("calls of `hasattr` and `getattr`", asked),
    ]


def config_rows(root):
    """(measure, value) of the configs."""
    leaves = [path.resolve() for path in (root / "configs").rglob("*.py") if "_base_" not in path.parts]
    chains = [config_chain(path) for path in leaves]
    references = [sum(text.count("${") for text in chain.values()) for chain in chains]
    return [
        ("leaf configs", len(leaves)),
        ("files behind a leaf config, median", f"{statistics.median(map(len, chains)):g}"),
        ("`${...}` behind a leaf config, median", f"{statistics.median(references):g}"),
    ]


def passed_files(root):
    """Files of the package at `root` that one training batch of a pair passes, found by a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--root", str(root), "--trace"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the training of a pair failed with the code of {root}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def make_videos(folder):
    """Four short training videos and a test video with two actions each, in the layout of the demonstration."""
    import av
    import numpy as np

    for name in ("annotations", "raw_data"):
        (folder / name).mkdir()
    rng, database = np.random.default_rng(0), {}
    for number in range(5):
        with av.open(str(folder / "raw_data" / f"v{number}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=Fraction(25))
            stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
            for _ in range(FRAMES):
                image = rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
        database[f"v{number}"] = {
            "subset": "training" if number < 4 else "validation",
            "duration": FRAMES / 25,
            "frame": FRAMES,
            "annotations": [{"segment": [1 + 2 * k, 2 + 2 * k], "label": f"Class{k}"} for k in range(2)],
        }
    (folder / "annotations" / "thumos_14_anno.json").write_text(json.dumps({"database": database}))
    (folder / "annotations" / "category_idx.txt").write_text("Class0\nClass1")


def trace(root):
    """Print the files of the package that the second batch of a small pair passes, as JSON."""
    import torch

    from opentad_bi.config import load_config
    from opentad_bi.engine import Runner
    from opentad_bi.engine.hooks import Hook

    inside, entered = str(root / PACKAGE) + os.sep, set()

    def enter(frame, event, _):
        code = frame.f_code  # bodies of modules and classes are not optimised
        if event == "call" and code.co_flags & inspect.CO_OPTIMIZED and code.co_filename.startswith(inside):
            entered.add(code.co_filename)

    class Tracer(Hook):
        """Watches from the end of the first iteration to that of the second."""

        def after_iter(self, runner):
            sys.setprofile(enter if runner.iteration == 1 else None)
            threading.setprofile(enter if runner.iteration == 1 else None)
            runner.stop = None if runner.iteration == 1 else "one batch is enough"

    with tempfile.TemporaryDirectory() as temporary:
        make_videos(Path(temporary))
        values = {"data_root": temporary, "window_size": 64, "max_seq_len": 64, "image_size": SIZE, "num_classes": 2}
        cfg = load_config(root / "configs" / CONFIG, values | {"branch.load_required": False})
        cfg.solver.train.update(num_workers=0, batch_size=2)
        runner = Runner(cfg, work_dir=Path(temporary), device=torch.device("cpu"))
        runner.hooks = [Tracer()]
        runner.train()
    print(json.dumps(sorted(str(Path(file).relative_to(root)) for file in entered)))


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parents[1]
    parser.add_argument("--root", type=Path, default=here, help="the checkout to measure (the one of this file)")
    parser.add_argument("--files", action="store_true", help="list the files that the batch passes, too")
    parser.add_argument("--trace", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    root = args.root.resolve()
    if args.trace:
        trace(root)
        return
    passed = passed_files(root)
    rows = [*package_rows(root), *config_rows(root), ("files that a paired batch passes", len(passed))]
    print("| measure | value |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    if args.files:
        print("\n" + "\n".join(passed))


if __name__ == "__main__":
    main()
