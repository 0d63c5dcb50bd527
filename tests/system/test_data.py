"""What DVC takes for sound and is not: each case with the real dvc, which says that all is well."""

from __future__ import annotations

import mmap
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from projects import Project, user_environment
from reproof.base.mounts import Mounts
from reproof.store.digest_cache import TRUSTED
from reproof.store.manifest import describe_folder, identity

pytestmark = pytest.mark.needs("dvc")
DVC = f"{sys.executable} -m dvc"
CLEAN = "up to date"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a file, a folder and a remote, all tracked and pushed by DVC."""
    base = tmp_path_factory.mktemp("dvc")
    (base / "home").mkdir()
    project = Project(base / "project", environment(base / "home"))
    project.folder.mkdir()
    project.write("data/a.csv", "hello-good\n" * 100)
    project.write("images/one.bin", "1" * 1000)
    project.write("images/deep/two.bin", "2" * 1000)
    project.shell(
        f"git init -q && {DVC} init -q && {DVC} config core.analytics false"
        f" && {DVC} remote add -q -d far ../far && {DVC} add -q data/a.csv images && {DVC} push -q"
    )
    project.commit()
    return base


def environment(home: Path) -> dict[str, str]:
    identity = {
        f"GIT_{role}_{what}": "test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    return {
        **user_environment(home),
        **identity,
        "DVC_SITE_CACHE_DIR": str(home / "site"),
        "DVC_NO_ANALYTICS": "1",
    }


@pytest.fixture
def tracked(origin: Path, tmp_path: Path) -> Project:
    """A copy of that repository, with times in the past."""
    shutil.copytree(origin, tmp_path, dirs_exist_ok=True, symlinks=True)
    project = Project(tmp_path / "project", environment(tmp_path / "home"))
    for path in [path for name in ("data", "images") for path in (project.folder / name).rglob("*")]:
        if path.is_file():
            os.utime(path, (1_700_000_000, 1_700_000_000))
    return project


def objects(project: Project, where: str = ".dvc/cache") -> list[Path]:
    return sorted(path for path in (project.folder / where / "files/md5").rglob("*") if path.is_file())


def object_of(project: Project, content: str) -> Path:
    return next(path for path in objects(project) if path.read_text() == content)


def item(project: Project, name: str, verb: str = "status") -> dict[str, object]:
    report = project.reproof("data", verb, "--output-format", "json").json
    return next(each for each in report["items"] if each["path"] == name)


def test_sound_data_is_said_to_be_sound_the_second_time_from_memory(tracked: Project) -> None:
    for _ in range(2):
        result = tracked.reproof("data", "status", expect=0)
        assert "2 tracked: all as named" in result.out
        assert "pushed to `far`" in result.out
    assert "everything was read" in tracked.reproof("data", "check", expect=0).out


def test_a_corrupted_object_that_dvc_restores_and_pushes_is_named(tracked: Project) -> None:
    """DVC believes mode 0444: it restores the wrong bytes, and says that all is well."""
    place = object_of(tracked, "hello-good\n" * 100)
    place.chmod(0o644)
    place.write_text("hello-evil\n" * 100)
    place.chmod(0o444)
    shutil.rmtree(tracked.folder.parent / "far")
    tracked.shell(f"rm data/a.csv && {DVC} checkout -q && {DVC} push -q")
    assert CLEAN in tracked.shell(f"{DVC} status").out
    assert (tracked.folder / "data/a.csv").read_text().startswith("hello-evil")
    assert [path for path in objects(tracked, "../far") if path.read_text().startswith("hello-evil")]
    for verb, status in (("status", 0), ("check", 1)):
        said = tracked.reproof("data", verb, expect=status).out
        assert f"`{place}`: expected md5:" in said
        found = item(tracked, "data/a.csv", verb)
        assert (found["state"], found["sound"]) == ("changed", False)
        (fault,) = found["corrupted"]  # type: ignore[misc]
        assert (fault["name"], fault["place"]) == ("data/a.csv", str(place))


def test_a_same_size_edit_with_its_time_put_back_is_seen(tracked: Project) -> None:
    file = tracked.folder / "data/a.csv"
    tracked.shell(f"{DVC} status")  # DVC takes down size, mtime and inode
    tracked.reproof("data", "status", expect=0)
    before = file.stat()
    with file.open("r+b") as opened:
        opened.write(b"HELLO-EVIL")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert CLEAN in tracked.shell(f"{DVC} status").out
    assert item(tracked, "data/a.csv")["state"] == "changed"
    assert "changed" in tracked.reproof("data", "check", expect=1).out


def test_a_write_through_a_map_after_hashing_is_seen(tracked: Project) -> None:
    """The second write to a page that is dirty already moves no time."""
    file = tracked.folder / "data/a.csv"
    if Mounts().kind(str(file)) not in TRUSTED:
        pytest.skip("a file system that no cache believes")
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as content:
        content[0:1] = b"h"  # the same content, and a dirty page
        assert CLEAN in tracked.shell(f"{DVC} status").out
        content[0:1] = b"E"
        assert CLEAN in tracked.shell(f"{DVC} status").out
        content[0:1] = b"h"
        time.sleep(2.2)  # older than the margin within which nothing is believed
        assert item(tracked, "data/a.csv")["state"] == "unchanged"
        content[0:1] = b"E"
        assert item(tracked, "data/a.csv")["state"] == "changed"
        tracked.reproof("data", "check", expect=1)


def test_what_dvc_loses_of_a_folder_is_no_longer_the_same_folder(tracked: Project) -> None:
    """Exec bits, symlinks and empty folders: DVC's id stays, ours does not."""
    images = tracked.folder / "images"
    (images / "run.sh").write_text("#!/bin/sh\n")
    (images / "run.sh").chmod(0o755)
    (images / "link").symlink_to("one.bin")
    (images / "empty").mkdir()
    manifests = [describe_folder(images)]
    tracked.shell(f"{DVC} add -q images && rm -r images && {DVC} checkout -q")
    assert CLEAN in tracked.shell(f"{DVC} status").out
    manifests.append(describe_folder(images))
    assert identity(manifests[1]) != identity(manifests[0])
    before, after = ({row.path: row for row in manifest.rows} for manifest in manifests)
    assert before["run.sh"].executable
    assert not after["run.sh"].executable
    assert (before["link"].kind, after["link"].kind) == ("symlink", "file")
    assert "empty" in before
    assert "empty" not in after


