"""The house: rooms in the order in which data flow, short modules, and what each says of itself."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import hbm

MODELS = ["heights", "scores", "exams", "article", "simulate"]
# A module imports from its own room and from those before it. The models stand at the top of hbm.
ROOMS = [
    "tables", "students", "hierarchy", "models", "sampling", "results", "checks", "plots", "page"
]  # fmt: skip
MAY_NAME_A_LAW = {"hbm.hierarchy.carried", *(f"hbm.{model}" for model in MODELS)}
MOST_LINES = 400

FOLDER = Path(hbm.__file__).parent


def _module(path: Path) -> str:
    parts = path.relative_to(FOLDER.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {_module(path): path.read_text("utf-8") for path in sorted(FOLDER.rglob("*.py"))}
INITS = sorted(_module(path) for path in FOLDER.glob("*/__init__.py"))
INSIDE = sorted({*SOURCES} - {*INITS, "hbm"})


def room(module: str) -> str:
    """Return the room of a module: ``hbm.plots.style`` is in plots, ``hbm.exams`` a model."""
    first = module.split(".")[1]
    return "models" if first in MODELS else first


def imports(module: str, source: str) -> Iterator[str]:
    """Yield what a module imports of hbm, anywhere in it: a module, or a name in one."""
    home = module.split(".") if module in INITS else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = home[: len(home) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{origin}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and node.args:
            function = ast.unparse(node.func).split(".")[-1]
            first = node.args[0]
            if function in ("import_module", "__import__") and isinstance(first, ast.Constant):
                level = len(first.value) - len(first.value.lstrip("."))
                above = [*home[: len(home) - level + 1], ""] if level else []
                names = [".".join(above) + first.value.lstrip(".")]
        yield from (name for name in names if name.split(".")[0] == "hbm")


def against_the_flow(module: str, source: str) -> list[str]:
    """Return the imports from rooms further on, and those of hbm itself."""
    return [
        name
        for name in imports(module, source)
        if name == "hbm"
        or room(name) not in ROOMS
        or ROOMS.index(room(name)) > ROOMS.index(room(module))
    ]


def through_a_room(module: str, source: str) -> list[str]:
    """Return the imports of a room, or of a name in it that is no module."""
    return [
        name
        for name in imports(module, source)
        if name in INITS or (name.rpartition(".")[0] in INITS and name not in SOURCES)
    ]


def is_one_line(source: str) -> bool:
    """Say whether a source is a docstring of one line, and nothing else."""
    tree = ast.parse(source)
    doc = ast.get_docstring(tree)
    return len(tree.body) == 1 and bool(doc) and "\n" not in doc and doc.endswith(".")


def is_short(source: str) -> bool:
    return len(source.splitlines()) <= MOST_LINES


def laws_named(source: str) -> list[str]:
    """Return the laws that code names; an example in a docstring may."""
    named = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom | ast.Import):
            named += [alias.name for alias in node.names]
        elif isinstance(node, ast.Name | ast.Attribute):
            named.append(node.id if isinstance(node, ast.Name) else node.attr)
    return [name for name in named if name in ("BETA", "NORMAL")]


def says_what_it_exports(source: str) -> bool:
    """Say whether a module has ``__all__``, or nothing of its own without an underscore."""
    own = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            own.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            own += [x.id for target in targets for x in ast.walk(target) if hasattr(x, "id")]
    return "__all__" in own or all(name.startswith("_") for name in own)


@pytest.mark.parametrize("module", INSIDE)
def test_a_module_imports_from_its_own_room_and_those_before_it(module):
    assert against_the_flow(module, SOURCES[module]) == []


@pytest.mark.parametrize("module", [*INSIDE, "hbm"])
def test_nothing_is_imported_through_a_room(module):
    assert through_a_room(module, SOURCES[module]) == []


@pytest.mark.parametrize("module", INITS)
def test_a_room_says_in_a_line_what_lives_there(module):
    source = SOURCES[module]
    if module == "hbm.plots":  # It also hands on the pictures, as hbm does.
        source, handed_on = source.split("\n", 1)
        assert {name.rpartition(".")[2] for name in imports(module, handed_on)} <= {*hbm.__all__}
    assert is_one_line(source)
    assert room(module) in ROOMS


@pytest.mark.parametrize("module", SOURCES)
def test_files_are_short(module):
    assert is_short(SOURCES[module]), f"{module} has more than {MOST_LINES} lines"


@pytest.mark.parametrize(
    "module", [x for x in INSIDE if room(x) != "students" and x not in MAY_NAME_A_LAW]
)
def test_only_models_choose_a_law(module):
    assert laws_named(SOURCES[module]) == []


@pytest.mark.parametrize("module", INSIDE)
def test_modules_say_what_they_export(module):
    assert says_what_it_exports(SOURCES[module])


def files_named(text: str) -> set[str]:
    """Return the files and folders of the project that a text names in code."""
    found = re.findall(r"`(?:python )?((?:hbm|tests|examples|data|\.ci)/[\w./]*)", text)
    return {*found, *re.findall(r"`([\w.]+\.(?:toml|md))`", text)}


def test_what_contributors_are_told_of_exists():
    root = FOLDER.parent
    text = (root / ".github" / "CONTRIBUTING.md").read_text("utf-8")
    named = files_named(text)
    assert len(named) > 20
    assert sorted(name for name in named if not (root / name).exists()) == []
    assert {f"`hbm/{x}/`" for x in ROOMS if (FOLDER / x).is_dir()} <= {*re.findall("`[^`]*`", text)}


# That each of these can fail.


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("hbm.tables.files", "import hbm.students.law", ["hbm.students.law"]),
        ("hbm.tables.files", "import hbm.tables.words", []),
        ("hbm.tables.files", "import numpy, hbmx.plots, hbm.exams as e", ["hbm.exams"]),
        ("hbm.students.law", "from hbm.tables.words import plural", []),
        ("hbm.students.law", "from hbm.hierarchy import model", ["hbm.hierarchy.model"]),
        ("hbm.hierarchy.model", "def f():\n    from hbm import heights", ["hbm.heights"]),
        ("hbm.heights", "from hbm import scores", []),
        ("hbm.heights", "from hbm.sampling.storage import load", ["hbm.sampling.storage.load"]),
        ("hbm.sampling.many", "import hbm", ["hbm"]),
        ("hbm.sampling.many", "from hbm import sample", ["hbm.sample"]),
        ("hbm.sampling.many", "from hbm.simulate import exams", []),
        (
            "hbm.results.ranks",
            "if TYPE_CHECKING:\n    from hbm.checks.pit import LooPit",
            ["hbm.checks.pit.LooPit"],
        ),
        ("hbm.results.ranks", "from ..plots import style", ["hbm.plots.style"]),
        ("hbm.results.ranks", "from .. import plots, exams", ["hbm.plots"]),
        ("hbm.results.ranks", "from . import funnel\nfrom .funnel import x", []),
        ("hbm.results", "from . import funnel\nfrom ..checks import pit", ["hbm.checks.pit"]),
        ("hbm.heights", "from .checks import pit", ["hbm.checks.pit"]),
        ("hbm.results.ranks", "importlib.import_module('hbm.plots.ranks')", ["hbm.plots.ranks"]),
        ("hbm.results.ranks", "import_module('..checks.pit', x)", ["hbm.checks.pit"]),
        ("hbm.results.ranks", "import_module('.funnel', x), import_module(name)", []),
        ("hbm.checks.pit", "x = __import__('hbm.page.write')", ["hbm.page.write"]),
        ("hbm.checks.pit", "from hbm.attic.old import x", ["hbm.attic.old.x"]),
        ("hbm.plots.ranks", "from hbm.checks.pit import LooPit", []),
        ("hbm.plots.ranks", "'from hbm.page import write'", []),
    ],
)
def test_an_import_against_the_flow_is_found(module, source, wrong):
    assert against_the_flow(module, source) == wrong


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("import hbm.plots", ["hbm.plots"]),
        ("from hbm import plots", ["hbm.plots"]),
        ("from hbm.plots import plot_funnel", ["hbm.plots.plot_funnel"]),
        ("from . import plot_funnel", ["hbm.plots.plot_funnel"]),
        ("from hbm.plots import style", []),
        ("from hbm.plots.funnel import plot_funnel", []),
    ],
)
def test_an_import_through_a_room_is_found(source, wrong):
    assert through_a_room("hbm.plots.ranks", source) == wrong


@pytest.mark.parametrize(
    ("source", "fine"),
    [
        ('"""Pictures."""\n', True),
        ('"""Pictures.\n\nOf tables.\n"""', False),
        ('"""Pictures"""', False),
        ('"""Pictures."""\nfrom hbm.plots.ranks import plot_ranks', False),
        ("", False),
        ("import numpy", False),
    ],
)
def test_a_room_that_says_too_much_or_nothing_is_found(source, fine):
    assert is_one_line(source) is fine


def test_files_that_a_text_names_are_found():
    text = "`hbm/plots/` and `python examples/old.py --out x`, `.ci/run`, `pyproject.toml`, `a/b`"
    assert files_named(text) == {"hbm/plots/", "examples/old.py", ".ci/run", "pyproject.toml"}


@pytest.mark.parametrize(("lines", "fine"), [(400, True), (401, False)])
def test_a_long_file_is_found(lines, fine):
    assert is_short("x = 1\n" * lines) is fine


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("from hbm.students.beta import BETA", ["BETA"]),
        ("from hbm.students import beta\nbeta.BETA", ["BETA"]),
        ("def f(law):\n    return law is NORMAL", ["NORMAL"]),
        ('"""Of BETA.\n\n>>> from hbm.students.beta import BETA\n"""', []),
        ("BETAS = law.name", []),
    ],
)
def test_a_law_that_is_named_is_found(source, named):
    assert laws_named(source) == named


@pytest.mark.parametrize(
    ("source", "fine"),
    [
        ("def f(): ...", False),
        ("class A: ...", False),
        ("X = 1", False),
        ("X: int = 1", False),
        ("_a, b = 1, 2", False),
        ("if True:\n    import x\n_a = 1\n_b: int = 2\ndef _f(): ...\nclass _A: ...", True),
        ("__all__ = ['f']\ndef f(): ...", True),
    ],
)
def test_a_module_that_does_not_say_what_it_exports_is_found(source, fine):
    assert says_what_it_exports(source) is fine
