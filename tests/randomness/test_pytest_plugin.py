"""The fixture, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import random

drawn = []

def test_seeded(reproof_seed):
    assert reproof_seed == {seed}
    drawn.append(random.random())

def test_again(reproof_seed):
    drawn.append(random.random())
    assert drawn[0] == drawn[1] == random.Random({seed}).random()

def test_not_asked_for():
    assert random.random() != drawn[0]
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    plugin = [] if _is_registered() else ["-p", "reproof.randomness.pytest_plugin"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *plugin, *words],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        capture_output=True,
        text=True,
        timeout=120,
    )


def _is_registered() -> bool:
    from importlib.metadata import entry_points

    return any(each.value == "reproof.randomness.pytest_plugin" for each in entry_points(group="pytest11"))


@pytest.mark.parametrize(
    ("words", "configuration", "seed"),
    [((), "", 42), (("--reproof-seed", "7"), "reproof_seed = 8", 7), ((), "reproof_seed = 8", 8)],
)
def test_the_seed_of_a_test(tmp_path: Path, words: tuple[str, ...], configuration: str, seed: int) -> None:
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{configuration}\n")
    (tmp_path / "test_it.py").write_text(TESTS.format(seed=seed))
    done = run(tmp_path, *words)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_seed_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(reproof_seed): pass")
    assert "a seed is a whole number that is not negative" in run(tmp_path, "--reproof-seed", "-1").stdout
    assert run(tmp_path, "--reproof-seed", "x").returncode == 4
