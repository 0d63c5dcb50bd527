from __future__ import annotations

import re

from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report import render_difference, render_verdict


def test_the_headline_comes_first_and_the_worst_follow(different: Verdict, record: Record) -> None:
    lines = render_verdict(different, record, "github").splitlines()
    assert lines[0] == (
        "::error title=not reproduced%3A bikes::6 of 12 comparisons came out other than the record says "
        "(5 different, 1 unknown, 1 close, 1 equivalent, 4 identical)"
    )
    assert lines[1].startswith("::error title=different (metrics)%3A test_rmse::38.114201 -> 38.120033")
    assert lines[-1] == "::notice title=not checked::stdout, gpu, logs/train.log"
    assert len(lines) == 8


def test_all_is_well_is_one_notice(reproduced: Verdict) -> None:
    assert render_verdict(reproduced, None, "github").startswith("::notice title=reproduced%3A bikes::")


def test_nothing_decided_is_a_warning(inconclusive: Verdict) -> None:
    text = render_verdict(inconclusive, None, "github")
    assert text.startswith("::warning title=inconclusive%3A bikes::")
    assert "not an image that can be read" in text


def test_no_more_annotations_than_are_shown(large: Verdict) -> None:
    lines = render_verdict(large, None, "github").splitlines()
    errors = [line for line in lines if line.startswith("::error")]
    assert len(errors) == 10
    assert errors[-1] == "::error title=and more::9,993 more: 9,993 different"


def test_a_name_cannot_start_a_command_of_its_own(hostile: Verdict, record: Record) -> None:
    for line in render_verdict(hostile, record, "github").splitlines():
        assert re.fullmatch(r"::(error|notice|warning) title=[^:,]*::.*", line)
        assert not re.search(r"%(?!25|3A|2C)", line)


def test_differences(different: Verdict, reproduced: Verdict) -> None:
    assert render_difference(different.differences[-1], "github").startswith(
        "::error title=unknown%3A mlflow/"
    )
    assert render_difference(reproduced.differences[-1], "github").startswith("::notice title=identical%3A ")
