"""Locks of Poetry, PDM and Pipenv, turned into requirements with hashes for one interpreter.

Groups, extras and markers are decided here; what is left is the list of the very distributions that these
tools would install.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from reproof.base.programs import pasteable
from reproof.environment.documents import parse_toml, read_text
from reproof.environment.locked import Reading, choose, render
from reproof.environment.pdm_lock import read_pdm
from reproof.environment.pipfile_lock import read_pipfile
from reproof.environment.poetry_lock import read_poetry
from reproof.environment.values import Interpreter, LockSource, LockText
from reproof.errors import EnvironmentBuildError, ProjectError

_READERS: dict[str, tuple[str, str, Callable[[LockSource, dict[str, Any], Interpreter], Reading]]] = {
    "poetry.lock": ("pyproject.toml", "poetry lock", read_poetry),
    "pdm.lock": ("pyproject.toml", "pdm lock", read_pdm),
    "Pipfile.lock": ("Pipfile", "pipenv lock", read_pipfile),
}

#: Names of the locks that are read here.
OTHER_LOCKS = frozenset(_READERS)


def other_lock(source: LockSource, python: Interpreter) -> LockText:
    """The lock of a project of Poetry, PDM or Pipenv, as requirements with hashes.

    A lock that does not fit its project is an error where the project can still be locked again. For what a
    run of old may have had (`as_of`), it is said instead.

    Raises:
        ProjectError: The lock cannot be read, or is of a version that is not known.
        EnvironmentBuildError: It does not fit the project, or names no files for a distribution.
    """
    project, again, read = _READERS[source.kind]
    path = source.folder / source.file
    text = read_text(path)
    document = json_table(text, path.name) if source.kind == "Pipfile.lock" else parse_toml(text, path.name)
    try:
        found = read(source, document, python)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProjectError(
            f"`{path.name}` is not in a form that is known",
            details=[("reason", str(error) if isinstance(error, ValueError) else repr(error))],
        ) from error
    hint = f"run `{pasteable(again, source.folder)}`"
    if found.stale and source.as_of is None:
        raise EnvironmentBuildError(
            f"the lock does not match {project}", details=[("lock", source.file)], hint=hint
        )
    chosen = choose(found.entries, source.file)
    for each in chosen:
        if not each.locked:
            raise EnvironmentBuildError(
                f"`{source.file}` names no hash for `{each.text}`", details=[("lock", source.file)], hint=hint
            )
    stale = (
        (f"`{source.file}` does not match {project}: locked before it was changed",) if found.stale else ()
    )
    return render(found, chosen, source, stale)


def json_table(text: str, name: str) -> dict[str, Any]:
    """A JSON text whose top is a table.

    Raises:
        ProjectError: It is none.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProjectError(f"`{name}` is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ProjectError(f"`{name}` is not a table of JSON")
    return found
