"""Tables of what came of an experiment."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from reproof.errors import UsageError
from reproof.model.survey import Survey, SurveyRow, exit_status_of
from reproof.report.survey import render_survey

ROWS = (
    SurveyRow(
        run_id="a" * 32, name="first", started="2026-01-02T03:04:05Z", kind="recorded", word="reproduced"
    ),
    SurveyRow(
        run_id="b" * 32,
        name="second",
        started="2026-01-03T03:04:05Z",
        kind="reconstructed",
        word="reconstructed",
    ),
    SurveyRow(
        run_id="c" * 32,
        name="\x1b[31mred\u202e",
        started="2026-01-04T03:04:05Z",
        word="not reproduced",
        stability="varies",
        detail="varies by itself; metric:loss: 1.0 -> 2.0",
    ),
    SurveyRow(
        run_id="d" * 32,
        missing="data",
        reason="the run reads `data/x.csv`, and neither Git nor DVC has it",
        hint="pass `--data data/x.csv=PATH`",
    ),
)
SURVEY = Survey(experiment="bikes", store="http://server", rows=ROWS, kept=2, nested=1)


def test_text(golden: Callable[[str, str], None]) -> None:
    golden("survey", render_survey(SURVEY, "text"))


def test_every_form_says_the_same_and_nothing_active() -> None:
    assert len(json.loads(render_survey(SURVEY, "json"))["rows"]) == 4
    page = render_survey(SURVEY, "html")
    assert "2 of 4 runs came out the same" in page
    for text in (page, render_survey(SURVEY, "json"), render_survey(SURVEY, "text")):
        assert "\x1b[31m" not in text
        assert "\u202e" not in text
    with pytest.raises(UsageError):
        render_survey(SURVEY, "junit")


@pytest.mark.parametrize(
    ("rows", "status"), [(ROWS[:2], 0), (ROWS[:3], 1), (ROWS, 1), (ROWS[:2] + ROWS[3:], 3), ((), 3)]
)
def test_exit_status(rows: tuple[SurveyRow, ...], status: int) -> None:
    survey = Survey(experiment="e", store="s", rows=rows)
    assert exit_status_of(survey) == status
    assert f"exit status {status}" in render_survey(survey, "text")
