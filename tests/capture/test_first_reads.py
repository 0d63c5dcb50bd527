from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import blake3
import pytest

from reproof.capture import first_reads
from reproof.capture.first_reads import FirstReads, file_clock
from reproof.capture.watch import Watch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is there on Linux only")


def b3(text: str) -> str:
    return blake3.blake3(text.encode()).hexdigest()


def until(there: Callable[[], object]) -> None:
    """Wait for what another thread is about to do."""
    for _ in range(2000):
        if there():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen within twenty seconds")


def settled(path: Path, text: str) -> Path:
    """A file whose ctime is older than anything that comes later."""
    path.write_text(text)
    made = path.stat().st_ctime_ns
    until(lambda: file_clock() > made)
    return path


def test_a_native_read_is_digested_before_the_file_changes(tmp_path: Path) -> None:
    path = settled(tmp_path / "data.csv", "old")
    with FirstReads(os.path.basename) as first, Watch(tmp_path, first=first) as watch:
        subprocess.run(["cat", path], check=True, capture_output=True)
        until(lambda: first.found)
        path.write_text("new content")
    assert first.found["data.csv"].digests == {"blake3": b3("old")}
    assert first.found["data.csv"].size == 3
    assert watch.written_first == set()


def test_what_was_written_since_the_start_has_no_such_digest(tmp_path: Path) -> None:
    path = settled(tmp_path / "data.csv", "old")
    with FirstReads(os.path.basename) as first, Watch(tmp_path, first=first) as watch:
        subprocess.run("echo new > data.csv; cat data.csv", shell=True, check=True, cwd=tmp_path)
        subprocess.run(["cat", path], check=True, capture_output=True)
    assert first.found == {}
    assert watch.written_first == {str(path)}


def test_our_own_closing_is_nobodys_reading(tmp_path: Path) -> None:
    """A program opens a file for both, and writes after we have read it: it wrote first, as without us."""
    path = settled(tmp_path / "own.db", "old")
    script = "exec 3<>own.db; echo open; read line; echo new >&3"
    with FirstReads(os.path.basename) as first, Watch(tmp_path, first=first) as watch:
        child = subprocess.Popen(
            ["sh", "-c", script], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        until(lambda: first.found)
        time.sleep(0.1)  # for the watch to close it
        child.communicate("go on\n")
    assert first.found["own.db"].digests == {"blake3": b3("old")}
    assert watch.written_first == {str(path)}


def test_a_reader_counts_beside_ours(tmp_path: Path) -> None:
    path = settled(tmp_path / "data.csv", "old")
    with FirstReads(os.path.basename) as first, Watch(tmp_path, first=first) as watch:
        subprocess.run(["cat", path], check=True, capture_output=True)
        until(lambda: first.found)
        time.sleep(0.1)
        path.write_text("new")
    assert watch.written_first == set()


def test_what_processes_tell_is_followed(tmp_path: Path) -> None:
    settled(tmp_path / "outside.csv", "1")
    (tmp_path / "work").mkdir()
    inside = settled(tmp_path / "work/inside.csv", "2")
    told = tmp_path / "observations.jsonl"
    line = '{"k":"open","p":1,"t":1.0,"path":"%s","mode":"%s"}\n'
    with FirstReads(os.path.basename, told, tmp_path / "work") as first:
        told.write_text(
            line % (tmp_path / "work/../outside.csv", "r")
            + line % (inside, "r")
            + line % (settled(tmp_path / "written.csv", "3"), "w")
            + '{"k":"open","torn'
        )
        until(lambda: first.found)
        with told.open("a") as file:
            file.write('\n{"k":"open"}\nnonsense\n' + line % (tmp_path / "missing", "r"))
        time.sleep(0.3)
    assert {name: each.digests["blake3"] for name, each in first.found.items()} == {"outside.csv": b3("1")}


def test_only_plain_files_are_read_and_nothing_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with FirstReads(os.path.basename) as first:
        for name in ("pipe", "missing", ".", "nul\0"):
            first.note(f"{tmp_path}/{name}", file_clock() + 10**9)
        first.note(str(settled(tmp_path / "plain", "1")), file_clock())
        until(lambda: first.found)
    assert set(first.found) == {"plain"}


def test_bounds_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_reads, "MAX_FILES", 2)
    monkeypatch.setattr(first_reads, "MAX_BYTES", 10)
    small, large = settled(tmp_path / "small", "1"), settled(tmp_path / "large", "x" * 20)
    with FirstReads(os.path.basename) as first:
        for path in (large, small, settled(tmp_path / "third", "3")):
            first.note(str(path), file_clock())
        until(lambda: first.found)
        assert first.is_full
    assert set(first.found) == {"small"}


def test_many_files_at_once_leave_no_descriptor_open(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number}.txt").write_text(str(number))
    settled(tmp_path / "last.txt", "x")
    before = len(os.listdir("/proc/self/fd"))
    with FirstReads(os.path.basename) as first, Watch(tmp_path, first=first) as watch:
        subprocess.run("cat *.txt > /dev/null", shell=True, check=True, cwd=tmp_path)
        until(lambda: len(first.found) == 201)
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(watch.opened) == 201
    assert watch.written_first == set()
