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
