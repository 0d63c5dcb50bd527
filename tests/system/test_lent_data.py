"""Large data that nothing versions: a sandbox shows it from its place, read-only, instead of a copy."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from projects import Project
from reproof.base.files import copy_private

RUN = ("run", "--env-manager", "local", "--no-log", "--", "python", "train.py")
SIZE = 3 << 20

#: Reads in Python and past it, and writes beside what it read.
READS = """
import hashlib, json, subprocess
digest = hashlib.sha256(open("data/big.bin", "rb").read()).hexdigest()
other = subprocess.run(["sha256sum", "data/more/other.bin"], capture_output=True, text=True, check=True).stdout
small = open("data/small.txt").read() + open("data/kept.txt").read()
open("data/big.idx", "w").write(digest[:8])
json.dump([digest, other, small], open("model.json", "w"))
"""
#: Reads each of many small files, one of them past Python.
READS_MANY = """
import hashlib, pathlib, subprocess
found = hashlib.sha256()
for path in sorted(pathlib.Path("data/images").rglob("*.jpg")):
    found.update(path.read_bytes())
other = subprocess.run(["cat", "data/images/a/0.jpg"], capture_output=True, check=True).stdout
open("data/images.idx", "w").write(found.hexdigest())
open("model.json", "w").write(str(len(other)))
"""
#: Opens it as `numpy.memmap` does by default, without ever writing.
OPENS_TO_WRITE = """
with open("data/big.bin", "r+b") as file:
    open("model.json", "w").write(str(len(file.read())))
"""
#: Goes on when its input changes, or after a second.
WAITS = """
import time
file = open("data/big.bin", "rb", buffering=0)
open("model.json", "w").write(str(len(file.read())))
end = time.monotonic() + 1
while time.monotonic() < end:
    file.seek(0)
    if file.read(5) == b"OTHER":
        break
    time.sleep(0.01)
"""


@pytest.fixture
def recorded(plain: Project) -> Any:
    def make(code: str) -> Path:
        plain.write("train.py", code)
        plain.write("data/kept.txt", "in Git\n")
        plain.write(".gitignore", "model.json\n*.bin\n*.idx\nsmall.txt\nimages/\n")
        plain.commit()
        plain.write("data/small.txt", "1\n")
        for name in ("big", "more/other"):
            place = plain.write(f"data/{name}.bin", "")
            place.write_bytes(os.urandom(1 << 10) * (SIZE >> 10))
        said = plain.reproof(*RUN, expect=0)
        assert "can be verified only while it stays there unchanged" in said.err
        return plain.folder / "data/big.bin"

    return make


def conditions(verdict: Any) -> list[str]:
    return [each.get("note", "") for each in verdict["conditions"] if each["name"] == "data"]


def seen(place: Path) -> tuple[int, ...]:
    status = place.stat()
    return (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@pytest.mark.parametrize(
    "isolation",
    [
        pytest.param("bubblewrap", marks=pytest.mark.needs("bwrap")),
        pytest.param("docker", marks=pytest.mark.needs("docker")),
    ],
)
def test_it_is_bound_read_only_beside_what_the_run_writes(
    plain: Project, recorded: Any, isolation: str
) -> None:
    place = recorded(READS)
    before = seen(place)
    verdict = plain.verify("--isolation", isolation, expect=0)
    assert verdict["word"] == "repeated"
    assert seen(place) == before
    if shares_blocks(plain.folder):
        pytest.skip("the file system shares blocks: nothing is bound")
    assert conditions(verdict) == ["2 files, 6,291,456 bytes: bound read-only"]
    again = [each["value"] for each in verdict["conditions"] if each["name"] == "used again"]
    assert "data in its original place: data/big.bin" in again
    assert [each for each in verdict["not_checked"] if each["subject"].startswith("data/")] == []
    place.write_bytes(bytes(SIZE))
    said = plain.reproof("verify", "--isolation", isolation, expect=2)
    assert "cannot restore `data/big.bin`: its content has changed since the run" in said.err
    place.unlink()
    said = plain.reproof("verify", "--isolation", isolation, expect=2)
    assert "cannot restore `data/big.bin`: it is gone" in said.err


@pytest.mark.needs("bwrap")
def test_folders_of_many_small_files_are_bound_where_they_hold_nothing_else(
    plain: Project, recorded: Any
) -> None:
    images = plain.folder / "data/images"
    for name in ("a", "b"):
        (images / name).mkdir(parents=True)
        for number in range(150):
            (images / name / f"{number}.jpg").write_bytes(os.urandom(8192))
    recorded(READS_MANY)
    if shares_blocks(plain.folder):
        pytest.skip("the file system shares blocks: nothing is bound")
    assert conditions(plain.verify(expect=0)) == ["300 files, 2,457,600 bytes: bound read-only"]
    (images / "a/another.txt").write_text("not there when it ran")
    verdict = plain.verify(expect=0)  # in a room there is nothing that the run did not read
    assert conditions(verdict) == [
        "150 files, 1,228,800 bytes: bound read-only",
        "150 files, 1,228,800 bytes: copied",
    ]
    assert sorted(path.name for path in images.iterdir()) == ["a", "b"]


def test_where_it_is_not_bound_the_copy_is_told(plain: Project, recorded: Any) -> None:
    place = recorded(READS)
    before = seen(place)
    said = plain.reproof("verify", "--isolation", "process", expect=0)
    if shares_blocks(plain.folder):
        pytest.skip("the file system shares blocks: nothing is copied")
    assert "copied 3 files, 6,291,458 bytes from their original place into the room" in said.err
    assert "3 files, 6,291,458 bytes: copied" in said.out
    assert seen(place) == before


@pytest.mark.needs("bwrap")
def test_a_run_that_wants_to_write_gets_copies(plain: Project, recorded: Any) -> None:
    recorded(OPENS_TO_WRITE)
    said = plain.reproof("verify", "--isolation", "bubblewrap", expect=0)
    if shares_blocks(plain.folder):
        pytest.skip("the file system shares blocks: nothing is bound")
    assert "re-running with copies of the data that was bound read-only" in said.err
    assert said.out.startswith("repeated")
    assert "1 file, 3,145,728 bytes: copied" in said.out


@pytest.mark.needs("bwrap")
def test_data_that_moves_during_the_re_run_is_seen(plain: Project, recorded: Any, tmp_path: Path) -> None:
    place = recorded(WAITS)
    if shares_blocks(plain.folder):
        pytest.skip("the file system shares blocks: nothing is bound")
    over = threading.Event()

    def change() -> None:
        """Once the re-run has read it: its result is the same, and nobody could tell by that."""
        while not over.is_set():
            if list((tmp_path / "home/.cache/reproof/rooms").glob("*/work/project/model.json")):
                with place.open("r+b") as file:
                    file.write(b"OTHER")
                return
            time.sleep(0.01)

    other = threading.Thread(target=change)
    other.start()
    said = plain.reproof("verify", "--isolation", "bubblewrap", expect=2)
    over.set()
    other.join()
    assert "re-running with copies of the data that was bound read-only" in said.err
    assert "cannot restore `data/big.bin`: its content has changed since the run" in said.err


def shares_blocks(folder: Path) -> bool:
    """Whether the file system makes copies that take no room."""
    (folder / ".source").write_bytes(b"x" * 4096)
    return copy_private(folder / ".source", folder / ".target", only_shared=True)
