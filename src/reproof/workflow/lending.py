"""Large inputs that no version names: shown in the room from their original place, instead of copied.

In the room's folder lies a stand-in of the same size, without blocks; the sandbox binds the original over it,
read-only. Whoever looks from outside, as we do, looks at the original.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from reproof.base.digesting import digest_files
from reproof.base.files import copy_private
from reproof.base.naming import escape, unescape
from reproof.capture.credentials import holds_credentials
from reproof.execute.select import Isolation, choose
from reproof.model.artifact import Artifact
from reproof.model.record import Record
from reproof.store.manifest import Digesting
from reproof.workflow.materials import CHANGED, OWN

#: Bytes from which on a file is worth a bind, and from which on copies are worth a word.
WORTH = 1 << 20
#: Files that are bound one by one at most, the largest ones: each costs the start of a sandbox some time.
_MOST = 256


class Lent(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the re-run reads from its original place.

    Attributes:
        name: Its name in the record.
        place: Where it lies, links followed.
        target: Where the re-run finds it.
        digests: What it is known to hold.
        size: Bytes.
        bind: What is bound for it, and over what: the file itself, or a folder that holds it.
    """

    name: str
    place: Path
    target: Path
    digests: dict[str, str]
    size: int
    bind: tuple[Path, Path]


class Loans(msgspec.Struct, frozen=True, kw_only=True):
    """What may be lent: names of files that are bound one by one, and of folders that are bound as wholes."""

    files: frozenset[str] = frozenset()
    folders: tuple[str, ...] = ()

    def folder_of(self, name: str) -> str | None:
        """The folder that is bound for the file of this name; None for another file."""
        return next((folder for folder in self.folders if name.startswith(f"{folder}/")), None)

    def holds(self, name: str) -> bool:
        """Whether the file of this name may be lent."""
        return name in self.files or self.folder_of(name) is not None


def can_lend(record: Record, isolation: Isolation) -> bool:
    """Whether the re-run of `record`, which is trusted, gets a sandbox that shows files at other places.

    Raises:
        ExecutionError: The isolation cannot be had here.
    """
    if record.environment.kind == "docker" or record.stage is not None or record.pipeline is not None:
        return False  # an image has places of its own; what a stage reads another one may write
    return choose(isolation).level in ("bubblewrap", "docker")


def choose_loans(record: Record, top: Path, clone: Path, is_kept: Callable[[Artifact], bool]) -> Loans:
    """What of the inputs may be lent: large, below the project, and only read by the recorded run.

    Args:
        record: What ran.
        top: Top of the recorded repository.
        clone: Top of the room's clone, in which everything but such inputs lies already.
        is_kept: Whether a store has the content, which then comes from there.

    Returns:
        Nothing where copies share their blocks. Folders only where files are left that are too small or too many
        to be bound one by one; a folder is then bound if all that it holds are such inputs.
    """
    made = {product.name for product in record.products}
    found = [each for each in record.materials if _is_lendable(each) and each.name not in made]
    found = [each for each in found if not is_kept(each)]
    found.sort(key=lambda each: (-each.size, each.name))
    if not found or found[0].size < 1 or _shares(top / unescape(found[0].name), clone):
        return Loans()
    single = [each for each in found[:_MOST] if each.size >= WORTH]
    folders: tuple[str, ...] = ()
    if sum(each.size for each in found[len(single) :]) >= WORTH:
        folders = tuple(_whole_folders({each.name: each for each in found}, made, top, clone))
    whole = Loans(folders=folders)
    names = (each.name for each in single)
    return Loans(files=frozenset(name for name in names if not whole.holds(name)), folders=folders)


def _is_lendable(artifact: Artifact) -> bool:
    written = artifact.note is not None and artifact.note.startswith((OWN, CHANGED))
    return (
        artifact.origin == "external"
        and artifact.kind == "file"
        and artifact.target is None
        and "blake3" in artifact.digests
        and not artifact.name.startswith(("/", "${"))
        and artifact.has_place
        and not holds_credentials(artifact.name)
        and not written
    )


def _shares(place: Path, clone: Path) -> bool:
    """Whether copies of what lies at `place` share their blocks with it: tried."""
    probe = clone / ".git" / "reproof-probe"
    try:
        return copy_private(place, probe, only_shared=True)
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)


def _whole_folders(
    inputs: Mapping[str, Artifact], made: Collection[str], top: Path, clone: Path
) -> Iterator[str]:
    """The outermost folders that hold nothing but inputs, and in which the run made nothing."""
    folders = {str(parent) for name in inputs for parent in PurePosixPath(name).parents} - {"."}
    found: list[str] = []
    for folder in sorted(folders):  # those around another one come before it
        within = any(folder.startswith(f"{outer}/") for outer in found)
        wrote = any(name.startswith(f"{folder}/") for name in made)
        taken = os.path.lexists(clone / unescape(folder))
        if within or wrote or taken or not _is_straight(top, unescape(folder)):
            continue
        try:
            whole = _holds_only(os.fspath(top), unescape(folder), inputs)
        except OSError:  # gone, or closed to us: whoever asks for its files names them
            continue
        if whole:
            found.append(folder)
            yield folder


def _is_straight(top: Path, name: str) -> bool:
    """Whether no symlink leads to what is called `name` below `top`."""
    return Path(os.path.realpath(top / name)) == Path(os.path.realpath(top)) / name


def _holds_only(top: str, folder: str, inputs: Mapping[str, Artifact]) -> bool:
    """Whether a folder holds files that are inputs, with the modes they had, and folders of such."""
    with os.scandir(f"{top}/{folder}") as listed:
        entries = list(listed)
    for entry in entries:
        name = f"{folder}/{entry.name}"
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            if not _holds_only(top, name, inputs):
                return False
            continue
        known = inputs.get(escape(name))
        if known is None or not stat.S_ISREG(status.st_mode) or not _has_mode(known, status.st_mode):
            return False
    return bool(entries)


def _has_mode(artifact: Artifact, mode: int) -> bool:
    return artifact.mode in (None, stat.S_IMODE(mode)) and bool(mode & stat.S_IRUSR)


def lend(artifact: Artifact, folder: str | None, top: Path, clone: Path) -> Lent | None:
    """Put a stand-in at its place in the room; None, and nothing is put there, where it cannot be bound.

    Args:
        artifact: What was recorded of it, and is still so.
        folder: Name of the folder that is bound for it; None where it is bound by itself.
        top: Top of the recorded repository.
        clone: Top of the room's clone, in which its place is free.
    """
    name = unescape(artifact.name)
    place, target = Path(os.path.realpath(top / name)), clone / name
    status = place.stat()
    if not _is_straight(clone, str(PurePosixPath(name).parent)) or not _has_mode(artifact, status.st_mode):
        return None
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(handle, status.st_size)
        os.fchmod(handle, stat.S_IMODE(status.st_mode))
    finally:
        os.close(handle)
    bind = (place, target)
    if folder is not None:
        bind = (Path(os.path.realpath(top / unescape(folder))), clone / unescape(folder))
    return Lent(
        name=artifact.name,
        place=place,
        target=target,
        digests=artifact.digests,
        size=status.st_size,
        bind=bind,
    )


def binds(lent: Iterable[Lent]) -> tuple[tuple[Path, Path], ...]:
    """What is bound, and over what: each once."""
    return tuple(dict.fromkeys(each.bind for each in lent))


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
