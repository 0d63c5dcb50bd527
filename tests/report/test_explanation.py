"""How an explanation is told: every part of it, in each form, and nothing of a run gets through unescaped."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest

from reproof.errors import UsageError
from reproof.model.explanation import Attempt, Explanation, Factor
from reproof.report.explanation import render_explanation

NUMPY = Factor(kind="package", name="numpy", before="2.3.5", after="2.4.6")
PROVEN = Explanation(
    a="a" * 64,
    b="b" * 64,
    project="houses",
    status="proven",
    question="which factor makes the results differ",
    causes=(NUMPY,),
    evidence=(
        "A and B made again are the same as recorded (1 of 1 run each)",
        "swapping `numpy 2.3.5 -> 2.4.6` alone reproduces B bit for bit (2 of 2 runs); swapping it back restores A",
    ),
    subjects=("metric:rmse", "model.json"),
    aside=(("parameter:rate", "it repeats the set-up"),),
    factors=(
        NUMPY,
        Factor(kind="code", name="train.py", where="train.py:8", parts=3),
        Factor(kind="isa", name="CPU instruction sets", before="avx512f", obstacle="needs other hardware"),
    ),
    attempts=(
        Attempt(swapped="nothing", came="A", summary="the result of A", seconds=1.5),
        Attempt(swapped="numpy", came="B", summary="the result of B", again=1),
        Attempt(swapped="train.py", came="unresolved", summary="TypeError: no"),
    ),
    runs=3,
    remembered=1,
    budget="20",
    conditions=(("isolation", "bubblewrap"),),
)
SUSPECTED = msgspec.structs.replace(
    PROVEN,
    status="suspected",
    causes=(),
    suspects=(
        NUMPY,
        Factor(kind="data", name="\x1b[31mrows<script>.csv", where="\x1b[31mrows<script>.csv:3"),
    ),
    evidence=(),
    reason="not found within the budget of 20 re-runs",
)


@pytest.mark.parametrize(("name", "explanation"), [("proven", PROVEN), ("suspected", SUSPECTED)])
def test_text(golden: Callable[[str, str], None], name: str, explanation: Explanation) -> None:
    golden(f"explanation-{name}.txt", render_explanation(explanation, "text"))


def test_json_has_the_promised_form() -> None:
    document = json.loads(render_explanation(PROVEN, "json"))
    assert document["status"] == "proven"
    (cause,) = document["causes"]
    assert {key: cause[key] for key in ("kind", "name", "from", "to", "where")} == {
        "kind": "package",
        "name": "numpy",
        "from": "2.3.5",
        "to": "2.4.6",
        "where": None,
    }
    assert (document["runs"], document["suspects"]) == (3, [])
    assert len(document["evidence"]) == 2


def test_page() -> None:
    page = render_explanation(SUSPECTED, "html")
    assert "rows&lt;script&gt;.csv" in page
    assert "\x1b" not in page
    assert "needs other hardware" in page
    assert "swapping it back restores A" in render_explanation(PROVEN, "html")


def test_unknown_form() -> None:
    with pytest.raises(UsageError, match="unknown output format `xml`"):
        render_explanation(PROVEN, "xml")
