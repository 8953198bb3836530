"""The house keeps its order: floors, sizes, registrations, docstrings, configs as small edits."""

import ast
import functools
import importlib
import inspect
import re
import subprocess
import sys

import pytest
from places import ROOT

from opentad_bi import registry

PACKAGE = ROOT / "opentad_bi"
SOURCES = sorted(PACKAGE.rglob("*.py"))
CODE = [*SOURCES, *(path for folder in ("tools", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))]
CONFIGS = sorted((ROOT / "configs").rglob("*.py"))
FLOORS = {
    **dict.fromkeys(("__init__", "registry", "config", "contracts", "errors", "utils"), 0),
    "ops": 1,
    **dict.fromkeys(("engine", "models", "datasets", "evaluation", "prepare"), 2),
    **dict.fromkeys(("apis", "cli", "__main__"), 3),
}
# rooms of a family, by layer; what is not named here is shared by all families of the layer
FAMILIES = {
    "datasets": {room: room for room in ("detection", "feature_prompts", "video_prompts", "video_anomaly")},
    "models": {
        **dict.fromkeys(("detectors", "backbones", "projections", "necks", "heads", "fusions"), "detection"),
        "classifiers": "classifiers",
        "video_anomaly": "video_anomaly",
    },
    "evaluation": {room: room for room in ("detection", "classification", "anomaly")},
    "prepare": {room: room for room in ("reverse", "demo")},
}
MAX_FILE, MAX_FUNCTION, MAX_SHELL, MAX_LEAF, MAX_DEPTH = 600, 60, 15, 40, 3
MAX_FOLDER = 20


def short(path):
    return str(path.relative_to(ROOT))


