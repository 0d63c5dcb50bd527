"""Parts of a repository that commits only point to, and what is said where they are not there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reproof.base.cloning import Cloned
from reproof.errors import MaterialError
from reproof.model.event import Event
from reproof.model.record import CodeSection, Submodule
from reproof.workflow.code_parts import require_submodules, warn_of_pointers

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 12\n"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    for name, text in {"weights.bin": POINTER, "whole.bin": "content", "notes.txt": POINTER}.items():
        (tmp_path / name).write_text(text)
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "first")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_pointers_without_content_are_named_with_the_way_out(top: Path) -> None:
    told: list[Event] = []
    warn_of_pointers(top, told.append)
    (event,) = told
    assert event.kind == "warning"
    assert event.message == "`weights.bin` is without content: pointers of Git LFS"
    assert event.hint == f"run `git -C {top} lfs pull`"


def test_nothing_is_said_where_the_content_is_there(top: Path) -> None:
    (top / "weights.bin").write_text("fetched")
    told: list[Event] = []
    warn_of_pointers(top, told.append)
    assert told == []


def test_an_absent_submodule_is_named_with_its_address(tmp_path: Path) -> None:
    inner = Submodule(path="libs/it", commit="c" * 40, url="https://forge.example/it.git")
    code = CodeSection(commit="a" * 40, tree="b" * 40, submodules=(inner,))
    require_submodules(Cloned(commit="a" * 40), code, tmp_path)
    with pytest.raises(MaterialError, match="the submodule `libs/it` is not there") as caught:
        require_submodules(Cloned(commit="a" * 40, absent=("libs/it",)), code, tmp_path)
    assert list(caught.value.details) == [("libs/it", f"commit {'c' * 12} of https://forge.example/it.git")]
    assert caught.value.hint == f"run `git -C {tmp_path} submodule update --init --recursive`"
