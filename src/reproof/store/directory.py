"""A content-addressed directory: ``objects/b3/ab/cdef...`` holds the bytes whose BLAKE3 is ``abcdef...``.

Objects appear whole or not at all, are read-only, and are hashed again whenever they leave: neither
a name nor a mode is taken as proof of content.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from reproof.base.digesting import digest_bytes, digest_file
from reproof.base.files import copy_private, read_small, sync_directory, write_new
from reproof.errors import StoreError
from reproof.model.digest import Digest

_HEX = frozenset("0123456789abcdef")


class Corrupted(msgspec.Struct, frozen=True, kw_only=True):
    """An object whose content is not what its name says.

    Attributes:
        path: Where it lies.
        expected: The digest that its name states.
        found: The digest of its content; None where it could not be read.
    """

    path: Path
    expected: Digest
    found: Digest | None = None


class DirectoryStore:
    """Content by BLAKE3 digest below the folder `root`, which is made on the first put.

    Safe with several processes: the same content may be put at once, and a kill at any point
    leaves only a temporary file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._objects = root / "objects" / "b3"
        self._incoming = root / "incoming"
        self._quarantine = root / "quarantine"

    def path(self, digest: Digest) -> Path:
        """Where the content of `digest` lies, or would lie; to be read only.

        Raises:
            StoreError: The digest is not BLAKE3.
        """
        return Path(self._place(digest))

    def _place(self, digest: Digest) -> str:
        """The same as text: what is made of many files has no time for more."""
        value = digest.value
        if digest.algorithm != "blake3" or len(value) != 64 or not _HEX.issuperset(value):
            raise StoreError(f"the store `{self.root}` knows content by BLAKE3 only, not by `{digest}`")
        return f"{self._objects}/{value[:2]}/{value[2:]}"

    def __contains__(self, digest: Digest) -> bool:
        return digest.algorithm == "blake3" and os.path.isfile(self._place(digest))  # noqa: PTH113

    def __iter__(self) -> Iterator[Digest]:
        """The digests of all objects, in order."""
        if not self._objects.is_dir():
            return
        for folder in sorted(self._objects.iterdir()):
            for place in sorted(folder.iterdir()) if folder.is_dir() else ():
                value = folder.name + place.name
                if len(value) == 64 and _HEX.issuperset(value):
                    yield Digest("blake3", value)

    def put(self, path: Path) -> Digest:
        """Keep the content of a regular file (symlinks are followed).

        Returns:
            The digest of the bytes that are now in the store: those of the copy, should the file
            change meanwhile.

        Raises:
            StoreError: The file cannot be read, or the content not be kept; the store stays whole.
        """
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise StoreError(f"cannot keep `{path}`: it is not a regular file")
            digest = Digest("blake3", digest_file(path)["blake3"])
        except OSError as error:
            raise StoreError(f"cannot read `{path}`: {error.strerror}") from error
        if self._is_sound(digest) and self._freshen(digest):
            return digest
        return self._receive(str(path), lambda place: copy_private(path, place, mode=0o444))

    def put_bytes(self, data: bytes) -> Digest:
        """Keep `data`; see :meth:`put`."""
        digest = Digest("blake3", digest_bytes(data)["blake3"])
        if self._is_sound(digest) and self._freshen(digest):
            return digest

        def write(place: Path) -> None:
            place.write_bytes(data)
            place.chmod(0o444)

        return self._receive(f"{len(data)} bytes", write)

    def get(self, digest: Digest, target: Path | str, mode: int | None = None) -> None:
        """Write a private copy of the content to `target`, which must not exist.

        Args:
            digest: What is wanted.
            target: A new file; its folder is made.
            mode: Permission bits, 0o644 by default.

        Raises:
            StoreError: The content is absent, corrupted (it is then set aside), or cannot be written.
        """
        place = os.fspath(target)
        content = read_small(self._place(digest))
        if content is None or digest_bytes(content)["blake3"] != digest.value:
            self._get_with_care(digest, Path(target), 0o644 if mode is None else mode)
            return
        try:
            try:
                write_new(place, content, 0o644 if mode is None else mode)
            except FileNotFoundError:
                Path(place).parent.mkdir(parents=True, exist_ok=True)
                write_new(place, content, 0o644 if mode is None else mode)
        except OSError as error:
            raise StoreError(f"cannot write `{place}`: {error.strerror}") from error

    def _get_with_care(self, digest: Digest, target: Path, mode: int) -> None:
        """The same for what is large, absent or corrupted: what was copied is digested."""
        source = self.path(digest)
        if not source.is_file():
            raise StoreError(f"`{digest.short}` is not in the store `{self.root}`")
        try:
            copy_private(source, target, mode=mode)
        except OSError as error:
            if not isinstance(error, FileExistsError):
                target.unlink(missing_ok=True)
            raise StoreError(f"cannot write `{target}`: {error.strerror}") from error
        found = digest_file(target)["blake3"]
        if found != digest.value:
            target.unlink()
            raise self._set_aside(digest, Digest("blake3", found))

    def get_bytes(self, digest: Digest) -> bytes:
        """The content itself, verified; for small objects.

        Raises:
            StoreError: It is absent, or corrupted (it is then set aside).
        """
        source = self.path(digest)
        try:
            data = source.read_bytes()
        except OSError as error:
            raise StoreError(f"`{digest.short}` is not in the store `{self.root}`") from error
        found = digest_bytes(data)["blake3"]
        if found != digest.value:
            raise self._set_aside(digest, Digest("blake3", found))
        return data

    def remove(self, digest: Digest) -> None:
        """Forget the content; absent is fine.

        Raises:
            StoreError: The store cannot be written.
        """
        with self._named(f"cannot remove `{digest.short}` from the store"):
            self.path(digest).unlink(missing_ok=True)

    def remove_unused(self, digest: Digest, before: float) -> bool:
        """Forget content that nobody put since the time `before` (seconds since the epoch).

        A process that puts the same content at this moment either keeps it from being removed, or
        writes it again.

        Raises:
            StoreError: The store cannot be written.
        """
        place = self.path(digest)
        aside = self._incoming / f"unused-{digest.value}-{os.getpid()}"
        with self._named(f"cannot remove `{digest.short}` from the store"):
            self._incoming.mkdir(parents=True, exist_ok=True)
            try:
                place.replace(aside)
            except FileNotFoundError:
                return False
            if aside.stat().st_mtime >= before:
                aside.replace(place)
                return False
            aside.unlink()
        return True

    def recover(self) -> None:
        """Put back what a removal that was killed had set aside; it is removed again if it is unused."""
        for aside in list(self._incoming.glob("unused-*")):
            _, value, process = aside.name.split("-")
            with suppress(OSError, StoreError):
                if not _is_alive(int(process)):
                    aside.replace(self.path(Digest("blake3", value)))

    def check(self) -> Iterator[Corrupted]:
        """Hash every object and yield those whose content is wrong; changes nothing."""
        for digest in self:
            place = self.path(digest)
            try:
                found = Digest("blake3", digest_file(place)["blake3"])
            except FileNotFoundError:
                continue  # removed by another process since it was listed
            except OSError:
                yield Corrupted(path=place, expected=digest)
                continue
            if found != digest:
                yield Corrupted(path=place, expected=digest, found=found)

    def _is_sound(self, digest: Digest) -> bool:
        """Whether the store already has this very content; a corrupted object is set aside."""
        place = self.path(digest)
        try:
            found = digest_file(place)["blake3"]
        except OSError:
            return False
        if found != digest.value:
            self._set_aside(digest, Digest("blake3", found))
        return found == digest.value

    def _freshen(self, digest: Digest) -> bool:
        """Note that the content was put again; false where it was removed since it was looked at."""
        try:
            os.utime(self.path(digest))
        except FileNotFoundError:
            return False
        except OSError:  # a store of another user, or a read-only one: nobody removes from it
            return True
        return True

    def _receive(self, subject: str, write: Callable[[Path], object]) -> Digest:
        """Let `write` fill a temporary file, and move that to where its own digest says."""
        with self._named(f"cannot keep `{subject}` in the store"):
            self._incoming.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._incoming) as folder:
                place = Path(folder) / "object"
                write(place)
                with place.open("rb") as file:
                    os.fsync(file.fileno())
                digest = Digest("blake3", digest_file(place)["blake3"])
                target = self.path(digest)
                target.parent.mkdir(parents=True, exist_ok=True)
                place.replace(target)
                sync_directory(target.parent)
        return digest

    def _set_aside(self, digest: Digest, found: Digest) -> StoreError:
        """Move a corrupted object out of the way, for whoever wants to look at it; the error to raise."""
        place = self.path(digest)
        target = self._quarantine / f"{digest.value}-{found.value[:8]}"
        try:
            self._quarantine.mkdir(parents=True, exist_ok=True)
            place.replace(target)
            where = str(target)
            if digest_file(target)["blake3"] == digest.value:
                target.replace(place)  # another process had healed it since it was hashed
        except OSError:
            where = f"{place} (could not be moved)"  # read-only store, or another process was first
        return StoreError(
            f"the content of `{digest.short}` in the store is corrupted",
            details=[("expected", str(digest)), ("found", str(found)), ("set aside", where)],
        )

    @contextmanager
    def _named(self, message: str) -> Iterator[None]:
        """Turn what the file system says into a StoreError with `message`."""
        try:
            yield
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
            raise StoreError(
                message,
                details=[("store", str(self.root)), ("reason", error.strerror or str(error))],
                hint=f"`df -h {self.root.parent}` shows how full it is" if full else None,
            ) from error


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True
