"""Zip files as formats use them: sums are checked, and what contradicts the directory is seen."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from model_samples import FILES

from reproof.compare import new_context
from reproof.compare.protocol import ContentError, Source
from reproof.compare.zip_views import compare_containers, has_members, zip_views
from reproof.model.difference import Outcome


def packed(
    members: dict[str, bytes], method: int = zipfile.ZIP_STORED, date: Any = (1980, 1, 1, 0, 0, 0)
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, date)
            info.compress_type = method
            archive.writestr(info, content)
    return buffer.getvalue()


def source(data: bytes) -> Source:
    return Source(name="a.zip", data=data)


MEMBERS = {"a.bin": bytes(range(256)) * 4, "folder/b.txt": b"text"}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_views(method: int) -> None:
    side = source(packed(MEMBERS, method))
    with zip_views(side, new_context(side, side)) as views:
        assert views.names == list(MEMBERS)
        assert ("a.bin" in views, "c" in views, views.size("a.bin"), views.size("c")) == (
            True,
            False,
            1024,
            0,
        )
        assert bytes(views.view("a.bin")) == MEMBERS["a.bin"]
        assert views.oddities() == []
        with pytest.raises(ContentError, match="missing"):
            views.view("c")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_is_seen_by_the_sum(method: int) -> None:
    data = bytearray(packed(MEMBERS, method))
    data[60] ^= 1
    side = source(bytes(data))
    with zip_views(side, new_context(side, side)) as views, pytest.raises(ContentError):
        views.view("a.bin")


@pytest.mark.parametrize("place", [4, 6, 8, 10, 14, 18, 22])
def test_headers_that_contradict_the_directory_are_odd(place: int) -> None:
    whole = packed(MEMBERS)
    changed = bytearray(whole)
    changed[place] ^= 4
    sides = source(whole), source(bytes(changed))
    context = new_context(*sides)
    with zip_views(sides[0], context) as one, zip_views(sides[1], context) as two:
        assert two.oddities() == ["the header of `a.bin`"]
        _, hidden = compare_containers(one, two)
        assert [part.outcome for part in hidden] == [Outcome.UNKNOWN]


def test_dates_and_compression_are_named() -> None:
    sides = source(packed(MEMBERS)), source(packed(MEMBERS, zipfile.ZIP_DEFLATED, (2020, 2, 2, 2, 2, 2)))
    context = new_context(*sides)
    with zip_views(sides[0], context) as one, zip_views(sides[1], context) as two:
        names, hidden = compare_containers(one, two)
    assert names == {"zip compression", "zip member dates"}
    assert hidden == []


def test_bytes_between_members_are_content() -> None:
    whole = packed(MEMBERS)
    sides = source(whole), source(b"hidden" + whole)
    context = new_context(*sides)
    with zip_views(sides[0], context) as one, zip_views(sides[1], context) as two:
        _, hidden = compare_containers(one, two)
    assert Outcome.DIFFERENT in [part.outcome for part in hidden]


def test_two_members_of_one_name_are_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"2")
    side = source(buffer.getvalue())
    with pytest.raises(ContentError, match="same name"), zip_views(side, new_context(side, side)):
        pass


@pytest.mark.parametrize("name", ["state_a.pt", "script_a.pt", "types_a.pt", "keras_a.keras"])
def test_writers_of_frameworks_do_nothing_odd(name: str) -> None:
    side = Source.of(FILES / name)
    with zip_views(side, new_context(side, side)) as views:
        assert views.oddities() == []


def test_has_members(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(packed(MEMBERS))
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04 no zip")
    assert has_members(Source.of(tmp_path / "a.zip"), "a.bin", "*/b.txt")
    assert not has_members(Source.of(tmp_path / "a.zip"), "b.txt")
    assert not has_members(Source.of(tmp_path / "b.zip"), "a.bin")
