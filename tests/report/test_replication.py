"""A replication on paper: every run a dot, nothing dropped, nothing foreign let through."""

from __future__ import annotations

import json
import re

import pytest

from reproof.errors import UsageError
from reproof.model.replication import (
    Arm,
    Contrast,
    Interval,
    Replicate,
    Replication,
    ReplicationPlan,
    Spread,
)
from reproof.report.replication import interval_text, render_replication

EVIL = "<script>alert(1)</script>\x1b[2J\u202e"


def replication(**changes: object) -> Replication:
    values = ((1, 9.5), (2, 10.5), (3, 10.5))
    spread = Spread(
        metric="loss", values=values, mean=10.1, sd=0.6, median=10.5, iqm=10.2, interval=Interval(9.5, 10.5),
        iqm_interval=Interval(9.5, 10.5), original=12.5, percentile=100.0, expected=Interval(8.0, 12.0),
        word="not consistent", reason="the recorded value lies above what runs with other seeds give",
    )  # fmt: skip
    arm = Arm(
        record="a" * 64,
        description="main gain=0",
        replicates=(
            *(Replicate(seed=seed, state="finished", seconds=1.5) for seed, _ in values),
            Replicate(seed=4, state="failed", exit_status=1, problem="Traceback\nValueError: no luck"),
            Replicate(seed=5, state="missing", problem="the room could not be made"),
        ),
        spreads=(spread, Spread(metric="none", word="too few runs")),
    )
    facts: dict[str, object] = {
        "id": "p" * 64,
        "plan": ReplicationPlan(created="2026-01-01T00:00:00Z", records=("a" * 64,), seeds=(1, 2, 3, 4, 5)),
        "project": "bikes",
        "word": "not consistent",
        "reasons": ("1 of 5 runs failed, the recorded one did not",),
        "arms": (arm,),
        "notes": ("the seed does not reach `rows`",),
        "conditions": (("isolation", "bubblewrap"),),
    }
    return Replication(**{**facts, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["text", "html"])
def test_everything_is_shown(form: str) -> None:
    shown = render_replication(replication(), form)
    for part in (
        "not consistent", "1 of 5 runs failed", "3 finished, 1 failed, 1 missing", "seed 4", "ValueError: no luck",
        "seed 5", "the room could not be made", "10.1", "9.5 .. 10.5", "12.5", "does not reach", "bubblewrap",
    ):  # fmt: skip
        assert part in shown, part
    assert "reproduced" not in shown
    assert shown.endswith("\n")


def test_the_page_draws_a_dot_for_each_run_and_marks_the_recorded_one() -> None:
    page = render_replication(replication(), "html")
    assert page.count('<circle class="run"') == 3
    assert page.count('<path class="original"') == 1
    assert page.count('class="interval"') == 1
    assert page.count('class="band"') == 1
    centres = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', page)
    assert len(set(centres)) >= 3  # equal values lie beside each other
    assert "http" not in page.replace("http-equiv", "")


def test_json_is_the_whole_document() -> None:
    document = json.loads(render_replication(replication(), "json"))
    assert document["schema"] == "reproof/replication/1"
    assert [each["state"] for each in document["arms"][0]["replicates"]][-2:] == ["failed", "missing"]


@pytest.mark.parametrize("form", ["text", "html", "json"])
def test_foreign_text_is_harmless(form: str) -> None:
    spread = Spread(metric=EVIL, values=((1, 1.0), (2, 2.0)), mean=1.5, word="consistent")
    arm = Arm(
        record="a" * 64,
        description=EVIL,
        replicates=(Replicate(seed=1, state="failed", problem=EVIL),),
        spreads=(spread,),
    )
    shown = render_replication(replication(arms=(arm,), project=EVIL, reasons=(EVIL,), notes=(EVIL,)), form)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "<script>alert" not in shown or form != "html"


def test_a_comparison_has_a_picture_of_the_differences() -> None:
    contrast = Contrast(
        metric="loss", claim="lower", recorded=-0.7, differences=((1, -0.5), (2, 0.25)), mean=-0.1,
        interval=Interval(-0.5, 0.25), p_value=0.6, probability=0.55, seeds_needed=1234, word="not consistent",
        reason="B is not shown to be lower than A",
    )  # fmt: skip
    one = replication()
    both = replication(arms=(one.arms[0], one.arms[0]), contrasts=(contrast,))
    page, text = render_replication(both, "html"), render_replication(both, "text")
    assert page.count('class="zero"') == 1
    assert page.count('<circle class="run"') == 3 * 2 + 2
    assert "1,234 seeds" in page
    assert "1,234 seeds" in text
    assert "-0.7 (lower)" in text


@pytest.mark.parametrize(
    "values",
    [[0.0, 0.0], [1e-300, 2e-300], [1e300, -1e300], [1e16, 1e16 + 2], [5e-324, 0.0], [-3.0, 1e9], [7.0, 7.0]],
    ids=str,
)
def test_numbers_of_any_size_can_be_drawn(values: list[float]) -> None:
    spread = Spread(metric="m", values=tuple(enumerate(values)), mean=values[0], original=values[1])
    arm = Arm(record="a" * 64, replicates=(), spreads=(spread,))
    page = render_replication(replication(arms=(arm,)), "html")
    assert page.count('<circle class="run"') == 2
    assert "nan" not in re.findall(r'<g class="axis">.*?</g>', page, re.DOTALL)[0]
    assert 'cx="inf"' not in page


def test_intervals_keep_the_digits_that_tell_their_ends_apart() -> None:
    assert interval_text(Interval(59.0712345, 59.0712399)) == "59.0712345 .. 59.0712399"
    assert interval_text(Interval(-1.0, 2.0)) == "-1 .. 2"
    assert interval_text(None) == "-"


def test_another_format_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown output format `pdf`"):
        render_replication(replication(), "pdf")
