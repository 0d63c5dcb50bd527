# `format` is the word of the command line
"""Conformance of all formats: every renderer, the same demands."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from reproof.errors import UsageError
from reproof.model.difference import Difference, Outcome, combine
from reproof.model.finding import Finding
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report import (
    FORMATS,
    render_difference,
    render_findings,
    render_list,
    render_record,
    render_verdict,
)
from reproof.report.protocol import ListedRun

ALL = pytest.mark.parametrize("format", list(FORMATS))
DISPLAYS = pytest.mark.parametrize("format", ["text", "json", "html", "markdown"])
ROWS = (
    ListedRun(
        record="9f2c41d0" * 8,
        run_id="df8805c0" * 4,
        created="2026-11-23T09:00:00Z",
        project="bikes",
        entry_point="main",
        state="finished",
        seconds=12.4,
        verdict="reproduced",
        verified="2026-11-23T09:15:02Z",
    ),
    ListedRun(record="ab" * 32, created="2026-11-22T08:00:00Z", project="bikes", state="failed"),
)

#: Nothing of these may stand in any document: escapes, bidirectional marks, NUL, noncharacters.
ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202e\ufffe\ud800-\udfff]")


def sound(text: str) -> str:
    text.encode()
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    found = ACTIVE.search(text)
    assert found is None, repr(text[max(0, found.start() - 40) : found.end() + 40])
    return text


@ALL
@pytest.mark.parametrize("name", ["reproduced", "different", "inconclusive", "hostile", "large"])
def test_every_verdict_renders_to_sound_text(
    format: str, name: str, record: Record, request: pytest.FixtureRequest
) -> None:
    verdict = request.getfixturevalue(name)
    text = sound(render_verdict(verdict, record, format))
    sound(render_verdict(verdict, None, format))
    assert verdict.word in text


@ALL
def test_rendering_is_deterministic(format: str, different: Verdict, record: Record) -> None:
    assert render_verdict(different, record, format) == render_verdict(different, record, format)


@ALL
def test_every_subject_that_was_not_accepted_is_named(
    format: str, different: Verdict, record: Record
) -> None:
    text = render_verdict(different, record, format).replace("\\_", "_")
    for name in ("test_rmse", "loss", "val_auc", "outputs/predictions.csv", "model.skops", "residuals.png"):
        assert name in text


@ALL
def test_hostile_differences_render_to_sound_text(format: str, hostile: Verdict) -> None:
    for difference in hostile.differences:
        sound(render_difference(difference, format))


@ALL
def test_a_tree_deeper_than_any_stack_is_rendered(format: str, different: Verdict) -> None:
    node = Difference(subject="bottom", outcome=Outcome.DIFFERENT, summary="differs")
    for number in range(20_000):
        node = combine(f"level {number}", [node], kind="json")
    assert "level 19999" in sound(render_difference(node, format))


@DISPLAYS
def test_records_and_lists_are_shown(format: str, record: Record) -> None:
    assert "bikes" in sound(render_record(record, "9f2c41d0" * 8, format))
    text = sound(render_list(ROWS, format))
    assert "9f2c41d09f2c" in text
    sound(render_list([], format))


@pytest.mark.parametrize("format", ["junit", "github"])
def test_results_of_tests_cannot_show_a_record(
    format: str, record: Record, golden: Callable[[str, str], None]
) -> None:
    with pytest.raises(UsageError, match="cannot show a record"):
        render_record(record, "", format)
    with pytest.raises(UsageError, match="cannot show a list of runs"):
        render_list(ROWS, format)


FINDINGS = (
    Finding(name="git", ok=True, required=True, value="git version 2.39.5 (/usr/bin/git)"),
    Finding(
        name="bubblewrap",
        ok=False,
        value="user namespaces are not allowed",
        meaning="re-runs are isolated by `process` only: what they write elsewhere is noticed, not prevented",
    ),
    Finding(
        name="uv", ok=False, required=True, value="not found\x1b[2J", meaning="no environment can be made"
    ),
)


@DISPLAYS
def test_findings_are_shown(format: str) -> None:
    text = sound(render_findings(FINDINGS, format))
    assert "bubblewrap" in text
    assert "missing" in text or '"ok": false' in text


def test_findings_as_text(golden: Callable[[str, str], None]) -> None:
    golden("findings.txt", render_findings(FINDINGS, "text"))


@pytest.mark.parametrize("outcome", [Outcome.EQUIVALENT, Outcome.CLOSE, Outcome.UNKNOWN, Outcome.DIFFERENT])
def test_a_difference_passes_up_to_what_is_accepted(outcome: Outcome) -> None:
    node = Difference(subject="a", outcome=outcome, summary="b")
    passed = outcome <= Outcome.CLOSE
    assert ('failures="0"' in render_difference(node, "junit", accept=Outcome.CLOSE)) is passed
    assert ("::notice" in render_difference(node, "github", accept=Outcome.CLOSE)) is passed
    assert ('<body class="good">' in render_difference(node, "html", accept=Outcome.CLOSE)) is passed


def test_an_unknown_format_lists_the_known(different: Verdict) -> None:
    with pytest.raises(UsageError, match="unknown output format `yaml`") as raised:
        render_verdict(different, None, "yaml")
    assert raised.value.details == (("known", "text, json, html, markdown, junit, github"),)


def test_lists_as_text(golden: Callable[[str, str], None]) -> None:
    golden("list.txt", render_list(ROWS, "text"))


def test_text_needs_neither_rich_nor_jinja2() -> None:
    code = (
        "import sys; from reproof.model.difference import *; from reproof.report import render_difference;"
        "render_difference(Difference(subject='a', outcome=Outcome.CLOSE, summary='b'), 'text');"
        "print([name for name in ('rich', 'jinja2', 'numpy', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
