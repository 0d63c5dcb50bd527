from __future__ import annotations

import hashlib
import json

import pytest

from reproof.model.codec import decode_verdict, encode, record_id
from reproof.model.difference import Difference, Outcome, combine
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report import render_difference, render_record, render_verdict


@pytest.mark.parametrize("name", ["reproduced", "different", "inconclusive", "large"])
def test_a_verdict_reads_back_by_its_codec(name: str, record: Record, request: pytest.FixtureRequest) -> None:
    verdict = request.getfixturevalue(name)
    text = render_verdict(verdict, record, "json")
    assert decode_verdict(text.encode(), where="here") == verdict


def test_the_readable_part_has_words_and_numbers(different: Verdict, record: Record) -> None:
    readable = json.loads(render_verdict(different, record, "json"))["readable"]
    assert readable["outcome"] == "different"
    assert readable["exit_status"] == 1
    assert readable["counts"] == {"different": 5, "unknown": 1, "close": 1, "equivalent": 1, "identical": 4}
    rmse = readable["compared"]["metrics"][0]
    assert (rmse["expected"], rmse["actual"], rmse["accepted"]) == (38.114201, 38.120033, False)
    assert readable["compared"]["artifacts"][1]["size"] == 3_400_000
    assert readable["compared"]["parameters"][0]["expected"] == "200"


def test_what_json_has_no_numbers_for_becomes_text() -> None:
    verdict = Verdict(
        record="",
        created="",
        outcome=Outcome.DIFFERENT,
        word="not reproduced",
        reproduced=False,
        differences=(
            Difference(
                subject="metric:a",
                outcome=Outcome.DIFFERENT,
                summary="",
                kind="metric",
                expected="nan",
                actual="-inf",
            ),
        ),
    )
    row = json.loads(render_verdict(verdict, None, "json"), parse_constant=pytest.fail)["readable"][
        "compared"
    ]
    assert (row["metrics"][0]["expected"], row["metrics"][0]["actual"]) == ("nan", "-inf")


def test_a_record_keeps_its_bytes_and_so_its_id(record: Record) -> None:
    data = render_record(record, "", "json").encode()
    assert data == encode(record)
    assert hashlib.sha256(data).hexdigest() == record_id(encode(record))


def test_a_difference_has_a_schema_of_its_own(different: Verdict) -> None:
    document = json.loads(render_difference(different.differences[-2], "json"))
    assert document["schema"] == "reproof/difference/1"
    assert document["sides"] == ["A", "B"]
    assert document["outcome"] == "equivalent"


def test_a_tree_too_deep_for_json_is_cut_and_says_so() -> None:
    node = Difference(subject="bottom", outcome=Outcome.DIFFERENT, summary="differs")
    for _ in range(5000):
        node = combine("level", [node], kind="json")
    verdict = Verdict(
        record="",
        created="",
        outcome=Outcome.DIFFERENT,
        word="not reproduced",
        reproduced=False,
        differences=(node,),
    )
    text = render_verdict(verdict, None, "json")
    assert '"left_out": 1' in text
    assert decode_verdict(text.encode(), where="here").outcome == Outcome.DIFFERENT
