"""States for checkpoints."""

# ruff: noqa: NPY002  # the shared state is what this is about

from __future__ import annotations

import json
import pickle
import random

import numpy as np

import reproof


def draw() -> tuple[float, float, float]:
    return random.random(), random.gauss(0, 1), float(np.random.normal())


def test_a_program_goes_on_as_if_it_had_not_stopped() -> None:
    with reproof.seeded(42):
        draw()
        states = pickle.loads(pickle.dumps(reproof.collect_states()))
        rest = [draw() for _ in range(3)]
        reproof.seed_everything(7)
        reproof.restore_states(states)
        assert [draw() for _ in range(3)] == rest


def test_tuples_that_became_lists_are_understood() -> None:
    with reproof.seeded(42):
        states = reproof.collect_states()
        states["random"] = json.loads(json.dumps(states["random"]))
        states["numpy"] = list(states["numpy"])
        before = draw()
        reproof.restore_states(states)
        assert draw() == before


def test_what_was_not_loaded_then_is_left_alone() -> None:
    with reproof.seeded(42):
        before = random.getstate()
        reproof.restore_states({"cupy": {}, "torch": {}, "another": 1})
        assert random.getstate() == before


def test_a_part_of_a_checkpoint() -> None:
    with reproof.seeded(42):
        part = reproof.random_state()
        kept = part.state_dict()
        before = draw()
        reproof.random_state().load_state_dict(kept)
        assert draw() == before
