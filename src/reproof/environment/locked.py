"""What a lock of another tool comes to: distributions, each a line of requirements."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from reproof.environment.requirements import Line, normalise, read_lines, without_userinfo
from reproof.environment.uv import default_index
from reproof.environment.values import Interpreter, LockSource, LockText
from reproof.errors import EnvironmentBuildError

_EXTRA = re.compile(r"\bextra\b")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution that is to be installed.

    Attributes:
        name: As the lock has it.
        version: As the lock has it.
        hashes: ``sha256:...`` of its files.
        place: What follows the name where it is no entry of an index: ``git+https://...@COMMIT``, an address.
        folder: The folder or file below the project that it is, instead.
        editable: Installed as a link.
        index: Address of the index that it comes from, where the lock names one.
    """

    name: str
    version: str = ""
    hashes: tuple[str, ...] = ()
    place: str = ""
    folder: str = ""
    editable: bool = False
    index: str = ""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a lock says for an interpreter, groups and extras.

    Attributes:
        entries: What is installed.
        stale: The project was changed since it was locked, as far as the lock tells.
        itself: The project is installed, too, as a link.
    """

    entries: tuple[Entry, ...]
    stale: bool = False
    itself: bool = False


def choose(entries: Iterable[Entry], source: str) -> list[Line]:
    """The entries as lines, by name.

    Raises:
        EnvironmentBuildError: Two of them are one distribution in two versions.
    """
    found: dict[str, str] = {}
    lines: dict[str, Line] = {}
    for entry in sorted(entries, key=lambda each: normalise(each.name)):
        name = normalise(entry.name)
        text = _text(entry)
        if found.setdefault(name, text) != text:
            raise EnvironmentBuildError(
                f"`{source}` has several versions of `{name}` for this Python",
                details=[("first", found[name]), ("second", text)],
            )
        lines[name] = _line(entry, name, text)
    return list(lines.values())


def render(found: Reading, lines: Iterable[Line], source: LockSource, more: tuple[str, ...]) -> LockText:
    """The lock as requirements.

    Args:
        found: What was read.
        lines: Of :func:`choose`.
        source: Where it was read.
        more: What else limits what the lock proves.
    """
    own = dict.fromkeys(each.index for each in found.entries if each.index)
    # What is asked anyway needs no line, and a machine that asks a mirror instead must stay free to.
    addresses = [address for address in own if address.rstrip("/") != default_index()]
    options = read_lines(
        [f"--extra-index-url {address}" for address in addresses], source.folder, source.file
    )
    all_lines = [*options, *lines]
    unhashed = [f"{line.text}: {_why(line)}" for line in lines if not line.hashed]
    if found.itself:
        all_lines.append(Line(text="-e .", option="-e", path=source.folder.resolve()))
        unhashed.append("-e .: a folder of the project")
    return LockText(
        format="requirements",
        text="".join(f"{line.render()}\n" for line in all_lines),
        source=source.file,
        unhashed=(*unhashed, *more),
        private_indexes=tuple(line.secret for line in options if line.secret),
    )


def applies(marker: str, python: Interpreter, extras: Collection[str]) -> bool:
    """Whether a marker (PEP 508) holds for an interpreter and the chosen extras of the project.

    Raises:
        ValueError: It is no marker.
    """
    from packaging.markers import Marker

    if not marker:
        return True
    parsed, around = Marker(marker), marker_environment(python)
    if not _EXTRA.search(marker):
        return parsed.evaluate(around)
    return any(parsed.evaluate({**around, "extra": extra}) for extra in ("", *extras))


def marker_environment(python: Interpreter) -> dict[str, str]:
    """What markers ask for, of this machine and an interpreter that need not be the one that runs reproof."""
    from packaging.markers import default_environment

    full = python.version
    return {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": ".".join(full.split(".")[:2]),
        "python_full_version": full,
        "implementation_version": full,
        "implementation_name": python.build.implementation,
    }


def project_groups(document: Mapping[str, Any]) -> list[str]:
    """The names of the dependency groups (PEP 735) of a pyproject.toml."""
    return list(document.get("dependency-groups", {}))


def _text(entry: Entry) -> str:
    if entry.folder:
        place = entry.folder if entry.folder.startswith((".", "/")) else f"./{entry.folder}"
        return f"-e {place}" if entry.editable else place
    if entry.place:
        return f"{entry.name} @ {without_userinfo(entry.place)}"
    return f"{entry.name}=={entry.version}"


def _line(entry: Entry, name: str, text: str) -> Line:
    from pathlib import Path

    (line,) = read_lines([text], Path.cwd(), entry.name)
    return msgspec.structs.replace(line, name=name, hashes=entry.hashes)


def _why(line: Line) -> str:
    return "a folder or file of the project" if line.path is not None else "from Git, locked by its commit"
