"""Leftovers: what belonged to a killed process goes, what somebody owns, keeps or has just used stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reproof.base.digesting import digest_bytes
from reproof.model.digest import Digest
from reproof.workflow.leftovers import GRACE, at_work, luggage_store, occupied, parcels, remove_rooms

_OWNER = """
import sys
from pathlib import Path
from reproof.workflow.leftovers import occupied
with occupied(Path(sys.argv[1]), keep=sys.argv[2] == "keep") as temporary:
    Path(sys.argv[1], "run-1").mkdir()
    (temporary / "half").touch()
    print(temporary, flush=True)
    sys.stdin.read()
"""
_WORKER = """
import sys
from reproof.workflow.leftovers import at_work
with at_work():
    print(flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path / "cache"


@contextmanager
def process(code: str, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that has said one line, and waits; killed at the end."""
    child = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        yield child, child.stdout.readline().strip()
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdin.close()
        child.stdout.close()


def age(*paths: Path, days: float = 2) -> None:
    """Make files and folders, and what is in these, look as if they had been used some days ago."""
    then = time.time() - days * 86400
    for path in paths:
        for each in (*path.rglob("*"), path):
            os.utime(each, (then, then))


def room(cache: Path, place: str = "0123456789ab") -> Path:
    return cache / "rooms" / place


def dead(folder: Path, keep: str = "") -> tuple[Path, Path]:
    """A room, and its TMPDIR, whose owner was killed two days ago."""
    with process(_OWNER, str(folder), keep) as (_, said):
        pass
    age(folder)
    return folder, Path(said)


@pytest.mark.parametrize(
    "place", ["0123456789ab", "stress-a/0123456789ab", "stress-a/another/folder/0123456789ab"]
)
def test_a_room_goes_when_its_owner_was_killed_and_not_before(place: str, cache: Path) -> None:
    folder = room(cache, place)
    with process(_OWNER, str(folder), "") as (_, said):
        age(folder)
        remove_rooms(time.time() - GRACE)
        assert (folder / "run-1").is_dir()
    age(folder, days=0.5)
    remove_rooms(time.time() - GRACE)
    assert (folder / "run-1").is_dir()  # somebody may still look
    age(cache / "rooms")
    with at_work():
        assert not folder.exists()
        assert not Path(said).exists()


def test_a_room_that_is_kept_or_says_nothing_of_an_owner_stays(cache: Path) -> None:
    kept, temporary = dead(room(cache), "keep")
    others = [room(cache, name) for name in ("ba9876543210", "explain-f", "not-a-room")]
    for each in others:
        (each / "inside").mkdir(parents=True)
    (others[-1] / "owner").write_text(str(temporary))
    age(*others)
    remove_rooms(time.time())
    assert all((each / "inside").is_dir() for each in others)
    assert (kept / "run-1").is_dir()
    assert (temporary / "half").exists()


def test_a_room_in_which_a_command_goes_on_without_its_owner_stays(cache: Path) -> None:
    folder, temporary = dead(room(cache))
    inside = folder / "run-1"
    with subprocess.Popen(["sleep", "60"], cwd=inside) as child:
        remove_rooms(time.time())
        assert inside.is_dir()
        child.kill()
    remove_rooms(time.time())
    assert not folder.exists()
    assert not temporary.exists()


@pytest.mark.parametrize("other", ["elsewhere/reproof-x", "tmp/others", "tmp/reproof-link"])
def test_nothing_goes_that_is_no_folder_for_temporary_files_of_ours(other: str, cache: Path) -> None:
    folder, _ = dead(room(cache))
    target = cache.parent / other
    target.parent.mkdir(exist_ok=True)
    if "link" in other:
        target.symlink_to(cache.parent)
    else:
        target.mkdir()
    (folder / "owner").write_text(str(target))
    age(folder)
    remove_rooms(time.time() - GRACE)
    assert not folder.exists()
    assert target.exists()


def test_content_goes_when_nobody_is_at_work_and_it_was_not_used_for_a_day(cache: Path) -> None:
    old, fresh = (Digest("blake3", digest_bytes(each)["blake3"]) for each in (b"old", b"fresh"))
    for content in (b"old", b"fresh"):
        luggage_store().put_bytes(content)
    unused, used = parcels() / "unused", parcels() / "used"
    for each in (unused, used):
        (each / "code").mkdir(parents=True)
    with process(_WORKER):
        age(luggage_store().path(old), unused)
        with at_work():  # the other is, too
            pass
        assert old in luggage_store()
        assert unused.is_dir()
    with at_work():
        assert list(luggage_store()) == [fresh]
        assert list(parcels().iterdir()) == [used]


def test_a_room_is_gone_afterwards_whatever_happened(cache: Path) -> None:
    with pytest.raises(ValueError, match="no"), occupied(room(cache), keep=False) as temporary:
        raise ValueError("no")
    assert not room(cache).exists()
    assert not temporary.exists()
