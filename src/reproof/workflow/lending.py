"""Large inputs that no version names: shown in the room from their original place, instead of copied.

In the room's folder lies a stand-in of the same size, without blocks; the sandbox binds the original over it,
read-only. Whoever looks from outside, as we do, looks at the original.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from reproof.base.digesting import digest_files
from reproof.execute.select import Isolation, choose
from reproof.model.artifact import Artifact
from reproof.model.record import Record
from reproof.store.manifest import Digesting
from reproof.workflow.materials import CHANGED, OWN

#: Bytes from which on a file is worth a bind, and from which on copies are worth a word.
WORTH = 1 << 20
#: Files that are bound at most, the largest ones: each costs the start of a sandbox some time.
_MOST = 256


class Lent(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the re-run reads from its original place.

    Attributes:
        name: Its name in the record.
        place: Where it lies, links followed.
        target: Where the re-run finds it.
        digests: What it is known to hold.
        size: Bytes.
    """

    name: str
    place: Path
    target: Path
    digests: dict[str, str]
    size: int


def can_lend(record: Record, isolation: Isolation) -> bool:
    """Whether the re-run of `record`, which is trusted, gets a sandbox that shows files at other places.

    Raises:
        ExecutionError: The isolation cannot be had here.
    """
    if record.environment.kind == "docker" or record.stage is not None or record.pipeline is not None:
        return False  # an image has places of its own; what a stage reads another one may write
    return choose(isolation).level in ("bubblewrap", "docker")


def worth_lending(record: Record) -> frozenset[str]:
    """Names of the inputs that may be lent: large, below the project, and only read by the recorded run."""
    made = {product.name for product in record.products}
    found = [each for each in record.materials if _is_lendable(each) and each.name not in made]
    found.sort(key=lambda each: (-each.size, each.name))
    return frozenset(each.name for each in found[:_MOST])


def _is_lendable(artifact: Artifact) -> bool:
    written = artifact.note is not None and artifact.note.startswith((OWN, CHANGED))
    return (
        artifact.origin == "external"
        and artifact.kind == "file"
        and artifact.target is None
        and artifact.size >= WORTH
        and "blake3" in artifact.digests
        and not artifact.name.startswith(("/", "${"))
        and not written
    )


def lend(artifact: Artifact, place: Path, target: Path, top: Path) -> Lent | None:
    """Put a stand-in at `target`; None, and nothing is put there, where the file cannot be bound.

    Args:
        artifact: What was recorded of it, and is still so.
        place: Where it lies.
        target: Its place in the room, free; its folder is there.
        top: Top of the room's clone.
    """
    place = Path(os.path.realpath(place))
    status = place.stat()
    mode = artifact.mode if artifact.mode is not None else status.st_mode & 0o7777
    leads = Path(os.path.realpath(target.parent))
    straight = leads == Path(os.path.realpath(top)) / target.parent.relative_to(top)
    if not straight or mode != status.st_mode & 0o7777 or not mode & 0o400:
        return None
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(handle, status.st_size)
        os.fchmod(handle, mode)
    finally:
        os.close(handle)
    return Lent(name=artifact.name, place=place, target=target, digests=artifact.digests, size=status.st_size)


def digesting(lent: Iterable[Lent]) -> Digesting:
    """What digests files of the room, and those that were lent where they lie."""
    places = {os.path.realpath(each.target): str(each.place) for each in lent}
    if not places:
        return digest_files

    def digest(paths: Iterable[str], algorithms: Iterable[str]) -> Iterator[dict[str, str] | OSError]:
        return digest_files([places.get(os.path.realpath(path), path) for path in paths], tuple(algorithms))

    return digest


def moved(lent: Iterable[Lent], record: Record) -> bool:
    """Whether a file that was lent held something else after the re-run, of which `record` is."""
    names = {each.name for each in lent}
    return any(each.subject in names for each in record.omissions)


def amount(files: int, size: int) -> str:
    """``2 files, 1,048,576 bytes``."""
    return f"{files} {'file' if files == 1 else 'files'}, {size:,} bytes"
