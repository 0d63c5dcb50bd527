"""Lists of files of DVC folders: read exactly, and refused by name where they are hostile."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof.errors import MaterialError
from reproof.model.dvc import DvcEntry, DvcMember, DvcRemote, parse_manifest, path_problem

MD5 = "0123456789abcdef" * 2


def manifest(*paths: str, md5: str = MD5) -> bytes:
    return json.dumps([{"md5": md5, "relpath": path} for path in paths]).encode()


HOSTILE = {
    "upwards": manifest("ok", "../evil"),
    "upwards_within": manifest("a/../../evil"),
    "absolute": manifest("/etc/passwd"),
    "drive": manifest("C:\\evil"),
    "device": manifest("raw/NUL"),
    "device_namespace": manifest("\\\\.\\COM1"),
    "address": manifest("file:///etc/passwd"),
    "nul": manifest("a\0b"),
    "empty": manifest(""),
    "dot": manifest("."),
    "double_slash": manifest("a//b"),
    "git": manifest(".git/hooks/post-checkout"),
    "git_in_capitals": manifest("sub/.GIT/config"),
    "dvc": manifest(".dvc/config"),
    "twice": manifest("a", "a"),
    "file_and_folder": manifest("a/b/c", "a"),
    "bad_md5": manifest("a", md5="../../../../etc/passwd"),
    "short_md5": manifest("a", md5="abc"),
    "nested_folder": manifest("a", md5=MD5 + ".dir"),
    "no_relpath": b'[{"md5": "' + MD5.encode() + b'"}]',
    "number_as_path": b'[{"md5": "' + MD5.encode() + b'", "relpath": 3}]',
    "not_a_list": b'{"md5": "x"}',
    "not_json": b"\x80\x04\x95",
    "truncated": manifest("a", "b")[:-9],
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_lists_are_refused_by_name(golden, name: str) -> None:
    with pytest.raises(MaterialError) as caught:
        parse_manifest(HOSTILE[name], "data/raw")
    if name not in ("not_json", "truncated", "deep"):  # the words there are those of the JSON library
        golden(f"model/manifest_{name}", caught.value)


def test_good_lists() -> None:
    assert parse_manifest(b"[]", "x") == ()
    assert parse_manifest(manifest("a", "b/c d", "b/ü", "..a", "a.git", "aux/NULL"), "x") == tuple(
        DvcMember(path, MD5) for path in ("a", "b/c d", "b/ü", "..a", "a.git", "aux/NULL")
    )


@given(st.text(max_size=30))
def test_a_path_without_problem_stays_within(path: str) -> None:
    if path_problem(path) is None:
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        assert "\0" not in path


def test_ids_and_secrets() -> None:
    entry = DvcEntry(path="x", md5=MD5, is_dir=True, source="x.dvc")
    assert entry.id == f"{MD5}.dir"
    remote = DvcRemote(
        name="r", kind="http", address="https://x", shown="https://x", headers={"A": "hunter2"}
    )
    assert "hunter2" not in repr(remote)
