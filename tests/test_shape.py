"""The habits of the code base as facts: sizes, docstrings, no markers, a light command line."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import reproof

SOURCE = Path(reproof.__file__).parent
#: Projects that are shipped as data follow their own habits.
MODULES = sorted(path for path in SOURCE.rglob("*.py") if "examples/bikes/project" not in path.as_posix())
FUNCTION_LINES = 60
MODULE_LINES = 400

#: Nothing on the way to `--help` may import these: each costs more than our whole start-up.
HEAVY = {
    "mlflow",
    "numpy",
    "pandas",
    "pyarrow",
    "torch",
    "rich",
    "yaml",
    "jinja2",
    "dvc",
    "sqlite3",
    "urllib.request",
}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_sizes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MODULE_LINES
    long = [node.name for node in functions(path) if node.end_lineno - node.lineno > FUNCTION_LINES]
    assert long == []


def test_no_markers_or_stubs() -> None:
    marker = re.compile(r"\b(TODO|FIXME|XXX)\b|raise NotImplementedError")
    found = [path.name for path in MODULES if marker.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_each_module_says_what_it_is_for() -> None:
    silent = [
        path for path in MODULES if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert silent == []


def raised(node: ast.AST, caught: frozenset[str] = frozenset()) -> Iterator[str]:
    """What the code below a node raises by its own statements, without what it catches itself."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(child, ast.Raise) and child.exc is not None:
            name = ast.unparse(child.exc).partition("(")[0]
            yield from () if name in caught else (name,)
        elif isinstance(child, ast.Try):
            types = " ".join(ast.unparse(each.type) for each in child.handlers if each.type)
            for part in child.body:
                yield from raised(ast.Module([part], []), caught | set(re.findall(r"\w+", types)))
            for part in (*child.handlers, *child.orelse, *child.finalbody):
                yield from raised(ast.Module([part], []), caught)
        else:
            yield from raised(child, caught)


def public(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Functions and methods that others may call, each with all that is said of it, the words on its class included."""
    for outer in [
        tree,
        *(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"),
    ]:
        about = ast.get_docstring(outer) if isinstance(outer, ast.ClassDef) else ""
        for node in outer.body:
            if isinstance(node, ast.FunctionDef) and node.name[0] != "_":
                yield node, f"{about} {ast.get_docstring(node)}"


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=lambda path: path.name)
def test_what_is_raised_is_said(folder: Path) -> None:
    """Commands speak to users, and what is injected has to be short."""
    silent = [
        f"{path.name}: {node.name}"
        for path in folder.glob("*.py")
        if not {"cli", "injected", "examples"} & set(path.relative_to(SOURCE).parts)
        for node, words in public(ast.parse(path.read_text(encoding="utf-8")))
        if any(raised(node)) and not re.search("raise|see :", words, re.IGNORECASE)
    ]
    assert silent == []


def test_help_is_light() -> None:
    code = "import sys\nfrom reproof.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.splitlines()[-1].split()) == set()


def test_public_face_is_small_and_lazy() -> None:
    assert len(reproof.__all__) <= 15
    code = "import sys, reproof\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()
    for name in reproof.__all__:
        assert getattr(reproof, name) is not None
