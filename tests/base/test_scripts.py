from __future__ import annotations

from pathlib import Path

import pytest

from reproof.base.scripts import script_head

SHELL = "#!/bin/sh\n'''exec' {} \"$0\" \"$@\"\n' '''\nprint()\n"


@pytest.mark.parametrize(
    ("text", "interpreter"),
    [
        ("#!/venv/bin/python\nprint()\n", "/venv/bin/python"),
        ("#! /venv/bin/python3 -I\nprint()\n", "/venv/bin/python3"),
        ("#!/usr/bin/env python3\nprint()\n", "python3"),
        ("#!/usr/bin/env -S A=b python3 -u\nprint()\n", "python3"),
        (SHELL.format("'/a b/bin/python'"), "/a b/bin/python"),
        (SHELL.format("/long/bin/python"), "/long/bin/python"),
        ("#!/bin/sh\nprint()\n", "/bin/sh"),
    ],
)
def test_the_interpreter_and_where_its_lines_end(tmp_path: Path, text: str, interpreter: str) -> None:
    (tmp_path / "script").write_text(text)
    (tmp_path / "link").symlink_to("script")
    head = script_head(tmp_path / "link")
    assert head is not None
    assert (head.interpreter, text[head.size :]) == (interpreter, "print()\n")


@pytest.mark.parametrize("text", ["", "#!", "#!\n", "#!/usr/bin/env\n", "print()\n", "\x7fELF"])
def test_no_script(tmp_path: Path, text: str) -> None:
    (tmp_path / "script").write_text(text)
    assert script_head(tmp_path / "script") is None
    assert script_head(tmp_path) is None
    assert script_head(tmp_path / "none") is None
