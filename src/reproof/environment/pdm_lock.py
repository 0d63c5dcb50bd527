"""``pdm.lock``: what `pdm install` would install. The form is that of lock versions 4.4.2 and later."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from reproof.environment.documents import read_toml
from reproof.environment.locked import Entry, Reading, applies, project_groups
from reproof.environment.requirements import normalise
from reproof.environment.values import Interpreter, LockSource


def read_pdm(source: LockSource, lock: dict[str, Any], python: Interpreter) -> Reading:
    """What PDM would install.

    Args:
        source: Groups (None: all groups for development) and extras.
        lock: The lock's table.
        python: Decides markers.

    Raises:
        ValueError: The lock does not say which group needs what.
        ProjectError: There is no pyproject.toml, or it is not TOML.
    """
    about = lock["metadata"]
    if not str(about.get("lock_version", "")).startswith("4.") or "inherit_metadata" not in about.get(
        "strategy", ()
    ):
        raise ValueError("no `inherit_metadata`; `pdm lock --strategy inherit_metadata` writes it")
    project = read_toml(source.folder / "pyproject.toml")
    own = project.get("tool", {}).get("pdm", {})
    usual = [*own.get("dev-dependencies", {}), *project_groups(project)]
    groups = {"default", *(source.groups if source.groups is not None else usual), *source.extras}
    found = {}
    for each in lock.get("package", []):
        if groups & set(each.get("groups", ())) and applies(str(each.get("marker", "")), python, ()):
            found[normalise(each["name"])] = _entry(each)  # an entry with extras repeats the one without
    digest = str(about.get("content_hash", "")).removeprefix("sha256:")
    return Reading(
        entries=tuple(found.values()),
        stale=bool(digest) and digest != content_hash(project),
        itself=_is_distribution(project),
    )


def content_hash(project: dict[str, Any]) -> str:
    """The digest by which PDM tells whether a pyproject.toml was changed since it was locked."""
    own, standard = project.get("tool", {}).get("pdm", {}), project.get("project", {})
    groups = {**own.get("dev-dependencies", {})}
    for name, lines in project.get("dependency-groups", {}).items():
        groups[name] = [*groups.get(name, ()), *lines]
    relevant = {
        "sources": own.get("source", []),
        "dependencies": standard.get("dependencies", []),
        "dev-dependencies": groups,
        "optional-dependencies": standard.get("optional-dependencies", {}),
        "requires-python": standard.get("requires-python", ""),
        "resolution": own.get("resolution", {}),
    }
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def _is_distribution(project: dict[str, Any]) -> bool:
    """Whether PDM installs the project itself, and something says how to build it."""
    own = project.get("tool", {}).get("pdm", {})
    declared = own.get("distribution", own.get("package-type", "library") == "library")
    return declared is True and "build-system" in project and "name" in project.get("project", {})


def _entry(table: dict[str, Any]) -> Entry:
    hashes = tuple(each["hash"] for each in table.get("files", ()))
    name, part = str(table["name"]), str(table.get("subdirectory") or "")
    ending = f"#subdirectory={part}" if part else ""
    if "git" in table:
        return Entry(name=name, place=f"git+{table['git']}@{table['revision']}{ending}")
    if "url" in table:
        return Entry(name=name, place=f"{table['url']}{ending}", hashes=hashes)
    if "path" in table:
        return Entry(name=name, folder=str(table["path"]), editable=table.get("editable") is True)
    return Entry(name=name, version=str(table["version"]), hashes=hashes)
