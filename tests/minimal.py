"""The least that a record has, for tests to which only some of its parts matter."""

from __future__ import annotations

from typing import Any

from reproof.model.record import CodeSection, ProjectSection, Record, Tool


def minimal_record(**parts: Any) -> Record:
    """A record of a finished run of which nothing is known but the given parts."""
    bare: dict[str, Any] = {
        "tool": Tool(),
        "state": "finished",
        "created": "2026-01-01T00:00:00Z",
        "nonce": "n",
        "project": ProjectSection(name="p", command="true"),
        "code": CodeSection(commit="c" * 40, tree="d" * 40),
    }
    return Record(**{**bare, **parts})
