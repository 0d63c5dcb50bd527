"""Folders described and given back whole: what DVC loses of them, and that its id is met."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from reproof.errors import MaterialError, StoreError
from reproof.model.manifest import read_manifest
from reproof.store.directory import DirectoryStore
from reproof.store.manifest import describe_folder, dvc_id, identity, keep_folder, restore_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "data"
    (place / "deep" / "er").mkdir(parents=True)
    (place / "nothing" / "within").mkdir(parents=True)
    (place / "a.csv").write_text("1,2\n")
    (place / "deep" / "er" / "ü b.bin").write_bytes(os.urandom(5000))
    (place / "run.sh").write_text("#!/bin/sh\n")
    (place / "run.sh").chmod(0o755)
    (place / "latest").symlink_to("deep/er")
    (place / "gone").symlink_to("nowhere")
    return place


def test_everything_comes_back(folder: Path, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    digest, kept = keep_folder(folder, store)
    assert digest == identity(kept) == identity(describe_folder(folder))
    restore_folder(read_manifest(store.get_bytes(digest), "data"), store, tmp_path / "out" / "data")
    back = tmp_path / "out" / "data"
    assert describe_folder(back) == kept
    assert os.access(back / "run.sh", os.X_OK)
    assert (back / "nothing" / "within").is_dir()
    assert (back / "latest").readlink() == Path("deep/er")
    assert (back / "gone").is_symlink()
    assert (kept.files, kept.size) == (3, 4 + 5000 + 10)


@pytest.mark.parametrize(
    "change",
    [
        lambda place: (place / "run.sh").chmod(0o644),
        lambda place: (place / "nothing" / "within").rmdir(),
        lambda place: ((place / "gone").unlink(), (place / "gone").symlink_to("elsewhere")),
        lambda place: (place / "a.csv").write_text("1,3\n"),
        lambda place: (place / "a.csv").rename(place / "b.csv"),
        lambda place: ((place / "latest").unlink(), (place / "latest").mkdir()),
    ],
)
def test_every_kind_of_change_changes_the_identity(folder: Path, change: object) -> None:
    before = identity(describe_folder(folder))
    change(folder)  # type: ignore[operator]
    assert identity(describe_folder(folder)) != before


def test_umask_and_times_do_not_matter(folder: Path) -> None:
    before = identity(describe_folder(folder))
    (folder / "a.csv").chmod(0o600)
    os.utime(folder / "a.csv", (1, 1))
    assert identity(describe_folder(folder)) == before


def test_a_folder_of_many_files_takes_little_memory_for_each(tmp_path: Path) -> None:
    for number in range(4000):
        (tmp_path / f"{number}.bin").touch()
    describe_folder(tmp_path)  # what is imported on the way is not meant
    tracemalloc.start()
    try:
        described = describe_folder(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert described.files == 4000
    assert peak / described.files < 400  # bytes; three times that, were all that `stat` says kept


@pytest.mark.needs("dvc")
def test_the_id_of_dvc_is_met(folder: Path) -> None:
    (folder / "gone").unlink()  # DVC refuses symlinks that lead nowhere
    (folder / "latest").unlink()
    (folder / "file-link").symlink_to("a.csv")
    top = folder.parent
    dvc = [sys.executable, "-m", "dvc"]
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(top / "site")}
    subprocess.run([*dvc, "init", "-q", "--no-scm"], cwd=top, env=env, check=True)
    ours = dvc_id(describe_folder(folder, md5=True))
    subprocess.run([*dvc, "add", "-q", "data"], cwd=top, env=env, check=True)
    assert ours is not None
    assert f"md5: {ours}" in (top / "data.dvc").read_text()


def test_what_is_no_content_is_named(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(MaterialError, match="pipe"):
        describe_folder(folder)


def test_what_cannot_be_read_is_named(folder: Path) -> None:
    with pytest.raises(MaterialError, match="absent"):
        describe_folder(folder / "absent")


def test_nothing_is_left_when_an_object_is_missing_or_corrupted(folder: Path, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    _, kept = keep_folder(folder, store)
    victim = store.path(next(digest for digest in store if store.path(digest).stat().st_size == 5000))
    victim.chmod(0o644)
    victim.write_bytes(b"evil")
    with pytest.raises(StoreError, match="corrupted"):
        restore_folder(kept, store, tmp_path / "out")
    with pytest.raises(StoreError, match="not in the store"):
        restore_folder(kept, store, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "store"]


def test_a_taken_place_is_left_alone(folder: Path, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    _, kept = keep_folder(folder, store)
    with pytest.raises(StoreError, match="exists"):
        restore_folder(kept, store, folder)
