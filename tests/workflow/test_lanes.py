"""Lanes: each group where it belongs, the budget divided, and one answer of all."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimal import minimal_record
from reproof.model.stress import Change, Exercise, StressOutcome
from reproof.project.settings import Settings
from reproof.store.directory import DirectoryStore
from reproof.workflow.budget import Budget
from reproof.workflow.lanes import Done, Lane, _merged, _split
from reproof.workflow.room import Plan
from reproof.workflow.variations import select


def lane(tmp_path: Path, **budget: int) -> Lane:
    record = minimal_record()
    plan = Plan(record=record, source=tmp_path, store=DirectoryStore(tmp_path), settings=Settings())
    return Lane(plan=plan, vary="all", budget=Budget(**budget))


def test_every_variation_is_in_one_lane(tmp_path: Path) -> None:
    wanted = select("all,informative")
    lanes = _split(lane(tmp_path, runs=30), wanted)
    names = [name for each in lanes.values() for name in each.vary.split(",")]
    assert sorted(names) == sorted(each.name for each in wanted)
    assert {each.budget.runs for each in lanes.values()} == {10}
    assert list(_split(lane(tmp_path), select("time-zone"))) == ["repeat, circumstances"]
    assert _split(lane(tmp_path), ()) == {}


def done(*outcomes: tuple[str, StressOutcome, str], repeat: tuple[str, ...] = ()) -> Done:
    first = Exercise(
        name="repeat",
        group="repeat",
        outcome="differs" if repeat else "same",
        changes=tuple(Change(each, "other") for each in repeat),
    )
    others = [
        Exercise(
            name=name,
            group=select(name)[0].group,
            outcome=outcome,
            changes=(Change(subject, "other"),) if subject else (),
        )
        for name, outcome, subject in outcomes
    ]
    return Done(
        exercises=(first, *others), subjects=("a", "b"), runs=4, conditions=(("isolation", "process"),)
    )


def test_one_answer_in_the_usual_order() -> None:
    merged = _merged([done(("one-cpu", "differs", "a")), done(("umask", "same", ""))])
    assert [each.name for each in merged.exercises] == ["repeat", "umask", "one-cpu"]
    assert [each.outcome for each in merged.exercises] == ["same", "same", "differs"]
    assert (merged.runs, merged.subjects) == (8, ("a", "b"))


@pytest.mark.parametrize("subject", ["a", "b"])
def test_what_varies_in_one_lane_is_blamed_on_nothing_in_another(subject: str) -> None:
    merged = _merged([done(("umask", "differs", subject)), done(repeat=("a",))])
    repeat, umask = merged.exercises
    assert (repeat.outcome, [each.subject for each in repeat.changes]) == ("differs", ["a"])
    assert umask.outcome == ("not exercised" if subject == "a" else "differs")
