"""Manifests of folders: read off a file system, and restored from the store."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from reproof.base.digesting import digest_bytes, digest_files, new_digester
from reproof.base.files import remove_tree
from reproof.errors import MaterialError, StoreError
from reproof.model.digest import Digest
from reproof.model.manifest import Manifest, Row, make_manifest
from reproof.store.directory import DirectoryStore

#: Digests each path, in order; :func:`reproof.base.digesting.digest_files`, or a cached one.
Digesting = Callable[[Iterable[str], Iterable[str]], Iterator[dict[str, str] | OSError]]


_KIND = 0o170000  # the bits of st_mode that say what something is


class _Found(msgspec.Struct, frozen=True, gc=False):
    """What `lstat` says of something below a folder."""

    path: str
    mode: int
    size: int
    target: str


def describe_folder(
    folder: Path, *, md5: bool = False, digesting: Digesting = digest_files, empty_folders: bool = True
) -> Manifest:
    """Read a folder: each file is digested, symlinks are taken down and never followed.

    Args:
        folder: The folder.
        md5: Take the MD5 of each file too, which DVC's id of the folder is made of.
        digesting: Where digests come from; reads every file by default.
        empty_folders: List folders without content.

    Raises:
        MaterialError: Something cannot be read, or is neither file, folder nor symlink; it is named.
    """
    algorithms = ("blake3", "md5") if md5 else ("blake3",)
    rows = []
    for batch in _batches(_walk(folder, empty_folders=empty_folders), 1024):
        base = f"{os.fspath(folder)}/"
        if all(each.mode & _KIND == stat.S_IFREG for each in batch):  # the usual case
            found = digesting([base + each.path for each in batch], algorithms)
            rows += [_file_row(folder, *pair) for pair in zip(batch, found, strict=True)]
            continue
        read = [each for each in batch if _is_read(base, each, follow=md5)]
        digests = iter(digesting([base + each.path for each in read], algorithms))
        wanted = {each.path for each in read}
        rows += [_row(folder, each, next(digests) if each.path in wanted else None) for each in batch]
    return make_manifest(rows)


def identity(manifest: Manifest) -> Digest:
    """BLAKE3 of the canonical form: what the folder is known by."""
    digester = new_digester("blake3")
    for piece in manifest.pieces():
        digester.update(piece)
    return Digest("blake3", digester.hexdigest())


def dvc_id(manifest: Manifest) -> str | None:
    """The id that DVC gives the folder (``<32 digits>.dir``); None where MD5s are missing."""
    listed = manifest.dvc_list()
    return None if listed is None else digest_bytes(listed, ("md5",))["md5"] + ".dir"


def keep_folder(folder: Path, store: DirectoryStore) -> tuple[Digest, Manifest]:
    """Put all files of a folder and its manifest into the store.

    What is described is what was kept: the digests are those of the copies in the store.

    Returns:
        The identity of the folder, under which the store has the manifest; and the manifest.

    Raises:
        MaterialError: See :func:`describe_folder`.
        StoreError: Something cannot be kept.
    """

    def put(paths: Iterable[str], algorithms: Iterable[str]) -> Iterator[dict[str, str] | OSError]:  # noqa: ARG001
        for path in paths:
            yield {"blake3": store.put(Path(path)).value}

    manifest = describe_folder(folder, digesting=put)
    return store.put_bytes(manifest.canonical()), manifest


def restore_folder(manifest: Manifest, store: DirectoryStore, target: Path) -> None:
    """Write a folder from the store: private copies, every one verified; whole or not at all.

    Args:
        manifest: What is wanted.
        store: Has its files.
        target: A place that is free; its folder is made.

    Raises:
        StoreError: Content is absent or corrupted, or the place is taken or cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() or target.is_symlink():
            raise StoreError(f"cannot write `{target}`: it exists")
        staging = Path(tempfile.mkdtemp(prefix=".reproof-", dir=target.parent))
    except OSError as error:
        raise StoreError(f"cannot write `{target}`: {error.strerror}") from error
    try:
        place = staging / "content"
        place.mkdir()
        made = {os.fspath(place)}
        # Symlinks last: nothing is ever written through one.
        for row in sorted(manifest.rows, key=lambda row: row.kind == "symlink"):
            _restore(row, store, f"{place}/{row.path}", made)
        place.rename(target)
    except OSError as error:
        raise StoreError(f"cannot write `{target}`: {error.strerror}") from error
    finally:
        remove_tree(staging)


