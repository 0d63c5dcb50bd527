from __future__ import annotations

from pathlib import Path

import pytest

from reproof.capture.programs import conceal, python_calls


@pytest.mark.parametrize(
    ("argv", "calls"),
    [
        (("python", "a.py"), [("python", "a.py")]),
        (("/x/bin/python3.11", "-S", "a.py"), [("/x/bin/python3.11", "-S", "a.py")]),
        (("pypy3", "a.py"), [("pypy3", "a.py")]),
        (("python3.13t", "a.py"), [("python3.13t", "a.py")]),
        (("python", "--version"), []),
        (("python", "-W", "ignore"), [("python", "-W", "ignore")]),
        (("python", "-m", "tool", "--version"), [("python", "-m", "tool", "--version")]),
        (("python", "a.py", "--help"), [("python", "a.py", "--help")]),
        (("git", "log", "python"), []),
        (("pythonista", "x"), []),
        (("env", "-i", "A=b", "python", "a.py"), [("python", "a.py")]),
        (("nice", "-n", "5", "python", "a.py"), [("python", "a.py")]),
        (("sh", "-c", "X=1 python a.py 'b c' >out 2>&1"), [("python", "a.py", "b c")]),
        (("bash", "-lc", "cd x && python a.py; python b.py|cat"), [("python", "a.py"), ("python", "b.py")]),
        (("sh", "-c", "python x:y %z \nwhich python"), [("python", "x:y", "%z")]),
        (("sh", "-c", "python -c 'cut in the mid"), [("python", "-c")]),
        (("sh", "script.sh"), []),
        (("sh", "-c"), []),
        ((), []),
    ],
)
def test_python_calls(argv: tuple[str, ...], calls: list[tuple[str, ...]]) -> None:
    assert list(python_calls(argv)) == calls


def test_a_script_is_a_call_of_what_its_head_names(tmp_path: Path) -> None:
    tool, shell = tmp_path / "tool", tmp_path / "shell"
    tool.write_text("#!/venv/bin/python3\nprint()\n")
    shell.write_text("#!/bin/sh\n")
    call = ("/venv/bin/python3", str(tool), "a")
    assert python_calls((str(tool), "a")) == (call,)
    assert python_calls(("env", "-i", "A=b", str(tool), "a")) == (call,)
    assert python_calls(("sh", "-c", f"cd x && {tool} a")) == (call,)
    for other in (str(shell), str(tmp_path / "none"), "tool", str(tmp_path)):
        assert python_calls((other, "a")) == ()


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["x", "--token", "abc"], ("x", "--token", "***")),
        (["x", "--api-key=abc"], ("x", "--api-key=***")),
        (["DB_PASSWORD=abc", "x"], ("DB_PASSWORD=***", "x")),
        (["sh", "-c", "SECRET=a python x"], ("sh", "-c", "SECRET=*** python x")),
        (["get", "https://me:pw@host/x"], ("get", "https://***@host/x")),
        (["x", "-c", "key = 'hf_abcdefghijklmnopqrstu'"], ("x", "-c", "***")),
        (["x", "--tokens-per-batch"], ("x", "--tokens-per-batch")),
        (["x", "--token", "--verbose"], ("x", "--token", "--verbose")),
        (["x", "--seed", "42", "a@b"], ("x", "--seed", "42", "a@b")),
    ],
)
def test_secrets_are_left_out(argv: list[str], shown: tuple[str, ...]) -> None:
    assert conceal(argv) == shown