def test_changes_within_a_folder_are_named(tracked: Project) -> None:
    (tracked.folder / "images/one.bin").write_text("3" * 1000)
    (tracked.folder / "images/deep/two.bin").unlink()
    tracked.write("images/more.bin", "")
    found = item(tracked, "images")
    assert [(each["kind"], each["name"]) for each in found["changes"]] == [  # type: ignore[attr-defined]
        ("missing", "images/deep/two.bin"),
        ("new", "images/more.bin"),
        ("changed", "images/one.bin"),
    ]


def test_objects_that_are_missing_and_not_pushed_are_told(tracked: Project) -> None:
    object_of(tracked, "1" * 1000).unlink()
    shutil.rmtree(tracked.folder.parent / "far")
    found = item(tracked, "images")
    assert [fault["name"] for fault in found["missing"]] == ["images/one.bin"]  # type: ignore[attr-defined]
    assert found["unpushed"] == 3
    assert "not in" in tracked.reproof("data", "check", expect=1).out


def test_a_remote_that_is_not_there_is_told(tracked: Project) -> None:
    shutil.rmtree(tracked.folder.parent / "far")
    assert item(tracked, "images")["unpushed"] == 3
    tracked.shell(f"{DVC} config core.remote nowhere")
    found = item(tracked, "data/a.csv")
    assert found["note"] == "the remote `nowhere` is not configured"
    assert "unpushed" not in found


def test_objects_that_nothing_names_are_checked_too(tracked: Project) -> None:
    other = tracked.folder / ".dvc/cache/files/md5/ab" / ("c" * 30)
    other.parent.mkdir(exist_ok=True)
    other.write_text("x")
    assert str(other) in tracked.reproof("data", "check", expect=1).out


@pytest.mark.parametrize("path", ["../../outside", "/etc/passwd", "a/../../b"])
def test_a_hostile_path_is_refused_by_name(tracked: Project, path: str) -> None:
    tracked.write("evil.dvc", f"outs:\n- md5: {'a' * 32}\n  hash: md5\n  path: {path}\n")
    refused = tracked.reproof("data", "check", expect=2)
    assert path in refused.err


def test_a_hostile_list_of_files_stops_nothing_else(tracked: Project) -> None:
    listed = next(path for path in objects(tracked) if path.name.endswith(".dir"))
    listed.chmod(0o644)
    listed.write_text('[{"md5": "%s", "relpath": "../../evil"}]' % ("a" * 32))
    found = item(tracked, "images", "check")
    assert found["corrupted"]
    assert item(tracked, "data/a.csv", "check")["sound"] is True


def test_a_project_without_dvc_says_so(make_project: Callable[..., Project]) -> None:
    project = make_project({"a": "1"})
    assert "DVC tracks nothing here" in project.reproof("data", "status", expect=0).out