@functools.cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(path):
    """Dotted names below `opentad_bi` that a module of the package imports, wherever in it that stands."""
    here = path.relative_to(PACKAGE).with_suffix("").parts
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = here[: len(here) - node.level]
            inner = (*above, *(node.module or "").split(".")) if node.module else above
            yield from ((*inner, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "opentad_bi":
            yield from ((*node.module.split(".")[1:], alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            names = (alias.name.split(".") for alias in node.names)
            yield from (tuple(parts[1:]) or ("__init__",) for parts in names if parts[0] == "opentad_bi")


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def registers(path):
    """Does the module at `path`, or one below the folder at `path`, register anything?"""
    if path.is_dir():
        return any(registers(child) for child in path.rglob("*.py"))
    return any(isinstance(n, ast.Attribute) and n.attr == "register_module" for n in ast.walk(tree_of(path)))


def test_imports_go_down_the_floors():
    edges = [
        (path, path.relative_to(PACKAGE).with_suffix("").parts[0], name) for path in SOURCES for name in imported(path)
    ]
    assert len(edges) > 300
    for path, own, (other, *rest) in edges:
        assert other in FLOORS, f"opentad_bi.{other} has no floor; give it one in this test and in docs/architecture.md"
        same = own == other or (FLOORS[own] == FLOORS[other] != 2 and own != "apis")
        assert same or FLOORS[other] < FLOORS[own], f"{short(path)} imports opentad_bi.{'.'.join((other, *rest))}"


def test_a_family_imports_its_own_room_and_what_is_shared():
    seen = 0
    for path in SOURCES:
        layer, *inner = path.relative_to(PACKAGE).with_suffix("").parts
        families = FAMILIES.get(layer, {})
        if inner in ([], ["__init__"]) and layer != "prepare":
            continue  # the package itself imports all its rooms, to register them
        own = families.get(inner[0]) if inner else None
        for name in imported(path):
            if name[0] != layer or len(name) < 2 or name[1] not in families or (own is None and layer == "prepare"):
                continue
            seen += 1
            other = families[name[1]]
            assert own == other, f"{short(path)} imports opentad_bi.{'.'.join(name)}: another family's room"
    assert seen > 50


def test_the_command_line_imports_no_model_class():
    for path in (PACKAGE / "cli").rglob("*.py"):
        for layer, *rest in imported(path):
            if layer == "models":
                module = importlib.import_module(".".join(("opentad_bi", layer, *rest[:-1])))
                named = getattr(module, rest[-1], None)
                assert not inspect.isclass(named), f"{short(path)} imports the class {'.'.join((layer, *rest))}"


def test_no_folder_is_crowded():
    for folder in {path.parent for path in SOURCES}:
        count = sum(path.name != "__init__.py" for path in folder.glob("*.py"))
        assert count <= MAX_FOLDER, f"{short(folder)} holds {count} modules"


@pytest.mark.parametrize("module", ["opentad_bi", "opentad_bi.registry", "opentad_bi.evaluation.detection"])
def test_what_needs_no_torch_imports_without(module):
    code = f"import sys; sys.modules['torch'] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_package_says_what_it_registers():
    for folder in {path.parent for path in SOURCES} - {PACKAGE}:
        names = {name[len(folder.relative_to(PACKAGE).parts)] for name in imported(folder / "__init__.py")
                 if name[: len(folder.relative_to(PACKAGE).parts)] == folder.relative_to(PACKAGE).parts}  # fmt: skip
        children = {child.stem: child for child in folder.iterdir() if child.suffix == ".py" or child.is_dir()}
        silent = {name for name, child in children.items() if name != "__init__" and registers(child)}
        listed = {loc for kind in vars(registry).values() if isinstance(kind, registry.Kind) for loc in kind._locations}
        inside = ".".join(("opentad_bi", *folder.relative_to(PACKAGE).parts))
        silent -= {name for name in silent if any(f"{loc}.".startswith(f"{inside}.{name}.") for loc in listed)}
        assert silent <= names, f"{short(folder)}/__init__.py does not import {sorted(silent - names)}"


def test_no_constructor_of_a_component_is_open_ended():
    kinds = [kind for kind in vars(registry).values() if isinstance(kind, registry.Kind)]
    assert len(kinds) > 10
    seen = 0
    for kind in kinds:
        kind.import_from_location()
        for name, component in kind.module_dict.items():
            if getattr(component.__init__, "__module__", "").startswith("opentad_bi."):
                seen += 1
                parameters = inspect.signature(component).parameters.values()
                assert not [p for p in parameters if p.kind is p.VAR_KEYWORD], f"{kind.name} {name} takes **kwargs"
    assert seen > 30


ANNOTATED = ("registry", "config", "contracts", "errors", "utils", "ops", "engine", "apis", "evaluation")
NOT_YET = ("config", "engine", "registry", "datasets")  # layers whose annotations are still to be written


def bare(function, bound):
    """What of a function has no annotation: names of its parameters, and "return"."""
    parameters = list(inspect.signature(function).parameters.values())[bound:]
    names = [p.name for p in parameters if p.annotation is p.empty]
    gives = inspect.signature(function).return_annotation is not inspect.Signature.empty
    return names if gives or function.__name__ == "__init__" else [*names, "return"]


def methods(kind):
    """(function, is its first parameter bound?) of the constructor and the public methods that a class defines."""
    for name, value in vars(kind).items():
        if name == "__init__" or not name.startswith("_"):
            function = getattr(value, "fget", None) or getattr(value, "__func__", value)
            if inspect.isfunction(function) and function.__module__ == kind.__module__:
                yield function, not isinstance(value, staticmethod)


def is_public(name):
    return not any(part.startswith("_") for part in name.split("."))


def test_public_functions_are_annotated():
    found = set()  # (module, function, is it bound?)
    for path in SOURCES:
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] in ANNOTATED and parts[0] not in NOT_YET:
            module = importlib.import_module(".".join(("opentad_bi", *parts)))
            for value in vars(module).values():
                if getattr(value, "__module__", "") == module.__name__ and is_public(getattr(value, "__name__", "_")):
                    found |= set(methods(value)) if inspect.isclass(value) else set()
                    found |= {(value, False)} if inspect.isfunction(value) else set()
    assert len(found) > 250
    for kind in (kind for kind in vars(registry).values() if isinstance(kind, registry.Kind)):
        kind.import_from_location()
        for component in kind.module_dict.values():
            parts = getattr(component, "__module__", "").split(".")
            if inspect.isclass(component) and parts[0] == "opentad_bi" and parts[1] not in NOT_YET:
                found |= set(methods(component))
    missing = {f"{function.__module__}.{function.__qualname__}": bare(function, bound) for function, bound in found}
    missing = [f"{name}: {', '.join(names)}" for name, names in sorted(missing.items()) if names]
    assert not missing, "\n".join(missing)


def test_sizes():
    for path in CODE:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= MAX_FILE, f"{short(path)} has {text.count(chr(10))} lines, more than {MAX_FILE}"
        for function in functions(tree_of(path)):
            length = function.end_lineno - function.lineno + 1
            assert length <= MAX_FUNCTION, f"{short(path)}: {function.name} has {length} lines"
    for path in (ROOT / "tools").rglob("*.py"):
        assert path.read_text().count("\n") <= MAX_SHELL, f"{short(path)} is more than a shell of opentad_bi.cli"


def test_nothing_is_left_for_later():
    marks = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error")))
    for path in [*CODE, *CONFIGS]:
        found = marks.search(path.read_text(encoding="utf-8"))
        assert not found, f"{short(path)}: {found[0]}"


def test_no_star_imports():
    for path in CODE:
        stars = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.ImportFrom) and n.names[0].name == "*"]
        assert not stars, short(path)


def test_no_absolute_paths():
    absolute = re.compile(r"(/(home|root|work|mnt|media|data|data\d|opt|usr|tmp|var|Users|scratch)/|[A-Za-z]:\\)")
    for path in [*CODE, *CONFIGS]:
        texts = (n.value for n in ast.walk(tree_of(path)) if isinstance(n, ast.Constant) and isinstance(n.value, str))
        found = [text for text in texts if absolute.match(text)]
        assert not found, f"{short(path)}: {found}"


def test_public_things_have_docstrings():
    missing = []
    for path in SOURCES:
        tree = tree_of(path)
        nodes = [tree, *(n for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef))]
        public = [n for n in nodes if not getattr(n, "name", "module").startswith("_")]
        missing += [f"{short(path)}: {getattr(n, 'name', 'module')}" for n in public if not ast.get_docstring(n)]
    assert not missing, "\n".join(missing)


