"""What was asked of switches, and what libraries answered, summed up."""

from __future__ import annotations

from reproof.capture.observations import Observations, randomness
from reproof.capture.readings import readings
from reproof.model.observation import Answered, Seeded, Switched
from reproof.model.randomness import Draw, Reading


def test_the_user_wins_over_reproof_and_the_last_over_the_first() -> None:
    lines = Observations(
        [
            Switched(p=1, what="a", value="True"),
            Switched(p=1, what="a", value="False", where="x.py:1"),
            Switched(p=1, what="a", value="None", where="x.py:2", inside="/e/site-packages/pkg/m.py:3"),
            Switched(p=2, what="a", value="True"),
            Answered(p=1, what="a", value="None"),
        ]
    )
    assert readings(lines) == (
        Reading(what="a", asked="None", answer="None", where="x.py:2 (in pkg/m.py:3)"),
    )


def test_processes_that_disagree_and_one_that_was_only_asked() -> None:
    lines = Observations(
        [
            *(Answered(p=number, what="threads", value=str(number % 5)) for number in range(10)),
            Switched(p=1, what="b", value="1"),
        ]
    )
    assert readings(lines) == (Reading(what="b", asked="1"), Reading(what="threads", answer="0, 1, 2, ..."))


def test_answer_to_a_seed_belongs_to_its_place() -> None:
    lines = Observations(
        [
            Seeded(p=1, what="f", where="x.py:1", value="7"),
            Answered(p=1, what="f", where="x.py:1", value="7"),
            Seeded(p=1, what="f", where="x.py:2", value="8"),
        ]
    )
    _, seeded = randomness(lines)
    assert seeded == (
        Draw(what="f", where="x.py:1", value="7", answer="7"),
        Draw(what="f", where="x.py:2", value="8"),
    )
    assert readings(lines) == ()
