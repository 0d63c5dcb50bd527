"""What is said of stress: what it depends on first, then each variation; what is only told blames nothing."""

from __future__ import annotations

import json

import msgspec
import pytest

from reproof.errors import UsageError
from reproof.model.stress import Change, Exercise, StressReport
from reproof.report.stress import headline, render_stress

CHANGE = (Change("metric:loss", "0.5 -> 0.75 (relative 0.5)"),)
REPORT = StressReport(
    record="ab" * 32,
    project="p<b>",
    level="repeats",
    exercises=(
        Exercise(name="repeat", group="repeat", what="nothing: the same again", outcome="same"),
        Exercise(
            name="clock",
            group="circumstances",
            what="the date",
            outcome="differs",
            changes=CHANGE,
            remedy="pass it",
        ),
        Exercise(
            name="host-name",
            group="circumstances",
            outcome="not exercised",
            reason="no program of the run loaded shim `host`: it may be statically linked",
        ),
        Exercise(name="seed", group="informative", what="the seed", outcome="differs", changes=CHANGE),
    ),
    subjects=("metric:loss",),
    runs=9,
)


def test_text() -> None:
    text = render_stress(REPORT, "text")
    assert text.startswith("stressed: depends on clock\n")
    assert "  differs        clock              the date\n" in text
    assert "metric:loss: 0.5 -> 0.75 (relative 0.5)" in text
    assert "remedy: pass it" in text
    assert "not exercised  host-name          no program of the run loaded shim `host`" in text


def test_what_is_only_told_is_no_dependence() -> None:
    told = StressReport(record="a", level="repeats", exercises=(REPORT.exercises[0], REPORT.exercises[3]))
    assert told.dependences == ()
    assert headline(told) == "repeats"
    assert "  differs        seed" in render_stress(told, "text")


def test_what_is_unresolved_is_not_blamed() -> None:
    left = [
        msgspec.structs.replace(REPORT.exercises[1], name=name, outcome="unresolved")
        for name in ("umask", "path")
    ]
    alone = msgspec.structs.replace(REPORT, exercises=(REPORT.exercises[0], *left))
    assert headline(alone) == "depends on one of umask, path"
    both = msgspec.structs.replace(REPORT, exercises=(*REPORT.exercises, *left))
    assert headline(both) == "depends on clock, more is unresolved"


def test_json_is_the_report() -> None:
    said = json.loads(render_stress(REPORT, "json"))
    assert said["schema"] == "reproof/stress/1"
    assert [each["outcome"] for each in said["exercises"]] == ["same", "differs", "not exercised", "differs"]
    _, clock, host, _ = said["exercises"]
    assert said["level"] == "repeats"
    assert (clock["remedy"], clock["changes"][0]["subject"]) == ("pass it", "metric:loss")
    assert "statically linked" in host["reason"]


def test_a_page_escapes_names() -> None:
    page = render_stress(REPORT, "html")
    assert "depends on clock" in page
    assert "p<b>" not in page


def test_a_page_has_level_remedies_and_what_was_not_exercised() -> None:
    page = render_stress(REPORT, "html")
    assert "<dt>level reached</dt><dd>repeats</dd>" in page
    assert '<li class="identical"><b>repeats</b></li>' in page
    assert '<li class="unknown"><b>independent of circumstances</b></li>' in page
    rows = {row.split("</td>", 2)[1]: row for row in page.split("<tr")[1:] if 'class="name"' in row}
    clock, host = (rows[f'<td class="name">{name}'] for name in ("clock", "host-name"))
    assert "<em>pass it</em>" in clock
    assert "0.5 -&gt; 0.75" in clock
    assert ">not exercised</span>" in host
    assert "it may be statically linked" in host


def test_what_the_level_does_not_speak_of_is_named_beside_it() -> None:
    more = msgspec.structs.replace(
        REPORT, level="independent of circumstances", exercises=(REPORT.exercises[0], REPORT.exercises[2])
    )
    assert "circumstances that were not exercised: host-name" in render_stress(more, "text")
    assert "independent of circumstances; not exercised: host-name</dd>" in render_stress(more, "html")


def test_no_other_format() -> None:
    with pytest.raises(UsageError, match="unknown output format"):
        render_stress(REPORT, "xml")
