"""Content from remotes that only DVC itself reads (S3, Google, Azure, SSH ...), through the project's own `dvc`.

It works in a folder of its own, with a cache of its own: neither the user's cache nor the room is written
to, and what it brings is believed as little as any other copy.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reproof.base.files import remove_tree
from reproof.base.programs import call
from reproof.errors import ExecutionError
from reproof.model.dvc import DvcConfig, DvcEntry
from reproof.model.event import Emit, Event

_PATIENCE = 6 * 3600.0  # seconds: data may be large, and far away


def needs_dvc(entry: DvcEntry, config: DvcConfig) -> bool:
    """Whether DVC itself may have an entry that no cache and no remote that is read here has."""
    return entry.imported_from is not None or any(remote.kind == "other" for remote in config.remotes)


@contextmanager
def fetched(entry: DvcEntry, source: Path, top: Path, emit: Emit) -> Iterator[Path | None]:
    """Let DVC fetch the content of an entry.

    Args:
        entry: What is wanted.
        source: The user's repository: its configuration, its `.venv`.
        top: The clone that has the file which names the content.
        emit: Told what is done, and what DVC complains about.

    Yields:
        A cache folder, which is removed afterwards; None where there is no `dvc`, or it fails.
    """
    program = _find_dvc(source / entry.root)
    if program is None:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="reproof-dvc-"))
    try:
        emit(Event(kind="start", subject=entry.path, message=f"running `dvc fetch {entry.source}`"))
        is_there = _fetch(program, entry, (source, top, folder), emit)
        emit(Event(kind="finish", subject=entry.path))
        yield folder / "cache" if is_there else None
    finally:
        remove_tree(folder)


def _find_dvc(root: Path) -> str | None:
    own = root / ".venv" / "bin" / "dvc"
    return str(own) if os.access(own, os.X_OK) else shutil.which("dvc")


def _fetch(program: str, entry: DvcEntry, places: tuple[Path, Path, Path], emit: Emit) -> bool:
    source, top, folder = places
    work = folder / "work"
    _copy_configuration(source / entry.root / ".dvc", work / ".dvc")
    named = posixpath.relpath(entry.source, entry.root or ".")
    for name in (named, posixpath.join(posixpath.dirname(named), "dvc.yaml")):
        if (top / entry.root / name).is_file():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(top / entry.root / name, work / name)
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder / "site")}
    steps = (
        ["config", "--local", "core.no_scm", "true"],
        ["config", "--local", "cache.dir", str(folder / "cache")],
        ["fetch", named],
    )
    for words in steps:
        try:
            done = call([program, *words], cwd=work, env=env, timeout=_PATIENCE)
        except ExecutionError as error:
            emit(Event(kind="warning", subject=entry.path, message=error.message))
            return False
        if not done.ok:
            said = done.complaint.splitlines() or [f"exit status {done.status}"]
            message = f"`dvc {' '.join(words[:2])}` failed: {said[0]}"
            emit(Event(kind="warning", subject=entry.path, message=message))
            return words[0] == "fetch"  # it may have brought a part: who looks into the cache will see
    return True


def _copy_configuration(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for name in ("config", "config.local"):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
            (target / name).chmod(0o600)  # it may hold credentials
