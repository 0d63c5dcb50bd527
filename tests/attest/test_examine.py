"""What a log says about itself: entries of any content are read without a crash, and judged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attesting import NOW
from reproof.attest import checkpoint as notes
from reproof.attest.claims import Claim, TrackedRuns, finished, planned, replicated, started
from reproof.attest.dsse import seal
from reproof.attest.examine import Entry, Examined, examine
from reproof.attest.log import LogContent
from reproof.attest.merkle import leaf_hash, root_of
from reproof.attest.story import check_story
from reproof.model.record import Byproducts, CodeSection, ProjectSection, Record, Tool
from reproof.model.replication import Arm, Replicate, Replication, ReplicationPlan
from reproof.model.statement import (
    PLANNED,
    PROVENANCE,
    REPLICATED,
    STARTED,
    VERDICT,
    Position,
    Signer,
    Subject,
)
from reproof.report.audit import entry_rows

RECORD = Record(
    tool=Tool(version="0"),
    state="finished",
    created=NOW,
    nonce="a" * 32,
    project=ProjectSection(name="x", command="true"),
    code=CodeSection(commit="1" * 40, tree="2" * 40),
    byproducts=Byproducts(started=NOW),
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def log_of(*claims: Claim, times: tuple[str, ...] = ()) -> LogContent:
    import hashlib

    entries, previous = [], ""
    for number, claim in enumerate(claims):
        time = times[number] if times else NOW
        at = Position(origin="o", sequence=number, previous=previous)
        entries.append(seal(claim.stated(Signer(time=time), at), None))
        previous = hashlib.sha256(entries[-1]).hexdigest()
    root = root_of([leaf_hash(entry) for entry in entries])
    return LogContent(entries=tuple(entries), checkpoint=notes.write("o", len(entries), root, None))


def names(content: LogContent) -> set[str]:
    examined = examine(content, (), ())
    return {each.name for each in (*examined.findings, *check_story(examined.entries))}


def test_an_honest_run() -> None:
    content = log_of(started(RECORD), finished("b" * 64, RECORD, {}, TrackedRuns()))
    assert names(content) == {"unsigned"}


def test_stories_of_seeds() -> None:
    plan = ReplicationPlan(created=NOW, records=("b" * 64,), seeds=(1, 2, 3))

    def outcome(*seeds: int, state: str = "finished") -> Claim:
        runs = tuple(Replicate(seed=seed, state=state) for seed in seeds)  # type: ignore[arg-type]
        arms = (Arm(record="b" * 64, replicates=runs),)
        return replicated(Replication(id=plan.id, plan=plan, word="consistent", arms=arms))

    assert names(log_of(planned(plan), outcome(1, 2, 3))) == {"unsigned"}
    assert names(log_of(planned(plan), outcome(1, 2, 3, state="failed"))) == {"unsigned"}
    assert "replication-unfinished" in names(log_of(planned(plan)))
    assert "replication-unplanned" in names(log_of(outcome(1, 2, 3)))
    assert "replication-unplanned" in names(log_of(outcome(1, 2, 3), planned(plan)))
    assert "replication-incomplete" in names(log_of(planned(plan), outcome(1, 3)))
    assert "replication-incomplete" in names(log_of(planned(plan), outcome(1, 2, 3, state="missing")))
    assert "replication-incomplete" in names(log_of(planned(plan), outcome(1, 2, 3, 4)))


def test_stories() -> None:
    begin, end = started(RECORD), finished("b" * 64, RECORD, {}, TrackedRuns())
    assert "run-unfinished" in names(log_of(begin))
    assert "run-unstarted" in names(log_of(end))
    assert "run-unstarted" in names(log_of(end, begin))
    assert "run-repeated" in names(log_of(begin, end, end))
    assert "clock" in names(log_of(begin, end, times=(NOW, "2025-01-01T00:00:00.000Z")))
    assert "time-mismatch" in names(log_of(begin, end, times=("2027-01-01T00:00:00.000Z",) * 2))


@pytest.mark.parametrize("began", ["", "yesterday", "2026-11-23T10:00:00", 7, None])
def test_a_start_in_any_form(began: Any) -> None:
    end = finished("b" * 64, RECORD, {}, TrackedRuns())
    end.predicate["runDetails"]["metadata"]["startedOn"] = began
    assert names(log_of(started(RECORD), end)) <= {"unsigned", "time-mismatch"}


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from([STARTED, PROVENANCE, VERDICT, PLANNED, REPLICATED, "x"]),
    predicate=st.dictionaries(
        st.sampled_from(
            [
                "nonce",
                "parameters",
                "buildDefinition",
                "runDetails",
                "document",
                "reason",
                "plan",
                "seeds",
                "records",
                "runs",
                "x",
            ]
        ),
        ANY,
        max_size=4,
    ),
)
def test_any_predicate_is_read_without_a_crash(kind: str, predicate: dict[str, Any]) -> None:
    claim = Claim(subject=(Subject(name="s", digest={}),), predicate_type=kind, predicate=predicate)
    examined: Examined = examine(log_of(claim, claim), (), ())
    check_story(examined.entries)
    entry_rows(tuple(entry.shown() for entry in examined.entries))
    for entry in examined.entries:
        assert isinstance(entry, Entry)
        assert isinstance(entry.tracked, TrackedRuns)
