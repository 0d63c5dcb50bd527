"""Seeding everything: now, later, for a while, in workers."""

# ruff: noqa: NPY002  # the shared state is what this is about

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import reproof
from reproof.errors import UsageError
from reproof.randomness import later, seeding


def alone(code: str, **variables: str) -> str:
    """What `code` prints in an interpreter of its own."""
    env = {**os.environ, **variables}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def draw() -> tuple[float, float]:
    return random.random(), float(np.random.random())


def test_what_is_loaded_is_seeded_as_every_course_says() -> None:
    with reproof.seeded(0):  # leaves the tests' own generators alone
        assert reproof.seed_everything(42) == 42
        ours = draw()
        random.seed(42)
        np.random.seed(42)
        assert draw() == ours
        assert os.environ["PYTHONHASHSEED"] == "42"


def test_what_is_loaded_later_is_seeded_then() -> None:
    code = """
import sys, reproof
reproof.seed_everything(42)
print("numpy" in sys.modules, "random" in sys.modules)
import numpy as np
print(np.random.random() == np.random.RandomState(42).random_sample(), [f for f in vars(np.__loader__)])
"""
    first, second = alone(code).splitlines()
    assert first.startswith("False")
    assert second == "True ['name', 'path']"


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, reproof; reproof.seed_everything(1)\nwith reproof.seeded(3): pass\nprint(*sys.modules)"
    )
    found = set(alone(code).split())
    assert not found & {"numpy", "torch", "tensorflow", "keras", "jax", "cupy", "msgspec", "pandas"}


@pytest.mark.parametrize("seed", [0, 2**32 - 1, 2**32 + 42, 2**64 - 1, 2**200, np.int64(7)])
def test_seeds_out_of_a_range_are_reduced(seed: int) -> None:
    with reproof.seeded(seed):
        one = draw()
    with reproof.seeded(seed):
        assert draw() == one


@pytest.mark.parametrize("seed", [-1, 1.5, "42", None, True, b"1"])
def test_what_is_no_seed_is_refused(seed: object) -> None:
    before = random.getstate()
    with pytest.raises(UsageError, match="a seed is a whole number that is not negative"):
        reproof.seed_everything(seed)  # type: ignore[arg-type]
    with pytest.raises(UsageError), reproof.seeded(seed):  # type: ignore[arg-type]
        pass
    assert random.getstate() == before


def test_a_block_gives_every_state_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    random.seed(5)
    np.random.seed(6)
    before = random.getstate(), np.random.get_state()[1].tolist()
    with reproof.seeded(42):
        draw()
        assert os.environ["PYTHONHASHSEED"] == "42"
    with pytest.raises(ZeroDivisionError), reproof.seeded(42):
        draw() and 1 / 0
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert "PYTHONHASHSEED" not in os.environ
    monkeypatch.setenv("PYTHONHASHSEED", "9")
    with reproof.seeded(1):
        pass
    assert os.environ["PYTHONHASHSEED"] == "9"


def test_blocks_nest_and_decorate() -> None:
    # In a process of its own: threads that other tests left behind draw from the shared generators too.
    code = """
import random
import numpy as np
import reproof

def draw():
    return random.random(), float(np.random.random())

@reproof.seeded(3)
def inner():
    return draw()

with reproof.seeded(8):
    first, among = draw(), inner()
    second = draw()
with reproof.seeded(8):
    assert (draw(), draw()) == (first, second)
assert inner() == among
assert first != second != among
"""
    alone(code)


def test_after_a_block_nothing_waits_that_did_not_wait_before() -> None:
    before = later.waiting()
    with reproof.seeded(3):
        assert "torch" in later.waiting() or "torch" in sys.modules
    assert later.waiting().keys() == before.keys()


def test_a_library_that_fails_to_import_is_waited_for_no_more(tmp_path: Path) -> None:
    (tmp_path / "cupy.py").write_text("raise ImportError('no GPU')")
    code = "import reproof\nreproof.seed_everything(1)\nfor _ in range(2):\n try: import cupy\n except ImportError as e: print(e)"
    assert alone(code, PYTHONPATH=str(tmp_path)) == "no GPU\nno GPU\n"


def test_a_library_that_is_not_there_is_none_of_our_business() -> None:
    code = "import reproof, importlib.util\nreproof.seed_everything(1)\nprint(importlib.util.find_spec('cupy'))\ntry: import cupy\nexcept ModuleNotFoundError as e: print(e.name)"
    assert alone(code) == "None\ncupy\n"


def test_workers_differ_and_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with reproof.seeded(42):
        found = []
        for worker in (0, 1, 0):
            reproof.worker_init_fn(worker)
            found.append(draw())
    assert found[0] == found[2] != found[1]
    assert seeding.derived(42, "worker.0") == seeding.derived(42, "worker.0") < 2**64


def test_a_worker_of_a_program_that_was_not_seeded_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(seeding, "_last", {})
    before = random.getstate()
    reproof.worker_init_fn(0)
    assert random.getstate() == before