def _restore(row: Row, store: DirectoryStore, place: str, made: set[str]) -> None:
    """Write one row; `made` are the folders that are there."""
    folder = place[: place.rindex("/")]
    if folder not in made:
        Path(folder).mkdir(parents=True, exist_ok=True)
        made.add(folder)
    if row.kind == "directory":
        Path(place).mkdir()
    elif row.kind == "symlink":
        Path(place).symlink_to(row.target)
    else:
        store.get(Digest("blake3", row.blake3), place, 0o755 if row.executable else 0o644)


def _walk(folder: Path, *, empty_folders: bool) -> Iterator[_Found]:
    """Everything below `folder`; each folder's content in the order of inodes, as it lies on the disk."""
    base = os.fspath(folder)
    pending = [""]
    while pending:
        inside = pending.pop()
        place = f"{base}/{inside}" if inside else base
        try:
            handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _unreadable(Path(place), error) from error
        try:
            yield from _content(handle, inside, pending, empty_folders=empty_folders)
        except OSError as error:
            name = error.filename if isinstance(error.filename, str) else ""  # else the open folder
            raise _unreadable(Path(place, name), error) from error
        finally:
            os.close(handle)


def _content(handle: int, inside: str, pending: list[str], *, empty_folders: bool) -> Iterator[_Found]:
    """What an open folder has in it; the folders among that are added to `pending`."""
    with os.scandir(handle) as found:  # of an open folder, whose entries have no long path each
        listed = sorted(found, key=os.DirEntry.inode, reverse=True)
    prefix = f"{inside}/" if inside else ""
    if not listed and inside and empty_folders:
        yield _Found(inside, stat.S_IFDIR, 0, "")
    while listed:
        entry = listed.pop()  # and forgotten: there may be many, each of which keeps what `stat` said
        path = prefix + entry.name
        status = entry.stat(follow_symlinks=False)
        mode = status.st_mode
        if mode & _KIND == stat.S_IFDIR:
            pending.append(path)
            continue
        target = os.readlink(entry.name, dir_fd=handle) if mode & _KIND == stat.S_IFLNK else ""
        yield _Found(path, mode, status.st_size, target)


def _is_read(base: str, found: _Found, *, follow: bool) -> bool:
    """Whether content is digested: of files, and of files behind symlinks when DVC's id is asked for."""
    if stat.S_ISLNK(found.mode):
        return follow and os.path.isfile(base + found.path)  # noqa: PTH113  # paths are plain text here
    return stat.S_ISREG(found.mode)


def _file_row(folder: Path, found: _Found, digests: dict[str, str] | OSError) -> Row:
    if isinstance(digests, OSError):
        raise _unreadable(folder / found.path, digests) from digests
    executable = bool(found.mode & stat.S_IXUSR)
    return Row(found.path, "file", found.size, executable, digests["blake3"], "", digests.get("md5", ""))


def _row(folder: Path, found: _Found, digests: dict[str, str] | OSError | None) -> Row:
    if digests is not None and (isinstance(digests, OSError) or stat.S_ISREG(found.mode)):
        return _file_row(folder, found, digests)
    md5 = digests.get("md5", "") if digests else ""
    if stat.S_ISDIR(found.mode):
        return Row(found.path, "directory")
    if stat.S_ISLNK(found.mode):
        return Row(found.path, "symlink", target=found.target, md5=md5)
    raise MaterialError(
        f"cannot take down `{folder / found.path}`: it is neither a file, a folder nor a symlink",
        hint=f"move `{folder / found.path}` out of the data",
    )


def _batches(items: Iterator[_Found], size: int) -> Iterator[list[_Found]]:
    batch: list[_Found] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _unreadable(path: Path, error: OSError) -> MaterialError:
    return MaterialError(f"cannot read `{path}`: {error.strerror}")
