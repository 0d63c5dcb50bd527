"""What the processes of a run told of entropy, summed up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reproof.capture import observations
from reproof.capture.entropy import draws
from reproof.model.randomness import EntropyDraw

SITE = "${ENV}/lib/python3.11/site-packages/pkg/a.py:3"


@pytest.fixture
def told(tmp_path: Path) -> Any:
    def read(*lines: dict[str, Any]) -> observations.Observations:
        text = "".join(json.dumps({"p": 1, **line}) + "\n" for line in lines)
        (tmp_path / "lines").write_text(text)
        return observations.read(tmp_path / "lines")

    return read


def test_once_for_each_place_with_the_package(told: Any) -> None:
    obs = told(
        {"k": "drew", "what": "d()", "where": "x.py:3", "inside": SITE, "package": "pkg"},
        {"k": "drew", "what": "d()", "where": "x.py:4", "inside": SITE, "importing": True},
        {"k": "drew", "what": "d()", "where": "x.py:4"},
    )
    assert draws(obs) == (
        EntropyDraw(what="d() in pkg/a.py:3", where="x.py:3", package="pkg"),
        EntropyDraw(what="d()", where="x.py:4"),
    )


def test_counts_of_the_end_and_of_processes_are_added(told: Any) -> None:
    obs = told(
        {"k": "drew", "what": "d()", "where": "x.py:4"},
        {"k": "drew", "what": "d()", "where": "x.py:4", "p": 2},
        {"k": "draws", "what": "d()", "where": "x.py:4", "p": 2, "count": 5},
    )
    assert draws(obs) == (EntropyDraw(what="d()", where="x.py:4", count=7),)


def test_what_turned_out_harmless_at_the_end_is(told: Any) -> None:
    line = {"what": "uuid.uuid4()", "where": "x.py:4"}
    names = {"control": "harmless", "by": "names of files that were removed again"}
    obs = told({"k": "drew", **line}, {"k": "draws", **line, **names})
    assert draws(obs) == (
        EntropyDraw(what="uuid.uuid4()", where="x.py:4", control="harmless", by=names["by"]),
    )


def test_the_worst_control_of_several_processes_stands(told: Any) -> None:
    line = {"k": "drew", "what": "d()", "where": "x.py:4"}
    obs = told(
        {**line, "control": "harmless", "by": "names"},
        {**line, "p": 2, "control": "controlled", "by": "seed"},
    )
    assert draws(obs) == (EntropyDraw(what="d()", where="x.py:4", count=2, control="controlled", by="seed"),)
    obs = told({**line, "control": "controlled", "by": "seed"}, {**line, "p": 2, "control": "uncontrolled"})
    assert draws(obs) == (EntropyDraw(what="d()", where="x.py:4", count=2),)


def test_uncontrolled_ones_come_first(told: Any) -> None:
    obs = told(
        {"k": "drew", "what": "a", "control": "harmless"},
        {"k": "drew", "what": "b", "control": "controlled"},
        {"k": "drew", "what": "c"},
    )
    assert [draw.what for draw in draws(obs)] == ["c", "b", "a"]


def test_a_word_that_is_not_known_makes_nothing_harmless(told: Any) -> None:
    (draw,) = draws(told({"k": "drew", "what": "a", "control": "perhaps"}))
    assert draw.control == "uncontrolled"
