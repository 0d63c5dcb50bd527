"""Records and verdicts survive writing and reading; damaged ones are named."""

from __future__ import annotations

import hashlib
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimal import minimal_record
from reproof.errors import RecordError
from reproof.model.artifact import Artifact
from reproof.model.codec import decode_record, decode_verdict, encode, record_id
from reproof.model.difference import Difference, Outcome
from reproof.model.record import CodeSection, Metric, Omission, ProjectSection, Record, Tool
from reproof.model.verdict import Condition, NotChecked, Verdict

text = st.text(st.characters(codec="utf-8"), max_size=30)
digests = st.dictionaries(
    st.sampled_from(["blake3", "md5"]), st.text(string.hexdigits.lower(), min_size=8, max_size=64)
)
#: Names that lead out of a project are refused: that has a test of its own.
names = text.filter(lambda name: "\0" not in name and ".." not in name.split("/"))
artifacts = st.builds(Artifact, name=names, digests=digests, size=st.integers(0, 2**60), kept=st.booleans())
records = st.builds(
    Record,
    tool=st.builds(Tool, version=text),
    state=st.sampled_from(["unfinished", "finished", "failed", "interrupted"]),
    created=text,
    nonce=text,
    project=st.builds(
        ProjectSection, name=text, command=text, parameters=st.dictionaries(text, text, max_size=3)
    ),
    code=st.builds(CodeSection, commit=text, tree=text, dirty=st.booleans()),
    materials=st.lists(artifacts, max_size=3).map(tuple),
    metrics=st.lists(
        st.builds(Metric, key=text, value=st.floats().map(float.hex), step=st.integers(-5, 5)), max_size=4
    ).map(tuple),
    omissions=st.lists(
        st.builds(Omission, subject=text, reason=text, hides_results=st.booleans()), max_size=2
    ).map(tuple),
)


@given(records)
def test_a_record_survives(record: Record) -> None:
    data = encode(record)
    assert decode_record(data, where="x") == record
    assert encode(decode_record(data, where="x")) == data
    assert record_id(data) == hashlib.sha256(data).hexdigest()


def test_a_verdict_survives() -> None:
    verdict = Verdict(
        record="a" * 64,
        created="2026-01-01T00:00:00Z",
        outcome=Outcome.CLOSE,
        word="not reproduced",
        reproduced=False,
        differences=(Difference(subject="m", outcome=Outcome.CLOSE, summary="s", evidence={"ulp": 3}),),
        conditions=(Condition("isolation", "process"),),
        not_checked=(NotChecked("a", "b"),),
    )
    assert decode_verdict(encode(verdict), where="x") == verdict
    with_a_field_of_another_version = encode(verdict).replace(b'"record":', b'"trouble":"none","record":')
    assert decode_verdict(with_a_field_of_another_version, where="x") == verdict


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "damaged"),
        (b'{"schema": "reproof/record/1", "tool"', "damaged"),
        (b"\xff\xfe", "damaged"),
        (b'{"schema": "reproof/record/2"}', "newer schema"),
        (b'{"schema": "other/1"}', "not a record"),
        (b'{"schema": "reproof/record/1", "state": "odd"}', "does not follow"),
        (b"[]", "damaged"),
    ],
)
def test_bad_documents_are_named(data: bytes, words: str) -> None:
    with pytest.raises(RecordError, match=words):
        decode_record(data, where="some file")


def test_defaults_are_not_written() -> None:
    record = minimal_record()
    assert set(msgspec.json.decode(encode(record))) == {
        "schema",
        "tool",
        "state",
        "created",
        "nonce",
        "project",
        "code",
    }
