"""Mutations as data: what one change does to a project in a folder, or to how it is run.

A change is a table with ``do`` and its arguments. Those that edit files are applied to the folder; the others alter
the ``Call``: the command, reproof's options and the environment that the next run gets.
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutations.wheels import write_wheel

Change = dict[str, Any]


@dataclass
class Call:
    """How the project is run: options of `reproof run`, the command, and variables on top of the environment."""

    options: list[str]
    command: list[str]
    variables: dict[str, str] = field(default_factory=dict)

    def words(self) -> list[str]:
        """The words after `reproof run`."""
        return [*self.options, *(["--", *self.command] if self.command else [])]


def apply(changes: list[Change], folder: Path, call: Call, git: Callable[..., object]) -> None:
    """Apply changes in order.

    Args:
        changes: From the table of pairs.
        folder: The project.
        call: How it is run; altered in place.
        git: Runs Git with words in the project.

    Raises:
        ValueError: A change that would change nothing, or that nobody knows.
    """
    for change in changes:
        name = change["do"]
        if name == "commit":
            git("add", "-A")
            git("commit", "-q", "--allow-empty", "-m", change.get("message", "Go on"))
        elif name in _ON_CALL:
            _ON_CALL[name](call, change)
        elif name in _ON_FILES:
            _ON_FILES[name](folder, change)
        else:
            raise ValueError(f"unknown change `{name}`")


def _replace(folder: Path, change: Change) -> None:
    path = folder / change["file"]
    text = path.read_text(encoding="utf-8")
    if text.count(change["old"]) != 1:
        raise ValueError(f"`{change['old']}` stands {text.count(change['old'])} times in {path}")
    path.write_text(text.replace(change["old"], change["new"]), encoding="utf-8")


def _write(folder: Path, change: Change) -> None:
    path = folder / change["file"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(change["text"], encoding="utf-8")


def _append(folder: Path, change: Change) -> None:
    with (folder / change["file"]).open("a", encoding="utf-8") as file:
        file.write(change["text"])


def _move(folder: Path, change: Change) -> None:
    target = folder / change["to"]
    target.parent.mkdir(parents=True, exist_ok=True)
    (folder / change["file"]).rename(target)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True)


def _cell(folder: Path, change: Change) -> None:
    """One cell of a CSV file; rows count from 1 below the header."""
    path = folder / change["file"]
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    column = rows[0].index(change["column"])
    if rows[change["row"]][column] == change["value"]:
        raise ValueError("the cell has this value already")
    rows[change["row"]][column] = change["value"]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _drop(folder: Path, change: Change) -> None:
    path = folder / change["file"]
    lines = _lines(path)
    del lines[change["row"]]
    path.write_text("".join(lines), encoding="utf-8")


def _swap(folder: Path, change: Change) -> None:
    path = folder / change["file"]
    lines = _lines(path)
    first, second = change["rows"]
    lines[first], lines[second] = lines[second], lines[first]
    path.write_text("".join(lines), encoding="utf-8")


def _require(folder: Path, change: Change) -> None:
    path = folder / "requirements.txt"
    text = path.read_text(encoding="utf-8")
    for name, version in change["versions"].items():
        text, count = re.subn(rf"(?m)^{re.escape(name)}==.*$", f"{name}=={version}", text)
        if not count:
            text += f"{name}=={version}\n"
    path.write_text(text, encoding="utf-8")


def _wheels(folder: Path, change: Change) -> None:
    """Packages ``part00`` to ``part39`` as 1.0 and a later `release`; `weights` says what that of some of them has."""
    for number in range(40):
        name = f"part{number:02d}"
        for version in ("1.0", change["release"]):
            weight = change["weights"].get(name, 1.0) if version != "1.0" else 1.0
            text = f'"""Part {number}, release {version}."""\n\nWEIGHT = {weight!r}\n'
            write_wheel(folder / "wheels", name, version, text)


def _recreate(folder: Path, change: Change) -> None:
    """Write the files of a folder anew, in the order of their names or the reverse: listings may follow it."""
    place = folder / change["folder"]
    texts = {path.name: path.read_bytes() for path in place.iterdir()}
    for name in texts:
        (place / name).unlink()
    for name in sorted(texts, reverse=change["reverse"]):
        (place / name).write_bytes(texts[name])


def _shell(folder: Path, change: Change) -> None:
    subprocess.run(["bash", "-ec", change["line"]], cwd=folder, check=True, env=dict(os.environ))


def _variables(call: Call, change: Change) -> None:
    for name, value in change["values"].items():
        call.variables.pop(name, None)
        if value is not None:
            call.variables[name] = value


def _command(call: Call, change: Change) -> None:
    call.command = list(change["words"])


def _options(call: Call, change: Change) -> None:
    call.options = list(change["words"])


_ON_FILES: dict[str, Callable[[Path, Change], None]] = {
    "replace": _replace,
    "write": _write,
    "append": _append,
    "move": _move,
    "cell": _cell,
    "drop": _drop,
    "swap": _swap,
    "require": _require,
    "wheels": _wheels,
    "recreate": _recreate,
    "shell": _shell,
}
_ON_CALL: dict[str, Callable[[Call, Change], None]] = {
    "variables": _variables,
    "command": _command,
    "options": _options,
}
