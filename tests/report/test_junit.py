from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report import render_difference, render_verdict


@pytest.mark.parametrize("name", ["different", "inconclusive", "pipeline"])
def test_verdicts_look_as_agreed(
    name: str, record: Record, golden: Callable[[str, str], None], request: pytest.FixtureRequest
) -> None:
    golden(f"{name}.xml", render_verdict(request.getfixturevalue(name), record, "junit"))


@pytest.mark.parametrize("name", ["reproduced", "different", "inconclusive", "hostile", "large"])
def test_the_totals_are_those_of_the_cases(name: str, request: pytest.FixtureRequest) -> None:
    root = ET.fromstring(render_verdict(request.getfixturevalue(name), None, "junit"))
    suite = root.find("testsuite")
    assert suite is not None
    for total, tag in (
        ("tests", "testcase"),
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
    ):
        assert int(suite.attrib[total]) == len(list(root.iter(tag)))


def test_not_accepted_fails_and_not_checked_is_skipped(different: Verdict) -> None:
    root = ET.fromstring(render_verdict(different, None, "junit"))
    failed = {case.attrib["name"] for case in root.iter("testcase") if case.find("failure") is not None}
    assert failed == {
        "test_rmse",
        "loss",
        "val_auc",
        "outputs/predictions.csv",
        "mlflow/models/model/model.skops",
        "mlflow/artifacts/residuals.png",
    }
    skipped = {case.attrib["name"] for case in root.iter("testcase") if case.find("skipped") is not None}
    assert skipped == {"stdout", "gpu", "logs/train.log"}
    unknown = next(root.iter("failure[@type='unknown']"), None) or root.find(".//failure[@type='unknown']")
    assert unknown is not None
    assert unknown.attrib["message"] == "not an image that can be read"


def test_hostile_text_reads_back_as_plain_text(hostile: Verdict) -> None:
    root = ET.fromstring(render_verdict(hostile, None, "junit"))
    assert any("<script>alert(1)</script>" in case.attrib["name"] for case in root.iter("testcase"))
    assert not list(root.iter("script"))


def test_a_difference_is_one_case(different: Verdict, reproduced: Verdict) -> None:
    bad = ET.fromstring(render_difference(different.differences[-3], "junit"))
    good = ET.fromstring(render_difference(reproduced.differences[-1], "junit"))
    assert bad.attrib["failures"] == "1"
    assert good.attrib["failures"] == "0"
