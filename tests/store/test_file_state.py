"""Any change of a file changes what the file system says of it; reading changes nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reproof.store.file_state import state_of_files, state_of_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    (top / "deep/er").mkdir(parents=True)
    (top / "a").write_text("one")
    (top / "deep/er/b").write_text("two")
    (top / "link").symlink_to("../outside")
    (tmp_path / "outside").write_text("behind")
    return top


def rewritten(top: Path) -> None:
    """Other content of the same size and time."""
    before = (top / "a").stat()
    (top / "a").write_text("ONE")
    os.utime(top / "a", ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "same size and time": rewritten,
    "mode": lambda top: (top / "a").chmod(0o755),
    "deep": lambda top: (top / "deep/er/b").write_text("too"),
    "new": lambda top: (top / "deep/c").write_text(""),
    "empty folder": lambda top: (top / "empty").mkdir(),
    "gone": lambda top: (top / "deep/er/b").unlink(),
    "renamed": lambda top: (top / "a").rename(top / "b"),
    "behind a symlink": lambda top: (top / "../outside").write_text("changed"),
    "target": lambda top: [(top / "link").unlink(), (top / "link").symlink_to("nowhere")],
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_shows(folder: Path, name: str) -> None:
    before = state_of_folder(folder)
    assert before == state_of_folder(folder)
    (folder / "a").read_text()
    assert before == state_of_folder(folder)
    time.sleep(0.02)  # older kernels take times in ticks
    CHANGES[name](folder)
    assert before != state_of_folder(folder)


def test_files_count_with_their_names_and_order(folder: Path) -> None:
    paths = [str(folder / "a"), str(folder / "deep/er/b")]
    assert state_of_files(paths) == state_of_files(iter(paths)) != state_of_files(paths[::-1])
    assert state_of_files([*paths, str(folder / "none")]) is None
    assert state_of_folder(folder / "none") is None
    many = [str(folder / "a")] * 5000
    assert state_of_files(many) != state_of_files(many[1:])
