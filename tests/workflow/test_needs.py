"""What a re-run occupies, and how many a machine has room for."""

from __future__ import annotations

import os

import pytest

from minimal import minimal_record
from reproof.model.event import Event
from reproof.model.record import Byproducts, Record
from reproof.workflow import needs as module
from reproof.workflow.needs import Needs, fitting, largest, needs_of


def spent(cpu_seconds: float, seconds: float) -> Record:
    return minimal_record(
        byproducts=Byproducts(cpu_seconds=cpu_seconds, seconds=seconds),
    )


@pytest.mark.parametrize(
    ("cpu_seconds", "seconds", "cpus"),
    [(0.9, 1.0, 1), (0.0, 0.0, 1), (0.1, 2.0, 1), (1.4, 1.0, 1), (2.1, 1.0, 2), (39.0, 10.0, 4)],
)
def test_a_run_occupies_the_cpus_that_it_used(cpu_seconds: float, seconds: float, cpus: int) -> None:
    assert needs_of(spent(cpu_seconds, seconds)) == Needs(cpus=cpus)


def test_what_is_said_goes_before_what_was_measured() -> None:
    record = spent(4.0, 1.0)
    assert needs_of(record, {"cpus": 2.0, "GPU": 1.0}) == Needs(cpus=2, others={"GPU": 1.0})
    assert needs_of(record, {"cpus": 2.0, "GPU": 1.0}, {"CPU": 0.5}) == Needs(cpus=1, others={"GPU": 1.0})
    assert needs_of(None) == Needs()
    assert str(needs_of(record, None, {"GPU": 0.5})) == "cpus=4, GPU=0.5"


def test_the_largest_is_enough_for_each() -> None:
    found = largest([Needs(cpus=2), Needs(cpus=1, others={"GPU": 1.0}), Needs(others={"GPU": 0.5})])
    assert found == Needs(cpus=2, others={"GPU": 1.0})
    assert largest([]) == Needs()


def test_no_more_at_a_time_than_there_are_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    events: list[Event] = []
    assert fitting(4, Needs(cpus=2), events.append) == 4
    assert events == []
    assert fitting(8, Needs(cpus=3), events.append) == 2
    assert fitting(2, Needs(cpus=16), events.append) == 1
    assert [event.message for event in events] == [
        "2 at a time instead of 8: each occupies 3 of 8 CPUs",
        "1 at a time instead of 2: each occupies 16 of 8 CPUs",
    ]
    assert events[0].hint == "pass `--resources cpus=1` if they may share them"


def test_no_more_at_a_time_than_there_are_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    section, _ = module.hardware.capture()
    gpus = len(section.gpus)
    events: list[Event] = []
    assert fitting(8, Needs(others={"GPU": 1.0}), events.append) == max(1, min(gpus, 8))
    assert fitting(1, Needs(others={"GPU": 1.0}), events.append) == 1
    assert all(f"1 of {gpus} GPUs" in event.message for event in events)
    assert fitting(8, Needs(others={"licence": 1.0}), events.append) == 8  # unknown to this machine
