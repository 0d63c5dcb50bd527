"""Objects of buckets: what becomes of the lines about them, and what a re-run may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from minimal import minimal_record
from reproof.capture.observations import Observations
from reproof.model.artifact import Artifact
from reproof.model.observation import Stored
from reproof.workflow.objects_read import differs, object_materials, pins, with_doubts

RECORD = minimal_record()


def stored(**fields: Any) -> Stored:
    return Stored(p=1, t=0.0, bucket="b", key="k", **fields)


def material(*lines: Stored) -> Artifact:
    (found,), _ = object_materials(Observations(list(lines)))
    return found


def of(**fields: Any) -> Artifact:
    return Artifact(name="s3://b/k", origin="external", **fields)


def test_parts_and_the_whole_are_one_material() -> None:
    found = material(
        stored(etag="e", size=4, whole=False, part="bytes 0-3/9", where="${PROJECT}/a.py:1"),
        stored(etag="e", sha256="11", size=9),
    )
    assert (found.name, found.digests, found.size, found.etag) == ("s3://b/k", {"sha256": "11"}, 9, "e")
    assert found.note == "read at ${PROJECT}/a.py:1"


def test_of_parts_alone_there_is_no_digest() -> None:
    found = material(stored(etag="e", sha256="11", size=4, whole=False, part="bytes 0-3/9"))
    assert (found.digests, found.note) == ({}, "not read to its end, or in parts")


def test_other_content_later_is_told_and_the_first_is_recorded() -> None:
    lines = [stored(version="1", etag="e", sha256="11"), stored(version="2", etag="f", sha256="22")]
    (found,), (omission,) = object_materials(Observations(lines))
    assert (found.version, found.digests) == ("1", {"sha256": "11"})
    assert "version `1` first, version `2` later" in omission.reason


def test_no_password_of_an_endpoint_is_recorded() -> None:
    assert material(stored(endpoint="https://me:canary@store.example/")).source == "https://store.example/"


@pytest.mark.parametrize(
    ("recorded", "again", "expected"),
    [
        (of(digests={"sha256": "1"}), of(digests={"sha256": "2"}, etag="e"), True),
        (of(digests={"sha256": "1"}, etag="e"), of(digests={"sha256": "1"}, etag="f"), False),
        (of(etag="e"), of(etag="e"), False),
        (of(etag="e"), of(etag="f"), True),
        (of(version="1"), of(version="1"), False),
        (of(version="1", digests={"sha256": "1"}), of(version="1", digests={"sha256": "2"}), True),
        (of(version="1"), of(version="2"), None),
        (of(etag="e"), of(), None),
        (of(), of(), None),
    ],
)
def test_what_two_sides_say_of_each_other(recorded: Artifact, again: Artifact, expected: bool | None) -> None:
    assert differs(recorded, again) is expected
    before, after = (msgspec.structs.replace(RECORD, materials=(each,)) for each in (recorded, again))
    doubts = with_doubts(after, before).omissions
    assert [each.hides_results for each in doubts] == ([] if expected is False else [True])


def test_only_versions_are_pinned(tmp_path: Path) -> None:
    other = Artifact(name="gs://b/é/ü", origin="external", version="7")
    materials = (of(version="a b"), Artifact(name="s3://b/é ü", origin="external", etag="e"), other)
    variables = pins(msgspec.structs.replace(RECORD, materials=materials), tmp_path)
    assert Path(variables["REPROOF_OBJECTS"]).read_text() == "s3/b/k a%20b\ngs/b/%C3%A9/%C3%BC 7\n"
    assert pins(RECORD, tmp_path) == {}


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_objects_of_other_stores_have_names_of_their_own(scheme: str) -> None:
    found = material(stored(scheme=scheme, version="7", etag="e", whole=False))
    assert (found.name, found.version, found.is_web) == (f"{scheme}://b/k", "7", True)
    assert differs(found, msgspec.structs.replace(found, version="8", etag="f")) is True


def test_a_version_is_one_content_under_whatever_etag() -> None:
    lines = [stored(scheme="gs", version="7", etag=etag, whole=False) for etag in ("e", "f")]
    _, omissions = object_materials(Observations(lines))
    assert omissions == ()
