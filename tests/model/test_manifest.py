"""The canonical form of a folder: the same whatever the order, read back exactly, refused when hostile."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof.errors import MaterialError
from reproof.model.manifest import FORMAT, Manifest, Row, make_manifest, read_manifest

A, B = "a" * 64, "b" * 64
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).map(
    lambda name: "n" + name
)


def lines(*rows: object) -> bytes:
    return (
        FORMAT + "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    ).encode()


@given(st.dictionaries(NAMES, st.sampled_from(["file", "symlink", "directory"]), max_size=20), st.randoms())
def test_round_trip_in_any_order(kinds: dict[str, str], chance: object) -> None:
    rows = [
        Row(name, "file", 3, len(name) % 2 == 0, A)
        if kind == "file"
        else Row(name, "symlink", target="../" + name)
        if kind == "symlink"
        else Row(name, "directory")
        for name, kind in kinds.items()
    ]
    first = make_manifest(rows)
    chance.shuffle(rows)  # type: ignore[attr-defined]
    assert make_manifest(rows).canonical() == first.canonical()
    assert read_manifest(first.canonical(), "data") == first


def test_names_that_are_no_text_and_names_that_look_like_them_differ() -> None:
    odd = make_manifest([Row("\udce9", "file", 1, False, A), Row("\\udce9", "file", 1, False, A)])
    assert read_manifest(odd.canonical(), "data") == odd


def test_md5_is_no_part_of_the_identity_but_makes_the_list_of_dvc() -> None:
    plain = Manifest((Row("ü", "file", 1, False, A),))
    with_md5 = Manifest((Row("ü", "file", 1, False, A, md5="c" * 32),))
    assert plain.canonical() == with_md5.canonical()
    assert plain.dvc_list() is None
    assert with_md5.dvc_list() == b'[{"md5": "' + b"c" * 32 + b'", "relpath": "\\u00fc"}]'


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"path": "../x", "type": "d"}], "leads upwards"),
        ([{"path": "/x", "type": "d"}], "is absolute"),
        ([{"path": "a/../../x", "type": "d"}], "leads upwards"),
        ([{"path": "a\0", "type": "d"}], "contains NUL"),
        ([{"path": ".git/config", "type": "f", "mode": "644", "size": 1, "blake3": A}], "folder of Git"),
        ([{"path": "a", "type": "d"}, {"path": "a", "type": "d"}], "twice"),
        ([{"path": "a", "type": "l", "target": "/etc"}, {"path": "a/passwd", "type": "d"}], "lies within"),
        ([{"path": "a", "type": "x"}], "no known type"),
        ([{"path": "a", "type": ["f"]}], "no known type"),
        ([{"path": "a", "type": "l", "target": ""}], "no valid target"),
        ([{"path": "a", "type": "f", "mode": "4755", "size": 1, "blake3": A}], "is wrong"),
        ([{"path": "a", "type": "f", "mode": "644", "size": -1, "blake3": A}], "is wrong"),
        ([{"path": "a", "type": "f", "mode": "644", "size": 1, "blake3": A[:-1] + "/"}], "is wrong"),
        ([{"type": "d"}], "no path"),
        ([3], "no path"),
        (["{"], "not JSON"),
        (["[" * 100_000], "not JSON"),
        ([{"path": "b", "type": "d"}, {"path": "a", "type": "d"}], "canonical"),
        ([{"path": "a", "type": "f", "mode": "644", "size": True, "blake3": A}], "is wrong"),
    ],
)
def test_what_is_hostile_or_wrong_is_refused_by_name(rows: list[object], words: str) -> None:
    with pytest.raises(MaterialError, match=words):
        read_manifest(lines(*rows), "data")


def test_another_version_is_refused() -> None:
    with pytest.raises(MaterialError, match="version"):
        read_manifest(b'{"format":"reproof/manifest/9"}\n', "data")
    with pytest.raises(MaterialError, match="version"):
        read_manifest(b"", "data")
