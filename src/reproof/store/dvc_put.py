"""Content named as DVC names it, and put into its cache as DVC would: ``files/md5/ab/cdef...``, read-only."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from reproof.base.digesting import digest_bytes, digest_file, digest_files
from reproof.base.files import copy_private
from reproof.errors import MaterialError, StoreError
from reproof.model.dvc import DvcMember, HashName
from reproof.model.manifest import Manifest
from reproof.store.manifest import Digesting, describe_folder


class DvcContent(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder as DVC names it.

    Attributes:
        md5: DVC's id: MD5, with ``.dir`` for a folder's list.
        size: Bytes in all.
        nfiles: Number of files of a folder; None for a file.
        executable: The file's exec bit.
        members: The files of a folder.
        listed: The list of files of a folder, whose MD5 is in its id.
    """

    md5: str
    size: int
    nfiles: int | None = None
    executable: bool = False
    members: tuple[DvcMember, ...] = ()
    listed: bytes = b""


def measure(
    path: Path, *, digesting: Digesting = digest_files, ignored: Callable[[str], bool] = lambda _: False
) -> DvcContent | None:
    """What DVC calls the content of a file or folder; None where there is nothing.

    Args:
        path: The file or folder; symlinks are followed, as DVC does.
        digesting: Where digests come from.
        ignored: Whether DVC leaves out a file of the folder, by its path within it.

    Raises:
        MaterialError: It cannot be read.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise MaterialError(f"cannot read `{path}`: {error.strerror}") from error
    if stat.S_ISDIR(status.st_mode):
        return _measure_folder(path, digesting, ignored)
    (found,) = digesting([str(path)], ("blake3", "md5"))
    if isinstance(found, OSError):
        raise MaterialError(f"cannot read `{path}`: {found.strerror}") from found
    executable = bool(status.st_mode & stat.S_IXUSR)
    return DvcContent(md5=found["md5"], size=status.st_size, executable=executable)


def measure_as(path: Path, hash_name: HashName) -> DvcContent | None:
    """What DVC calls a file or folder whose files it names by `hash_name`; see :func:`measure`."""

    def as_named(paths: Iterable[str], algorithms: Iterable[str]) -> Iterator[dict[str, str] | OSError]:
        for found in digest_files(paths, (*algorithms, hash_name)):
            yield found if isinstance(found, OSError) else {**found, "md5": found[hash_name]}

    return measure(path, digesting=as_named)


def _measure_folder(path: Path, digesting: Digesting, ignored: Callable[[str], bool]) -> DvcContent:
    whole = describe_folder(path, md5=True, digesting=digesting, empty_folders=False)
    seen = Manifest(tuple(row for row in whole.rows if not ignored(row.path)))
    listed = seen.dvc_list() or b"[]"
    files = [row for row in seen.rows if row.md5]
    sizes = [row.size if row.kind == "file" else (path / row.path).stat().st_size for row in files]
    return DvcContent(
        md5=digest_bytes(listed, ("md5",))["md5"] + ".dir",
        size=sum(sizes),
        nfiles=len(files),
        members=tuple(DvcMember(row.path, row.md5) for row in files),
        listed=listed,
    )


def put_content(path: Path, content: DvcContent, cache: Path) -> None:
    """Put a file, or a folder with all its files, into a cache of DVC 3.

    Every object is hashed after it was copied; one that is there already is left as it is, unless
    its content is not what its name says.

    Raises:
        StoreError: Something changed since it was measured, or the cache cannot be written.
    """
    if content.nfiles is None:
        _put_file(path, content.md5, cache)
        return
    for member in content.members:
        _put_file(path / member.path, member.md5, cache)
    place = _place(cache, content.md5)
    if not _is_sound(place, content.md5.removesuffix(".dir")):
        _write(place, lambda target: _write_bytes(target, content.listed))


def _put_file(path: Path, md5: str, cache: Path) -> None:
    place = _place(cache, md5)
    if _is_sound(place, md5):
        return

    def copy(target: Path) -> None:
        copy_private(path, target, mode=0o444)
        found = digest_file(target, ("md5",))["md5"]
        if found != md5:
            raise StoreError(
                f"`{path}` changed while it was put into DVC's cache",
                details=[("expected", f"md5:{md5}"), ("found", f"md5:{found}")],
            )

    _write(place, copy)


def _place(cache: Path, name: str) -> Path:
    return cache / "files" / "md5" / name[:2] / name[2:]


def _is_sound(place: Path, md5: str) -> bool:
    try:
        return digest_file(place, ("md5",))["md5"] == md5
    except OSError:
        return False


def _write_bytes(target: Path, data: bytes) -> None:
    target.write_bytes(data)
    target.chmod(0o444)


def _write(place: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `place`, and move it there."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent.parent, prefix=".reproof-") as folder:
            target = Path(folder) / "object"
            write(target)
            os.replace(target, place)  # noqa: PTH105  # an unsound object may be there
    except OSError as error:
        raise StoreError(
            f"cannot write `{place}`", details=[("reason", error.strerror or str(error))]
        ) from error
