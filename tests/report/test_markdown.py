from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report import render_difference, render_record, render_verdict
from reproof.report.markdown import code, escaped

Golden = Callable[[str, str], None]


@pytest.mark.parametrize("name", ["reproduced", "different", "inconclusive", "pipeline"])
def test_verdicts_look_as_agreed(
    name: str, record: Record, golden: Golden, request: pytest.FixtureRequest
) -> None:
    golden(f"{name}.md", render_verdict(request.getfixturevalue(name), record, "markdown"))


def test_records_and_differences_look_as_agreed(record: Record, different: Verdict, golden: Golden) -> None:
    golden("record.md", render_record(record, "9f2c41d0" * 8, "markdown"))
    golden("difference.md", render_difference(different.differences[-3], "markdown"))


def test_a_comment_fits_where_comments_go(large: Verdict) -> None:
    assert len(render_verdict(large, None, "markdown")) < 65_536


def test_foreign_text_mentions_nobody_and_opens_no_tag(hostile: Verdict, record: Record) -> None:
    text = re.sub(r"<code>.*?</code>", "", render_verdict(hostile, record, "markdown"))
    text = re.sub(r"(`+).*?\1", "", text)
    assert not re.search(r"@\w", text)
    assert "<script>" not in text.replace("\\<", "")
    assert set(re.findall(r"(?<!\\)</?([a-z]+)", text)) <= {"details", "summary", "code"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "`plain`"),
        ("a`b", "``a`b``"),
        ("`a`", "`` `a` ``"),
        ("a|b", "`a\\|b`"),
        ("", ""),
        ("  ", ""),
    ],
)
def test_code_spans_hold_anything(text: str, expected: str) -> None:
    assert code(text) == expected


def test_escapes() -> None:
    assert escaped("*a* @b #1 <c> [d](e) 2-1") == "\\*a\\* @&#8203;b #&#8203;1 \\<c> \\[d\\](e) 2-1"
