"""Names of files go both ways, and carry no path of a machine."""

from __future__ import annotations

import os

import pytest

from reproof.base.naming import Naming, escape, unescape

NAMING = Naming(top="/home/u/work/p", home="/home/u", environment="/home/u/.cache/env", scratch="/tmp/s")  # noqa: S108


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/u/work/p/data/x.csv", "data/x.csv"),
        ("/home/u/.cache/env/lib/a.so", "${ENV}/lib/a.so"),
        ("/home/u/.cache/hub/m", "${HOME}/.cache/hub/m"),
        ("/tmp/s/a", "${TMP}/a"),
        ("/data/x", "/data/x"),
        ("/home/u/work/p2/x", "${HOME}/work/p2/x"),
        (os.fsdecode(b"/home/u/work/p/x\xff.txt"), "x\\xff.txt"),
    ],
)
def test_names_go_both_ways(path: str, name: str) -> None:
    assert NAMING.name_file(path) == name
    assert str(NAMING.find_file(name)) == path


def test_text_is_freed_of_folders_and_back() -> None:
    text = "--conf /home/u/work/p/c.yaml --out=/home/u/out /home/u2 /home/u/work/project"
    freed = NAMING.replace_in(text)
    assert freed == "--conf ${PROJECT}/c.yaml --out=${HOME}/out /home/u2 ${HOME}/work/project"
    assert NAMING.expand_in(freed) == text


def test_escapes_only_what_is_no_text() -> None:
    assert escape("grün\\x41") == "grün\\x41"
    assert unescape("grün\\x41") == "grün\\x41"
