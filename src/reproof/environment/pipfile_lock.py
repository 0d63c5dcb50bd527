"""``Pipfile.lock``: what `pipenv sync` would install.

The format: https://github.com/pypa/pipfile and https://pipenv.pypa.io/en/latest/pipfile.html
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from reproof.environment.documents import parse_toml, read_text
from reproof.environment.locked import Entry, Reading, applies
from reproof.environment.values import Interpreter, LockSource


def read_pipfile(source: LockSource, lock: dict[str, Any], python: Interpreter) -> Reading:
    """What Pipenv would install.

    Args:
        source: Groups: ``develop`` or ``dev`` for packages for development, other categories by their name.
        lock: The lock's table.
        python: Decides markers.

    Raises:
        ValueError: The lock is not of this form.
        ProjectError: The Pipfile is not TOML.
    """
    about = lock["_meta"]
    indexes = {str(each["name"]): str(each["url"]) for each in about.get("sources", ())}
    names = ["develop" if name == "dev" else name for name in source.groups or ()]
    entries: dict[str, Entry] = {}
    for group in ("default", *names):
        for name, table in lock.get(group, {}).items():
            if applies(str(table.get("markers", "")), python, ()):
                entries.setdefault(name, _entry(name, table, indexes))
    digest = about.get("hash", {}).get("sha256")
    path = source.folder / "Pipfile"
    return Reading(
        entries=tuple(entries.values()),
        stale=digest is not None and path.is_file() and digest != content_hash(path),
    )


def content_hash(path: Path) -> str:
    """The digest by which Pipenv tells whether a Pipfile was changed since it was locked."""
    file = parse_toml(read_text(path), path.name)
    own = ("source", "packages", "dev-packages", "requires", "scripts", "pipfile", "pipenv")
    relevant = {
        "_meta": {"sources": file.get("source", []), "requires": file.get("requires", {})},
        "default": file.get("packages", {}),
        "develop": file.get("dev-packages", {}),
        **{name: table for name, table in file.items() if name not in own},
    }
    return hashlib.sha256(json.dumps(relevant, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _entry(name: str, table: dict[str, Any], indexes: dict[str, str]) -> Entry:
    hashes = tuple(table.get("hashes", ()))
    part = f"#subdirectory={table['subdirectory']}" if table.get("subdirectory") else ""
    if "git" in table:
        return Entry(name=name, place=f"git+{table['git']}@{table['ref']}{part}")
    if place := table.get("path"):
        return Entry(name=name, folder=str(place), editable=table.get("editable") is True)
    if file := table.get("file"):
        return Entry(name=name, place=f"{file}{part}", hashes=hashes)
    version = str(table["version"]).removeprefix("==").removeprefix("=")
    return Entry(name=name, version=version, hashes=hashes, index=indexes.get(str(table.get("index")), ""))
