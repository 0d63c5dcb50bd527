from __future__ import annotations

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
