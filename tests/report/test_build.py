"""Reports of builds: what is said of each grade, and the exit status that goes with it."""

from __future__ import annotations

import json

import pytest

from reproof.errors import UsageError
from reproof.model.build import BuildInfo, BuildReport, BuildSource, BuildTools, Cause, NotExercised, Output
from reproof.model.difference import Difference, Outcome
from reproof.report.build import exit_status_of, render_build

CAUSE = Cause(
    name="hash-order",
    factor="hash seed",
    files=tuple(f"a.whl: f{number}" for number in range(7)),
    words="the order of a set gets into a file",
    remedy="sort what is written",
)


def report(grade: str, **more: object) -> BuildReport:
    info = BuildInfo(
        source=BuildSource(commit="1" * 40, tree="2" * 40),
        tools=BuildTools(
            backend="hatchling.build", requirements="a==1 \\\n    --hash=sha256:0\n", python="3.11.7"
        ),
        source_date_epoch=0,
        outputs=(Output(name="a.whl", kind="wheel", size=10, sha256="3" * 64),),
        grade=grade,
        exercised=("path",),
        not_exercised=(NotExercised("clock", "it is broken"),),
    )
    return BuildReport(project="a", info=info, **more)


@pytest.mark.parametrize(
    ("grade", "strict", "status"),
    [("identical", True, 0), ("controlled", False, 0), ("controlled", True, 1), ("different", False, 1)],
)
def test_the_exit_status_follows_the_grade(grade: str, strict: bool, status: int) -> None:
    value = report(grade)
    assert exit_status_of(value, strict=strict) == status
    assert f"exit status {status}: " in render_build(value, "text", strict=strict)
    assert json.loads(render_build(value, "json", strict=strict))["exit_status"] == status


def test_a_difference_is_shown_with_its_cause_and_what_was_not_varied() -> None:
    difference = Difference(subject="a.whl", outcome=Outcome.DIFFERENT, summary="members: 1 different")
    text = render_build(report("different", causes=(CAUSE,), difference=difference), "text")
    assert "cause hash-order (varied: hash seed): the order of a set gets into a file" in text
    assert "and 2 more" in text
    assert "remedy: sort what is written" in text
    assert "clock: it is broken" in text
    assert "members: 1 different" in text
    assert "a.buildinfo.json" not in text


def test_colour_only_where_it_is_asked_for() -> None:
    assert "\x1b[" not in render_build(report("identical"), "text")
    assert "\x1b[" in render_build(report("identical"), "text", color=True)


def test_other_formats_are_refused() -> None:
    with pytest.raises(UsageError):
        render_build(report("identical"), "html")
