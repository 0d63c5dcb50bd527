"""Arguments of programs: which Python they start, and what in them is nobody's business."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from reproof.base.scripts import script_head
from reproof.capture.secrets import announces_secret, contains_secret

_PYTHON = re.compile(r"(python|pypy)[0-9.]*[a-z]?")
_SHELLS = {"sh", "bash", "dash", "zsh", "ksh"}
_OPERATORS = re.compile(r"[();<>|&]+")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")

#: Commands whose last arguments are another command.
_PREFIXES = {
    "env",
    "exec",
    "command",
    "nice",
    "ionice",
    "time",
    "timeout",
    "nohup",
    "setsid",
    "stdbuf",
    "taskset",
}

#: Options of Python that end it before it begins.
_ANSWERS = {"-V", "-VV", "--version", "-h", "-?", "--help", "--help-env", "--help-xoptions", "--help-all"}

_SETTING = re.compile(r"(?P<name>[A-Za-z_][\w-]*)=(?P<value>[^\s'\"]+)")
_USER_OF_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/@\s]+@")
_CONCEALED = "***"


def python_calls(argv: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The Python programs that a command starts by name, each with its arguments.

    Sees through ``sh -c`` and commands such as ``env`` and ``nice``, and what a script that is called by its
    whole path names in its head. Calls that only ask for the
    version or for help are left out, because such a Python never starts.
    """
    if not argv:
        return ()
    if (
        posixpath.basename(argv[0]) in _SHELLS
        and len(argv) > 2
        and argv[1].startswith("-")
        and "c" in argv[1]
    ):
        commands = _commands(argv[2])
    else:
        commands = iter([tuple(argv)])
    calls = (_python_call(command) for command in commands)
    return tuple(call for call in calls if call)


def conceal(argv: Sequence[str]) -> tuple[str, ...]:
    """Arguments with values of secret-looking options, and users and passwords in addresses, left out."""
    shown, expected = [], False
    for argument in argv:
        if expected and not argument.startswith("-"):
            shown.append(_CONCEALED)
        else:
            plain = _SETTING.sub(_without_value, argument)
            plain = _USER_OF_ADDRESS.sub(rf"\g<scheme>{_CONCEALED}@", plain)
            shown.append(_CONCEALED if contains_secret(plain.replace(_CONCEALED, "")) else plain)
        expected = argument.startswith("-") and "=" not in argument and announces_secret(argument)
    return tuple(shown)


def _without_value(setting: re.Match[str]) -> str:
    return f"{setting['name']}={_CONCEALED}" if announces_secret(setting["name"]) else setting[0]


def _commands(text: str) -> Iterator[tuple[str, ...]]:
    """The simple commands of a line for the shell, as far as words can tell."""
    words = shlex.shlex(text.replace("\n", ";"), posix=True, punctuation_chars=True)
    words.whitespace_split, words.commenters = True, ""
    command: list[str] = []
    redirected = False  # the next word is the name of a file
    try:
        for word in words:
            if redirected:
                redirected = False
            elif not _OPERATORS.fullmatch(word):
                command.append(word)
            elif word[0] in "<>":
                redirected = True
                if command and command[-1].isdigit():
                    command.pop()
            else:
                yield tuple(command)
                command = []
    except ValueError:
        pass  # an open quotation mark, maybe because long arguments are cut
    yield tuple(command)


def _python_call(command: tuple[str, ...]) -> tuple[str, ...]:
    prefixed = False
    for position, word in enumerate(command):
        name = posixpath.basename(word)
        if _PYTHON.fullmatch(name):
            call = command[position:]
            return () if _ANSWERS.intersection(_options(call)) else call
        if name in _PREFIXES:
            prefixed = True
        elif _ASSIGNMENT.match(word):
            continue
        elif script := _script_call(command[position:]):
            return script
        elif not prefixed:
            return ()
    return ()


def _script_call(command: tuple[str, ...]) -> tuple[str, ...]:
    """A script that is called by its whole path and names a Python in its head, as a call of that Python."""
    head = script_head(Path(command[0])) if command[0].startswith("/") else None
    if head is None or not _PYTHON.fullmatch(posixpath.basename(head.interpreter)):
        return ()
    return (head.interpreter, *command)


def _options(call: tuple[str, ...]) -> Iterator[str]:
    for word in call[1:]:
        if not word.startswith("-") or word in ("-c", "-m", "-"):
            return
        yield word
