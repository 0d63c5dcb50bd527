"""Content that was kept by hand is restored; what no record names goes, what one names stays, whatever happens."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from projects import Project
from reproof.model.digest import Digest
from reproof.store.directory import DirectoryStore

RUN = ("run", "--env-manager", "local")
READS = """
import os, pathlib
text = pathlib.Path("input.txt").read_text() + "".join(sorted(path.read_text() for path in pathlib.Path("many").glob("*.txt")))
pathlib.Path("result.txt").write_text(text.upper())
"""


@pytest.fixture
def reader(plain: Project) -> Project:
    """A project that reads a file and a folder that Git ignores and DVC does not know."""
    plain.write("train.py", READS)
    plain.write(".gitignore", "input.txt\nmany/\n")
    plain.commit()
    plain.write("input.txt", "first\n")
    for name in "abc":
        plain.write(f"many/{name}.txt", f"{name}\n")
    return plain


def age(project: Project) -> None:
    """Let every object look as if it had been put long ago."""
    for path in (project.folder / ".reproof/objects").rglob("*"):
        if path.is_file():
            os.utime(path, (1_700_000_000, 1_700_000_000))


def objects(project: Project) -> int:
    return len(list(DirectoryStore(project.folder / ".reproof")))


def test_what_was_kept_is_restored_when_the_original_is_gone(reader: Project) -> None:
    advice = reader.reproof(*RUN, "--", "python", "train.py", expect=0).err
    assert "`reproof keep input.txt`" in advice
    assert "`reproof keep many`" in advice
    assert "kept many" in reader.reproof("keep", "input.txt", "many", expect=0).out
    reader.shell("rm -r input.txt many")
    verdict = reader.verify(expect=0)
    assert verdict["reproduced"] is True
    assert not [each for each in verdict["conditions"] if "original place" in each["value"]]
    age(reader)
    assert "0 objects that no record names removed" in reader.reproof("store", "gc", expect=0).out
    assert "all sound" in reader.reproof("store", "check", expect=0).out
    reader.verify(expect=0)


def test_the_advice_is_not_given_again(reader: Project) -> None:
    reader.reproof("keep", "input.txt", "many", expect=0)
    assert "reproof keep" not in reader.reproof(*RUN, "--", "python", "train.py", expect=0).err


def test_gc_removes_what_no_record_names_and_dry_run_nothing(reader: Project) -> None:
    reader.reproof(*RUN, "--", "python", "train.py", expect=0)
    store = DirectoryStore(reader.folder / ".reproof")
    before = objects(reader)
    loose = store.put_bytes(b"nobody's")
    assert (
        json.loads(reader.reproof("store", "gc", "--output-format", "json", expect=0).out)["removed"] == 0
    )  # too young
    age(reader)
    assert (
        "1 objects that no record names would be removed"
        in reader.reproof("store", "gc", "--dry-run", expect=0).out
    )
    assert loose in store
    reader.reproof("store", "gc", expect=0)
    assert loose not in store
    assert objects(reader) == before
    reader.verify(expect=0)


def test_gc_spares_what_a_run_that_goes_on_may_need(reader: Project) -> None:
    store = DirectoryStore(reader.folder / ".reproof")
    reader.reproof(*RUN, "--", "python", "train.py", expect=0)
    store.put_bytes(b"of the run that goes on")
    draft = reader.folder / ".reproof/unfinished/abc.json"
    draft.parent.mkdir(exist_ok=True)
    draft.write_text("{}")
    yesterday = time.time() - 86400
    os.utime(draft, (yesterday, yesterday))
    said = reader.reproof("store", "gc", expect=0).out
    assert "0 objects" in said
    assert "abc.json" in said


def test_gc_removes_nothing_when_a_kept_folder_cannot_be_read(reader: Project) -> None:
    reader.reproof("keep", "many", expect=0)
    (kept,) = (reader.folder / ".reproof/kept").glob("*.json")
    place = DirectoryStore(reader.folder / ".reproof").path(Digest("blake3", kept.stem))
    place.chmod(0o644)
    place.write_text("evil")
    age(reader)
    refused = reader.reproof("store", "gc", expect=2)
    assert "cannot remove anything" in refused.err
    assert objects(reader) >= 3


def test_check_names_corrupted_missing_and_damaged(reader: Project) -> None:
    reader.reproof(*RUN, "--", "python", "train.py", expect=0)
    store = DirectoryStore(reader.folder / ".reproof")
    product = next(each for each in reader.record()["products"] if each["name"] == "result.txt")
    place = store.path(Digest("blake3", product["digests"]["blake3"]))
    place.chmod(0o644)
    place.write_text("evil")
    assert f"`{place}`: expected blake3:" in reader.reproof("store", "check", expect=1).out
    place.unlink()
    assert "of `result.txt`" in reader.reproof("store", "check", expect=1).out
    (reader.folder / ".reproof/records" / ("f" * 64 + ".json")).write_text("{")
    assert "damaged" in reader.reproof("store", "check", expect=1).out


def test_the_limit_of_the_settings_is_told(reader: Project) -> None:
    reader.write("pyproject.toml", '[tool.reproof]\nmax-store-bytes = "10 B"\n')
    reader.reproof(*RUN, "--", "python", "train.py", expect=0)
    assert "max-store-bytes" in reader.reproof("store", "gc", expect=0).out


@pytest.mark.parametrize("path", ["absent.txt", "/etc/hostname", ".", ".reproof/objects"])
def test_what_cannot_be_kept_is_refused(reader: Project, path: str) -> None:
    reader.reproof("store", "check", expect=0)
    Path(reader.folder / ".reproof/objects").mkdir(exist_ok=True)
    refused = reader.reproof("keep", path, expect=2)
    assert path in refused.err
