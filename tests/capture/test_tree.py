from __future__ import annotations

import os
from pathlib import Path

import pytest

from reproof.capture.tree import EXCLUDED, Exclusions, Tree, changes, scan


def make(top: Path, *names: str) -> None:
    for name in names:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")


def names(tree: Tree) -> set[str]:
    return {name for name, entry in tree.entries.items() if entry.kind != "directory"}


def test_a_tree_holds_all_kinds_without_following_symlinks(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "b/c.txt")
    (tmp_path / "link").symlink_to("b/../a.txt/")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder-link").symlink_to("b")
    os.mkfifo(tmp_path / "pipe")
    tree = scan(tmp_path)
    assert {name: entry.kind for name, entry in tree.entries.items()} == {
        "a.txt": "file",
        "b": "directory",
        "b/c.txt": "file",
        "link": "symlink",
        "loop": "symlink",
        "folder-link": "symlink",
        "pipe": "other",
    }
    assert tree.entries["link"].target == "b/../a.txt/"
    assert tree.entries["a.txt"].size == 5
    assert tree.folders == ["", "b"]
    assert sorted(tree.symlinks) == ["folder-link", "link", "loop"]


def test_caches_and_environments_are_left_out(tmp_path: Path) -> None:
    make(
        tmp_path,
        "src/app.py",
        "src/__pycache__/app.pyc",
        "src/old.pyc",
        ".git/HEAD",
        ".reproof/record.json",
        ".dvc/config",
        ".dvc/tmp/lock",
        ".dvc/cache/files/md5/ab",
        "sub/.dvc/cache/x",
        "cache/kept.txt",
        "venv/pyvenv.cfg",
        "venv/bin/python",
        "work/.venv/pyvenv.cfg",
        "work/data.csv",
        "node_modules/kept.js",
    )
    assert names(scan(tmp_path)) == {
        "src/app.py",
        ".dvc/config",
        "cache/kept.txt",
        "work/data.csv",
        "node_modules/kept.js",
    }
    assert "venv" not in scan(tmp_path).entries


def test_exclusions_are_told_and_can_be_others(tmp_path: Path) -> None:
    make(tmp_path, "a.log", "b.txt", "c/d.txt", "run1/x", "run2/x")
    assert scan(tmp_path).excluded == EXCLUDED
    tree = scan(tmp_path, ("*.log", "c/", "run[1]"))
    assert names(tree) == {"b.txt", "run2/x"}
    assert tree.excluded == ("*.log", "c/", "run[1]")
    assert len(scan(tmp_path, ()).entries) == 8


def test_the_top_is_read_even_where_it_is_an_environment(tmp_path: Path) -> None:
    make(tmp_path, "pyvenv.cfg", "train.py")
    assert names(scan(tmp_path)) == {"pyvenv.cfg", "train.py"}


@pytest.mark.parametrize(
    ("path", "covered"),
    [
        (".git", True),
        ("a/.git/objects/ab", True),
        (".dvc/cache/x", True),
        ("a/.dvc/tmp", True),
        ("dvc/tmp", False),
        ("a/x.pyc", True),
        ("a/b.txt", False),
        ("tmp/x", False),
    ],
)
def test_paths_within_what_is_left_out(path: str, covered: bool) -> None:
    assert Exclusions(EXCLUDED).covers(path) is covered


def test_changes_are_created_modified_and_deleted(tmp_path: Path) -> None:
    make(tmp_path, "kept.txt", "changed.txt", "same-size.txt", "gone.txt", "old/x", "mode.sh")
    (tmp_path / "link").symlink_to("kept.txt")
    before = scan(tmp_path)
    make(tmp_path, "new.txt", "fresh/y")
    (tmp_path / "changed.txt").write_text("longer than before", encoding="utf-8")
    (tmp_path / "gone.txt").unlink()
    (tmp_path / "mode.sh").chmod(0o755)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("new.txt")
    status = (tmp_path / "same-size.txt").stat()
    (tmp_path / "same-size.txt").write_text("SAME-SIZE.TXT", encoding="utf-8")
    os.utime(tmp_path / "same-size.txt", ns=(status.st_atime_ns, status.st_mtime_ns))  # ctime still tells
    (tmp_path / "old" / "x").unlink()
    (tmp_path / "old").rmdir()
    assert changes(before, scan(tmp_path)) == (
        ("fresh", "fresh/y", "new.txt"),
        ("changed.txt", "link", "mode.sh", "same-size.txt"),
        ("gone.txt", "old", "old/x"),
    )


def test_nothing_changed_is_nothing(tmp_path: Path) -> None:
    make(tmp_path, "a", "b/c")
    assert changes(scan(tmp_path), scan(tmp_path)) == ((), (), ())


def test_a_folder_does_not_change_with_its_content(tmp_path: Path) -> None:
    make(tmp_path, "a/b")
    before = scan(tmp_path)
    make(tmp_path, "a/c")
    assert changes(before, scan(tmp_path)) == (("a/c",), (), ())


def test_a_folder_that_became_a_file_is_modified(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    before = scan(tmp_path)
    (tmp_path / "x").rmdir()
    make(tmp_path, "x")
    assert changes(before, scan(tmp_path)) == ((), ("x",), ())


def test_names_that_are_not_utf_8_survive(tmp_path: Path) -> None:
    name = b"caf\xe9-\x1b.csv"
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_bytes(b"1")
    tree = scan(tmp_path)
    assert [os.fsencode(name) for name in tree.entries] == [name]
    assert (tmp_path / next(iter(tree.entries))).read_bytes() == b"1"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_read_is_an_omission(tmp_path: Path) -> None:
    make(tmp_path, "closed/x")
    (tmp_path / "closed").chmod(0)
    try:
        tree = scan(tmp_path)
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert [(omission.subject, omission.reason) for omission in tree.omissions] == [
        ("closed", "cannot be read: Permission denied")
    ]


def test_a_top_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        scan(tmp_path / "nowhere")
    make(tmp_path, "file")
    with pytest.raises(NotADirectoryError):
        scan(tmp_path / "file")
