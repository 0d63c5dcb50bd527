"""``poetry.lock``: what `poetry install` would install for an interpreter.

The format has no description of its own; versions 2.0 (Poetry 1.3 to 1.8) and 2.1 (Poetry 2) are read. The
first names neither groups nor markers of a distribution: they are followed from pyproject.toml on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from reproof.base.version_ranges import accepts
from reproof.environment.documents import read_toml
from reproof.environment.locked import Entry, Reading, applies
from reproof.environment.requirements import normalise
from reproof.environment.values import Interpreter, LockSource

_OF_PROJECT = ("requires-python", "dependencies", "optional-dependencies")
#: Keys that count when they are absent, too, as long as nothing of the newer tables is there.
_ALWAYS = ("dependencies", "source", "extras", "dev-dependencies")


def read_poetry(source: LockSource, lock: dict[str, Any], python: Interpreter) -> Reading:
    """What Poetry would install.

    Args:
        source: Groups (None: all that are not optional) and extras; its folder has the pyproject.toml.
        lock: The lock's table.
        python: Decides markers.

    Raises:
        ValueError: The lock is of another version, or not of this form.
        ProjectError: There is no pyproject.toml, or it is not TOML.
    """
    version = str(lock["metadata"].get("lock-version", ""))
    if not version.startswith("2."):
        raise ValueError(f"lock-version `{version}`, known is 2; `poetry lock` writes it anew")
    project = read_toml(source.folder / "pyproject.toml")
    packages = [_Package(each) for each in lock.get("package", [])]
    groups = _groups(project, source)
    if all(each.groups is not None for each in packages):
        chosen = [each for each in packages if each.wanted(groups, python, source.extras)]
    else:
        chosen = list(_Walk(packages, python).reach(_roots(project, groups, source.extras)))
    digest = lock["metadata"].get("content-hash")
    return Reading(
        entries=tuple(each.entry() for each in chosen),
        stale=digest is not None
        and digest not in (content_hash(project), content_hash(project, groups=False)),
        itself=_is_package(source.folder, project),
    )


def content_hash(project: dict[str, Any], *, groups: bool = True) -> str:
    """The digest by which Poetry tells whether a pyproject.toml was changed since it was locked.

    Args:
        project: The pyproject.toml.
        groups: With the groups of PEP 735, as Poetry 2.3 and later do.
    """
    own = project.get("tool", {}).get("poetry", {})
    standard = {key: project["project"][key] for key in _OF_PROJECT if key in project.get("project", {})}
    further = project.get("dependency-groups", {}) if groups else {}
    keys = [key for key in _ALWAYS if key in own or not (standard or further)]
    relevant: dict[str, Any] = {key: own.get(key) for key in keys}
    if own.get("group") is not None:
        relevant["group"] = own["group"]
    if standard or further:
        relevant = {"tool": {"poetry": relevant}}
        relevant.update({"project": standard} if standard else {})
        relevant.update({"dependency-groups": further} if further else {})
    return hashlib.sha256(json.dumps(relevant, sort_keys=True, default=str).encode()).hexdigest()


class _Wish(msgspec.Struct, frozen=True):
    """A dependency: of which distribution, which versions, with which extras."""

    name: str
    version: str
    extras: tuple[str, ...] = ()
    marker: str = ""
    python: str = ""
    optional: bool = False


class _Package:
    """A distribution of the lock."""

    def __init__(self, table: dict[str, Any]) -> None:
        self.table = table
        self.name = normalise(str(table["name"]))
        self.version = str(table["version"])
        self.groups: list[str] | None = table.get("groups")

    def wanted(self, groups: Iterable[str], python: Interpreter, extras: tuple[str, ...]) -> bool:
        """Whether one of the groups asks for it, by what its own entry says."""
        marker = self.table.get("markers", "")
        return any(
            applies(marker.get(group, "") if isinstance(marker, dict) else marker, python, extras)
            for group in groups
            if group in (self.groups or ())
        )

    def dependencies(self, extras: Iterable[str]) -> Iterator[_Wish]:
        """What it needs, with some of its extras."""
        offered = self.table.get("extras", {})
        further = {_first_name(each) for extra in extras for each in offered.get(extra, ())}
        for name, value in self.table.get("dependencies", {}).items():
            for wish in _wishes(name, value):
                if not wish.optional or wish.name in further:
                    yield wish

    def entry(self) -> Entry:
        """What is to be installed."""
        source = self.table.get("source", {})
        kind, url = source.get("type", ""), str(source.get("url", ""))
        hashes = tuple(each["hash"] for each in self.table.get("files", ()))
        part = f"#subdirectory={source['subdirectory']}" if source.get("subdirectory") else ""
        if kind == "git":
            return Entry(name=self.name, place=f"git+{_git(url)}@{source['resolved_reference']}{part}")
        if kind == "url":
            return Entry(name=self.name, place=f"{url}{part}", hashes=hashes)
        if kind in ("directory", "file"):
            develop = kind == "directory" and self.table.get("develop") is True
            return Entry(name=self.name, folder=url, editable=develop)
        return Entry(
            name=self.name, version=self.version, hashes=hashes, index=url if kind == "legacy" else ""
        )


class _Walk:
    """Follows dependencies from one distribution to the next."""

    def __init__(self, packages: Iterable[_Package], python: Interpreter) -> None:
        self._python = python
        self._by_name: dict[str, list[_Package]] = {}
        for each in packages:
            self._by_name.setdefault(each.name, []).append(each)

    def reach(self, wishes: Iterable[_Wish]) -> Iterator[_Package]:
        """Every distribution that the wishes lead to, once."""
        pending, seen = list(wishes), set()
        given: set[int] = set()
        while pending:
            wish = pending.pop()
            if wish in seen or not self._holds(wish):
                continue
            seen.add(wish)
            package = self._find(wish)
            if id(package) not in given:
                given.add(id(package))
                yield package
            pending += package.dependencies(wish.extras)

    def _holds(self, wish: _Wish) -> bool:
        fits = not wish.python or accepts(wish.python, self._python.version)
        return fits and applies(wish.marker, self._python, ())

    def _find(self, wish: _Wish) -> _Package:
        there = self._by_name.get(wish.name, [])
        fitting = [
            each
            for each in there
            if accepts(wish.version, each.version)
            and accepts(str(each.table.get("python-versions", "*")), self._python.version)
        ]
        if not (fitting or there):
            raise ValueError(f"`{wish.name}` is needed, and not in the lock")
        return (fitting or there)[0]


def _groups(project: dict[str, Any], source: LockSource) -> list[str]:
    if source.groups is not None:
        return ["main", *source.groups]
    own = project.get("tool", {}).get("poetry", {})
    tables = own.get("group", {})
    optional = {name for name, table in tables.items() if table.get("optional") is True}
    names = ["dev", *tables, *project.get("dependency-groups", {})]
    return ["main", *(name for name in dict.fromkeys(names) if name not in optional)]


def _roots(project: dict[str, Any], groups: list[str], extras: tuple[str, ...]) -> Iterator[_Wish]:
    own = project.get("tool", {}).get("poetry", {})
    further = {normalise(name) for extra in extras for name in own.get("extras", {}).get(extra, ())}
    standard = project.get("project", {})
    for text in standard.get("dependencies", ()):
        yield _of_text(text)
    for extra in extras:
        yield from map(_of_text, standard.get("optional-dependencies", {}).get(extra, ()))
    tables = [own.get("dependencies", {})]
    tables += [own.get("group", {}).get(group, {}).get("dependencies", {}) for group in groups]
    tables += [own.get("dev-dependencies", {})] if "dev" in groups else []
    for table in tables:
        for name, value in table.items():
            if name.lower() != "python":
                yield from (
                    wish for wish in _wishes(name, value) if not wish.optional or wish.name in further
                )


def _wishes(name: str, value: object) -> Iterator[_Wish]:
    """A dependency as Poetry writes it: a range, a table, or several tables."""
    for each in value if isinstance(value, list) else [value]:
        table = each if isinstance(each, dict) else {"version": str(each)}
        yield _Wish(
            normalise(name),
            str(table.get("version", "*")),
            tuple(table.get("extras", ())),
            str(table.get("markers", "")),
            str(table.get("python", "")),
            table.get("optional") is True,
        )


def _of_text(text: str) -> _Wish:
    from packaging.requirements import Requirement

    asked = Requirement(text)
    marker = str(asked.marker) if asked.marker else ""
    return _Wish(normalise(asked.name), str(asked.specifier) or "*", tuple(sorted(asked.extras)), marker)


def _first_name(text: str) -> str:
    """The name in ``pytest (>=6.0.0)``, ``coverage[toml] (>=5)``."""
    return normalise(re.split(r"[\s\[(;<>=!~]", text.strip(), maxsplit=1)[0])


def _git(url: str) -> str:
    """``git@host:owner/repo`` as an address."""
    match = re.fullmatch(r"(?P<who>[\w.-]+@[\w.-]+):(?!/)(?P<path>.+)", url)
    return f"ssh://{match['who']}/{match['path']}" if match else url


def _is_package(folder: Path, project: dict[str, Any]) -> bool:
    """Whether Poetry installs the project itself: it is no mere list of packages, and its code is there."""
    own = project.get("tool", {}).get("poetry", {})
    name = project.get("project", {}).get("name") or own.get("name")
    if own.get("package-mode") is False or "build-system" not in project or not name:
        return False
    plain = normalise(str(name)).replace("-", "_")
    usual = [folder / base / form for base in ("", "src") for form in (plain, f"{plain}.py")]
    return bool(own.get("packages")) or any(path.exists() for path in usual)