def bases(path):
    """The configs that the config at `path` names as its bases."""
    for node in tree_of(path).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "_base_":
            return [(path.parent / base).resolve() for base in ast.literal_eval(node.value)]
    return []


def depth(path, shared):
    """Edits on top of each other from `path` down, counting bases that are `shared` (in _base_) or that are not."""
    return max((1 + depth(base, shared) for base in bases(path) if ("_base_" in base.parts) == shared), default=0)


def test_configs_are_small_edits():
    for path in CONFIGS:
        shared = "_base_" in path.parts
        assert depth(path, shared) <= MAX_DEPTH, f"{short(path)} is an edit of an edit of an edit of an edit"
        text = path.read_text(encoding="utf-8")
        assert text.startswith("#"), f"{short(path)} does not say in its first line what it is"
        assert shared or bases(path), f"{short(path)} stands alone; parts to share belong below configs/_base_"
        assert shared or text.count("\n") <= MAX_LEAF, f"{short(path)} is long for an edit"


def test_the_engine_speaks_of_no_family():
    words = re.compile(r"prompt|anomal|ucf|thumos|action.?former|adapter", re.I)
    for path in (PACKAGE / "engine").rglob("*.py"):
        found = [line for line in path.read_text(encoding="utf-8").splitlines() if words.search(line)]
        assert not found, f"{short(path)}: {found[0]}"


def test_the_architecture_page_names_every_module():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree = text[text.index("## The tree") : text.index("## Where would a new one go")]
    missing = [short(path) for path in SOURCES if path.name != "__init__.py" and path.name not in tree]
    assert not missing, f"docs/architecture.md does not name {missing}"
