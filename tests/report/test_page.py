from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report import render_difference, render_list, render_record, render_verdict
from reproof.report.protocol import ListedRun

VOID = {"meta", "circle", "path", "input", "br", "link"}


class Outline(HTMLParser):
    """Checks that elements nest, and collects them with their attributes and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    outline.close()
    assert outline.stack == []
    return outline


def rest_of(page: str) -> dict[str, list[list[str]]]:
    match = re.search(r'<script type="application/json" id="rest">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    result: dict[str, list[list[str]]] = json.loads(match[1])
    return result


@pytest.mark.parametrize("name", ["reproduced", "different", "inconclusive", "hostile", "large"])
def test_a_page_stands_alone(name: str, record: Record, request: pytest.FixtureRequest) -> None:
    page = render_verdict(request.getfixturevalue(name), record, "html")
    outline = read(page)
    assert [tag for tag, _ in outline.elements].count("script") == 2
    for tag, attributes in outline.elements:
        assert tag not in {"link", "img", "iframe", "object", "base", "form"}
        assert not {"src", "href", "onclick", "onerror"} & set(attributes)
    assert "@import" not in page
    assert not re.search(r"url\(", page)
    assert len(page.encode()) < 5_000_000


def test_only_our_script_may_run(different: Verdict) -> None:
    page = render_verdict(different, None, "html")
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


def test_it_follows_the_colours_of_the_reader_and_prints(different: Verdict) -> None:
    page = render_verdict(different, None, "html")
    assert "@media (prefers-color-scheme: dark)" in page
    assert "@media print" in page


def test_the_differing_are_unfolded_and_the_others_folded(different: Verdict, record: Record) -> None:
    outline = read(render_verdict(different, record, "html"))
    items = [attributes for tag, attributes in outline.elements if tag == "details"]
    assert {"class": "item", "open": None} in items
    text = " ".join(outline.text)
    for words in (
        "not reproduced",
        "test_rmse",
        "38.120033",
        "steps[1].regressor.n_estimators",
        "variable OMP_NUM_THREADS",
        "ignored by rule: written by the scheduler",
        "consistent",
        "1a2b3c4d",
        "accepted by the policy",
    ):
        assert words in text


def test_hostile_text_is_shown_and_not_obeyed(hostile: Verdict, record: Record) -> None:
    outline = read(render_verdict(hostile, record, "html"))
    assert "<script>alert(1)</script>" in " ".join(outline.text)
    assert [tag for tag, _ in outline.elements].count("script") == 2


def test_ten_thousand_differences_are_all_on_the_page(large: Verdict) -> None:
    page = render_verdict(large, None, "html")
    assert page.count('class="item"') == 200
    rest = rest_of(page)
    names = {line[1] for lines in rest.values() for line in lines}
    assert {f"outputs/part-{number:05}.csv" for number in range(200, 9_999)} <= names
    assert "cache/9999" in names
    assert "$.rows[9999].value" in page  # the one that differs among 9,999 that are equivalent
    assert "9,801 more: 9,801 different" in page


def test_worse_than_anything_stays_within_the_limit() -> None:
    from reproof.model.difference import Difference, Outcome, combine

    evil = "<&>\"'" * 400
    leaves = [
        Difference(
            subject=f"{number}{evil}", outcome=Outcome.DIFFERENT, summary=evil, expected=evil, actual=evil * 2
        )
        for number in range(300)
    ]
    verdict = Verdict(
        record="",
        created="",
        outcome=Outcome.DIFFERENT,
        word="not reproduced",
        reproduced=False,
        differences=tuple(combine(f"{number}{evil}", leaves, kind="text") for number in range(300)),
    )
    assert len(render_verdict(verdict, None, "html").encode()) < 5_000_000


def test_differences_records_and_lists_are_pages_too(different: Verdict, record: Record) -> None:
    read(render_difference(different.differences[-3], "html"))
    text = " ".join(read(render_record(record, "9f2c41d0" * 8, "html")).text)
    assert "scikit-learn" in text
    assert "555 KiB, blake3:9f2c41d0, from data/bikes.csv.dvc" in text
    rows = [ListedRun(record="ab" * 32, project="bikes", verdict="not reproduced")]
    assert "not reproduced" in " ".join(read(render_list(rows, "html")).text)
