"""Verifying, in another clone, a run of which only the record file was handed over."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from projects import Project

RUN = ("run", "--env-manager", "local", "--", "python", "train.py")


@pytest.fixture
def clone(plain: Project, tmp_path: Path) -> Project:
    """A clone of `plain`, which has uncommitted changes, with the record of its run."""
    plain.write("extra.txt", "7\n")
    plain.write(
        "train.py",
        'import json, random\njson.dump({"x": random.random()}, open("model.json", "w"))\nopen("extra.txt").read()\n',
    )
    plain.reproof(*RUN, expect=0)
    plain.shell(f"git clone -q . {tmp_path}/clone")
    clone = Project(tmp_path / "clone", plain.env)
    shutil.copy(plain.records()[-1], tmp_path / "record.json")
    return clone


@pytest.mark.parametrize("store", ["project", "project/.reproof"])
def test_what_only_the_run_had_comes_from_where_it_was_made(clone: Project, store: str) -> None:
    before = clone.status()
    refused = clone.reproof("verify", "../record.json", expect=2)
    assert (
        "error: cannot re-create the run: no store has the uncommitted changes of the recorded run"
        in refused.err
    )
    assert refused.hint == "--store PATH"
    verdict = clone.verify("../record.json", "--store", f"../{store}", expect=0)
    assert verdict["reproduced"] is True
    clone.verify("../record.json", expect=0)  # it is here now
    assert clone.status() == before


def test_a_result_that_differs_and_is_not_here_is_unknown(clone: Project, plain: Project) -> None:
    """Only its digest is known: nothing can be said of how it differs, and nothing is taken for equal."""
    clone.verify("../record.json", "--store", "../project", expect=0)
    (product,) = plain.record()["products"]
    digest = product["digests"]["blake3"]
    (clone.folder / ".reproof/objects/b3" / digest[:2] / digest[2:]).unlink()
    verdict = clone.verify("../record.json", expect=0)
    assert verdict["reproduced"] is True  # the digests agree
    text = (clone.folder.parent / "record.json").read_text()
    (clone.folder.parent / "record.json").write_text(text.replace(digest, "ab" * 32))
    verdict = clone.verify("../record.json", "--trust", expect=3)  # not what any run here made
    (found,) = [each for each in verdict["differences"] if each["subject"] == "model.json"]
    assert "not here" in found["summary"]


def test_a_repository_without_the_commit_says_so(clone: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "other", clone.env)
    other.folder.mkdir()
    other.write("a.txt", "a\n")
    other.commit()
    refused = other.reproof("verify", "../record.json", expect=2)
    assert "commit" in refused.err.splitlines()[0]
