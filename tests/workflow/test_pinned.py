"""Pins: in an order that names the narrowest class first, and hinted at by what the record saw."""

from __future__ import annotations

import os
import subprocess

import pytest

from reproof.model.randomness import EntropyDraw
from reproof.workflow.altering import shims_of
from reproof.workflow.pinned import KIND_OF, PINS, in_order, kind_of
from reproof.workflow.variations import VARIATIONS


def test_the_hash_seed_comes_first_and_then_what_the_record_hints_at() -> None:
    draws = [EntropyDraw(what="random.seed() by the clock", where="a.py:3"), EntropyDraw(what="os.urandom()")]
    kinds = [pin.kind for pin in in_order(draws)]
    assert kinds[:3] == ["hash-seed", "entropy", "clock"]
    harmless = [EntropyDraw(what="random.seed() by the clock", control="controlled")]
    assert in_order(harmless) == PINS
    assert [pin.kind for pin in in_order(draws[:1])][1] == "clock"


def test_classes_of_recorded_draws() -> None:
    def kind(what: str) -> str:
        return kind_of(EntropyDraw(what=what))

    assert kind("numpy.random.default_rng()") == "entropy"
    assert kind("numpy.random.seed() by the clock") == "clock"
    assert kind("random.seed() by the process id") == "process-id"
    assert kind("random.seed() by the hash of an object") == "hash-seed"
    assert kind("random.seed() by the system's entropy") == "entropy"


def test_names_are_there_once_and_values_differ() -> None:
    names = [each.name for pin in PINS for each in (pin.value, *pin.others)]
    assert len(set(names)) == len(names)
    assert set(KIND_OF) <= {each.name for each in VARIATIONS}
    for pin in PINS:
        shims = [each.shim for each in (pin.value, *pin.others) if each.shim is not None]
        assert len(set(shims)) == len(shims)
        assert len(shims_of([pin.value])) == min(len(shims), 1)


@pytest.mark.needs("taskset")
def test_threads_one_by_one() -> None:
    from reproof.model.recipe import Recipe
    from workflow.test_variations import setting

    (pin,) = [each for each in PINS if each.kind == "threads"]
    assert pin.value.apply is not None
    recipe = pin.value.apply(
        Recipe(
            argv=("sh", "-c", "nproc; echo $REPROOF_SERIAL $OMP_NUM_THREADS"), env=dict(os.environ), cwd="/"
        ),
        setting(),
    )
    done = subprocess.run(recipe.argv, env=recipe.env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1", "1"]
