from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from reproof.model.difference import Difference, Outcome, combine
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report import render_difference, render_record, render_verdict

Golden = Callable[[str, str], None]


@pytest.mark.parametrize("name", ["reproduced", "different", "inconclusive", "hostile", "pipeline"])
def test_verdicts_look_as_agreed(
    name: str, record: Record, golden: Golden, request: pytest.FixtureRequest
) -> None:
    verdict = request.getfixturevalue(name)
    golden(f"{name}.txt", render_verdict(verdict, record if name != "inconclusive" else None, "text"))


def test_records_look_as_agreed(record: Record, golden: Golden) -> None:
    golden("record.txt", render_record(record, "9f2c41d0" * 8, "text"))


def test_differences_look_as_agreed(different: Verdict, golden: Golden) -> None:
    text = "\n".join(render_difference(node, "text") for node in different.differences[-4:])
    golden("difference.txt", text)


def test_colour_adds_nothing_but_colour(different: Verdict, record: Record) -> None:
    colored = render_verdict(different, record, "text", color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == render_verdict(different, record, "text")
    assert "\x1b[1;31mnot reproduced\x1b[0m" in colored


def test_lines_keep_the_width_except_for_long_words(different: Verdict, record: Record) -> None:
    for line in render_verdict(different, record, "text", width=72).splitlines()[1:]:
        assert len(line) <= 72 or not re.search(r"\S{1,40} \S", line[30:])


def test_thousands_of_differences_stay_readable(large: Verdict) -> None:
    text = render_verdict(large, None, "text")
    assert len(text.splitlines()) < 400
    assert "9,801 more: 9,801 different" in text
    assert "9,990 more: 9,990 equivalent" in text
    assert "$.rows[9999].value: 9999 -> 10000" in text


def test_long_sides_stand_below_each_other() -> None:
    node = combine(
        "a.txt",
        [
            Difference(
                subject="line 3",
                outcome=Outcome.DIFFERENT,
                summary="differs",
                expected="x" * 70,
                actual="y" * 70,
            )
        ],
        kind="text",
    )
    assert render_difference(node, "text").splitlines()[-2:] == [
        f"                  A  {'x' * 70}",
        f"                  B  {'y' * 70}",
    ]
