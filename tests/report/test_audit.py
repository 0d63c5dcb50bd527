"""An audit and a report for outsiders, rendered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from reproof.errors import UsageError
from reproof.model.audit import MEANINGS, AuditFinding, AuditReport, LogEntry, Unchecked
from reproof.model.record import Byproducts, CodeSection, Metric, Omission, ProjectSection, Record, Tool
from reproof.report.audit import headline, render_audit
from reproof.report.checklists import CHECKLISTS, NOT_CAPTURED, Evidence, fill_in
from reproof.report.dossier import render_dossier

RECORD = Record(
    tool=Tool(version="0"),
    state="finished",
    created="2026-11-23T10:00:00.000Z",
    nonce="0" * 32,
    project=ProjectSection(name="bikes", command="python train.py <b>"),
    code=CodeSection(commit="1" * 40, tree="2" * 40),
    metrics=(Metric(key="rmse", value="0x1.0p+0"),),
    byproducts=Byproducts(exit_status=0, seconds=12.5, started="2026-11-23T10:00:01Z"),
    omissions=(Omission(subject="GPU", reason="no driver"),),
)
SIGNED = LogEntry(
    sequence=2,
    kind="finished",
    subject="a" * 64,
    said="finished",
    time="2026-11-23T10:01:00.000Z",
    name="Ada <script>",
    identity="ada@example.org",
    meaning="author",
    trusted=True,
)
SOUND = AuditReport(
    project="bikes",
    created="2026-11-23T11:00:00.000Z",
    origin="reproof/bikes/1",
    size=3,
    root="ab" * 32,
    signed=3,
    runs=1,
    entries=(SIGNED,),
    tool="reproof 0",
)
FOUND = AuditReport(
    project="bikes",
    created="2026-11-23T11:00:00.000Z",
    origin="reproof/bikes/1",
    size=3,
    root="ab" * 32,
    signed=2,
    runs=1,
    findings=(
        AuditFinding(
            name="metric-changed",
            subject="metric rmse at step 0 of MLflow run 7",
            summary="signed 1.0, now 0.5",
            expected="1.0",
            actual="0.5",
        ),
        AuditFinding(
            name="tag-added", severity="warning", subject="tag \x1b[31mnote", summary="the run did not set it"
        ),
    ),
    unchecked=(Unchecked("MLflow run 8", "cannot reach the server"),),
    entries=(SIGNED, LogEntry(sequence=1, kind="started", time="2026-11-23T10:00:00.000Z")),
    tool="reproof 0",
)
Golden = Callable[[str, str], None]


def test_text(golden: Golden) -> None:
    golden("audit_sound.txt", render_audit(SOUND, "text", width=80))
    golden("audit_found.txt", render_audit(FOUND, "text", width=80))
    assert "\x1b[31mnote" not in render_audit(FOUND, "text", color=True)


def test_headlines() -> None:
    assert headline(SOUND) == "the trail is whole"
    assert headline(FOUND) == "1 finding: this trail cannot be relied on"
    assert headline(AuditReport(project="x", created="")) == "there is no log"


def test_json() -> None:
    document = json.loads(render_audit(FOUND, "json"))
    assert document["schema"] == "reproof/audit/1"
    assert (document["sound"], document["errors"]) == (False, 1)
    assert [each["severity"] for each in document["findings"]] == ["error", "warning"]
    assert document["findings"][0]["meaning"] == MEANINGS["metric-changed"]


def test_html() -> None:
    text = render_audit(FOUND, "html")
    assert "<script>Ada" not in text
    assert "Ada &lt;script&gt;" in text
    assert "not trusted" not in text
    assert all(f"<code>{name}</code>" in text for name in MEANINGS)
    assert not re.search(r"(src|href)=", text)


def test_an_unknown_format() -> None:
    with pytest.raises(UsageError, match="unknown output format"):
        render_audit(SOUND, "junit")


def test_a_report_says_what_nobody_verified_or_signed() -> None:
    bare = render_dossier(Evidence(identity="a" * 64, record=RECORD), None, None)
    for words in (
        "never verified",
        "unsigned: nobody answers for this run",
        "the project has none",
        "no driver",
    ):
        assert words in bare
    assert not re.search(r"(src|href)=", bare)
    assert "&lt;b&gt;" in bare
    assert "<b>" not in bare.partition("<main>")[2].replace("<b>No", "")


@pytest.mark.parametrize("name", CHECKLISTS)
def test_a_checklist_claims_nothing_without_evidence(name: str) -> None:
    evidence = Evidence(identity="a" * 64, record=RECORD, entries=(SIGNED,))
    checklist = fill_in(name, evidence)
    answers = {each.question: each.answer for each in checklist.items}
    assert sum(answer == NOT_CAPTURED for answer in answers.values()) > len(answers) / 2
    assert not any(
        question for question, answer in answers.items() if "ethic" in question and answer != NOT_CAPTURED
    )
    page = render_dossier(evidence, FOUND, checklist)
    assert page.count("not captured") >= sum(answer == NOT_CAPTURED for answer in answers.values())
    assert "metric-changed" in page
    assert "signed by Ada" in page


def test_the_documentation_lists_every_finding() -> None:
    text = (Path(__file__).parents[2] / "docs/audit.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", text, re.MULTILINE))
    assert {name: rows[name] for name in MEANINGS} == MEANINGS
