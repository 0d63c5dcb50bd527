"""Files are whole or absent; copies share nothing."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import blake3
import pytest

from reproof.base.digesting import digest_bytes, digest_file
from reproof.base.files import copy_private, locked, remove_tree, write_atomic


def test_an_atomic_write_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    for data in (b"one", b"two"):
        write_atomic(target, data)
        assert target.read_bytes() == data
    assert os.listdir(target.parent) == ["file"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_private_copy_is_no_link_and_writable(tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_bytes(b"x" * 100)
    source.chmod(0o444)
    copy_private(source, tmp_path / "b" / "c")
    target = tmp_path / "b" / "c"
    assert target.stat().st_ino != source.stat().st_ino
    assert target.stat().st_mode & 0o200
    target.write_bytes(b"y")
    assert source.read_bytes() == b"x" * 100
    with pytest.raises(FileExistsError):
        copy_private(source, target)


def test_a_copy_that_is_to_share_blocks_does_or_is_not_made(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"x" * 8192)
    shared = copy_private(source, target, only_shared=True)
    assert shared == target.exists()
    assert not shared or target.read_bytes() == source.read_bytes()


def test_remove_tree_removes_what_is_read_only_and_never_follows_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    tree = tmp_path / "tree" / "deep"
    tree.mkdir(parents=True)
    (tree / "link").symlink_to(outside)
    (tree / "file").write_text("")
    (tree / "file").chmod(0o400)
    tree.chmod(0o500)
    remove_tree(tmp_path / "tree")
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
    assert (outside / "kept").exists()


def test_locks_exclude(tmp_path: Path) -> None:
    order = []

    def other() -> None:
        with locked(tmp_path / "lock"):
            order.append("second")

    with locked(tmp_path / "lock"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_digests_are_those_of_the_algorithms(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = tmp_path / "f"
    path.write_bytes(data)
    found = digest_file(path, ("md5", "blake3", "sha256"))
    assert found == {
        "md5": hashlib.md5(data).hexdigest(),
        "blake3": blake3.blake3(data).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert digest_bytes(data, ("md5", "blake3", "sha256")) == found


def test_dvc_2_reads_line_endings_of_text_as_one(tmp_path: Path) -> None:
    for name, data in (("crlf", b"a\r\nb\r\n"), ("lf", b"a\nb\n"), ("binary", b"\0a\r\n")):
        (tmp_path / name).write_bytes(data)
    digest = {
        name: digest_file(tmp_path / name, ["md5-dos2unix"])["md5-dos2unix"]
        for name in ("crlf", "lf", "binary")
    }
    assert digest["crlf"] == digest["lf"] == hashlib.md5(b"a\nb\n").hexdigest()
    assert digest["binary"] == hashlib.md5(b"\0a\r\n").hexdigest()
