"""Bundles as files: a zip that comes out the same each time, and a reader that believes nothing.

Members are stored, not packed: zlib's output depends on its version, and what is large (wheels,
images, Parquet) is packed already. Stamps and modes are fixed. The last member, `manifest.json`, has
name, size and BLAKE3 of each other one, in order; the comment of the archive has the BLAKE3 of
every byte before it, so that no byte can change unseen, those of the zip's own tables included.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

import msgspec

from reproof.attest.dsse import strict_json
from reproof.base.digesting import digest_bytes, new_digester
from reproof.base.files import sync_directory
from reproof.errors import StoreError, TrustError

SCHEMA = "reproof/bundle/1"
MANIFEST = "manifest.json"
_COMMENT = f"{SCHEMA} blake3:".encode()
_COMMENT_BYTES = len(_COMMENT) + 64
_CHUNK = 1 << 20
_MANIFEST_BYTES = 256 << 20
_ZIP64 = 1 << 31
_STAMP = (1980, 1, 1, 0, 0, 0)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes one member: content from a file or from memory."""

    name: str
    path: Path | None = None
    data: bytes = b""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A member as the manifest has it."""

    name: str
    size: int
    blake3: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The last member."""

    schema: str
    files: tuple[Listed, ...]


def write_bundle(target: Path, parts: Iterable[Part]) -> int:
    """Write a bundle; it is there whole or not at all.

    Args:
        target: Its file; replaced when it is there.
        parts: The members, in their order.

    Returns:
        Its size in bytes.

    Raises:
        StoreError: It cannot be written (the disk is full), or a part cannot be read.
    """
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(handle, "w+b") as file:
            _fill(file, parts)
            os.fchmod(file.fileno(), 0o644)
            file.flush()
            _seal(file)
            os.fsync(file.fileno())
            size = file.tell()
        temporary.replace(target)
        sync_directory(target.parent)
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        raise StoreError(
            f"cannot write the bundle `{target}`",
            details=[("reason", error.strerror or str(error))],
            hint=f"`df -h {target.parent}` shows how full it is" if full else None,
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return size


def _fill(file: IO[bytes], parts: Iterable[Part]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = _COMMENT + b"0" * 64
        listed = [_add(archive, part) for part in parts]
        manifest = Manifest(schema=SCHEMA, files=tuple(listed))
        _add(archive, Part(name=MANIFEST, data=msgspec.json.encode(manifest) + b"\n"))


def _add(archive: zipfile.ZipFile, part: Part) -> Listed:
    info = zipfile.ZipInfo(part.name, _STAMP)
    info.create_system = 3
    info.external_attr = 0o100644 << 16
    info.compress_type = zipfile.ZIP_STORED
    if part.path is None:
        archive.writestr(info, part.data)
        return Listed(name=part.name, size=len(part.data), blake3=digest_bytes(part.data)["blake3"])
    digester, size = new_digester("blake3"), 0
    with part.path.open("rb") as source:
        large = os.fstat(source.fileno()).st_size >= _ZIP64
        with archive.open(info, "w", force_zip64=large) as member:
            while chunk := source.read(_CHUNK):
                digester.update(chunk)
                member.write(chunk)
                size += len(chunk)
    return Listed(name=part.name, size=size, blake3=str(digester.hexdigest()))


def _seal(file: IO[bytes]) -> None:
    """Put the digest of all other bytes at the end."""
    size = file.seek(0, os.SEEK_END)
    digest = _digest_head(file, size - _COMMENT_BYTES)
    file.seek(size - 64)
    file.write(digest.encode())
    file.flush()


def _digest_head(file: IO[bytes], size: int) -> str:
    """BLAKE3 of the first `size` bytes."""
    import mmap

    import blake3

    with mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ) as content:
        return str(blake3.blake3(content, max_threads=blake3.blake3.AUTO).hexdigest())


class Bundle:
    """A bundle that was checked, byte for byte; use as a context.

    Raises:
        TrustError: It is no bundle, or was changed: the part is named; or it has hostile members.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise TrustError(f"cannot read the bundle `{path}`: {error.strerror}") from error
        try:
            self._check()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._archive.close()
        self._file.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The members, in order; the manifest left out."""
        return tuple(self._sizes)

    def read(self, name: str) -> bytes:
        """The content of a member.

        Raises:
            TrustError: There is no such member.
        """
        if name not in self._sizes:
            raise TrustError(f"the bundle `{self.path.name}` has no `{name}`")
        return self._archive.read(name)

    def extract(self, folder: Path) -> None:
        """Write every member below `folder`; only files, and only there.

        Raises:
            StoreError: They cannot be written.
        """
        try:
            for name in self._sizes:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with self._archive.open(name) as source, target.open("xb") as file:
                    while chunk := source.read(_CHUNK):
                        file.write(chunk)
        except OSError as error:
            raise StoreError(
                f"cannot unpack the bundle `{self.path.name}`",
                details=[("reason", error.strerror or str(error))],
            ) from error

    def _check(self) -> None:
        """Open the archive where seal, manifest and members agree; else name the first thing that does not."""
        size = os.fstat(self._file.fileno()).st_size
        self._file.seek(max(0, size - _COMMENT_BYTES))
        comment = self._file.read()
        if not zipfile.is_zipfile(self._file):
            raise self._not_one("it is not a zip archive, or was cut off")
        sound = comment.startswith(_COMMENT) and _digest_head(self._file, size - _COMMENT_BYTES) == comment[
            -64:
        ].decode("ascii", "replace")
        try:
            self._archive = zipfile.ZipFile(self._file)
            infos = self._archive.infolist()
        except Exception as error:
            raise self._changed("its table of contents", str(error)) from error
        if sound:
            self._refuse_hostile(infos, size)
        manifest = self._manifest(infos, sound=sound)
        wrong = next(self._differing(infos, manifest), None)
        if wrong is None and not sound:
            wrong = next(
                (f"the header of `{each.filename}`" for each in infos if not self._plain(each)), None
            )
        if wrong is not None or not sound:
            raise self._changed(wrong or "its table of contents or its seal", "")
        self._sizes = {each.name: each.size for each in manifest.files}

    def _manifest(self, infos: list[zipfile.ZipInfo], *, sound: bool) -> Manifest:
        try:
            last = infos[-1]
            if last.filename != MANIFEST or last.file_size > _MANIFEST_BYTES or last.compress_type:
                return self._without_manifest(sound=sound)
            return msgspec.convert(strict_json(self._archive.read(last)), Manifest)
        except TrustError:
            raise
        except Exception as error:  # a damaged archive makes the reader fail in any way
            if sound:
                raise self._not_one(f"its manifest cannot be read: {error}") from error
            raise self._changed(f"`{MANIFEST}`", str(error)) from error

    def _without_manifest(self, *, sound: bool) -> Manifest:
        if sound:
            raise self._not_one("it has no manifest")
        raise self._changed(f"`{MANIFEST}`", "")

    def _differing(self, infos: list[zipfile.ZipInfo], manifest: Manifest) -> Iterator[str]:
        """Names of members that are not as the manifest says."""
        if manifest.schema != SCHEMA:
            yield f"`{MANIFEST}`"
        for info, listed in zip(infos, manifest.files, strict=False):
            same = info.filename == listed.name and info.file_size == listed.size
            if not same or self._digest(info) != listed.blake3:
                yield f"`{listed.name}`"
        if len(infos) - 1 != len(manifest.files):
            yield "the number of its members"

    def _plain(self, info: zipfile.ZipInfo) -> bool:
        """Whether the local header of a member is the one that we write."""
        ours = zipfile.ZipInfo(info.filename, _STAMP)
        ours.create_system, ours.external_attr = 3, 0o100644 << 16
        ours.CRC, ours.file_size, ours.compress_size = info.CRC, info.file_size, info.compress_size
        header = ours.FileHeader(zip64=info.file_size >= _ZIP64)
        self._file.seek(info.header_offset)
        return self._file.read(len(header)) == header and info.date_time == _STAMP

    def _digest(self, info: zipfile.ZipInfo) -> str:
        digester = new_digester("blake3")
        try:
            with self._archive.open(info) as member:
                while chunk := member.read(_CHUNK):
                    digester.update(chunk)
        except Exception:  # a damaged archive makes the reader fail in any way
            return ""
        return str(digester.hexdigest())

    def _refuse_hostile(self, infos: list[zipfile.ZipInfo], size: int) -> None:
        """A bundle that was sealed with evil in it."""
        if sum(info.file_size for info in infos) > size:
            raise self._hostile("its members", "they would be larger than the archive")
        seen: set[str] = set()
        for info in infos:
            reason = _hostility(info)
            if info.filename.casefold() in seen:
                reason = "the name stands twice"
            if reason is not None:
                raise self._hostile(f"`{ascii(info.filename)[1:-1][:80]}`", reason)
            seen.add(info.filename.casefold())

    def _changed(self, what: str, reason: str) -> TrustError:
        return TrustError(
            f"the bundle `{self.path.name}` was changed after it was made: {what} is not what was packed",
            details=[("reason", reason)] if reason else (),
            hint="get it again from whoever made it",
        )

    def _not_one(self, reason: str) -> TrustError:
        return TrustError(f"`{self.path.name}` is not a bundle of reproof", details=[("reason", reason)])

    def _hostile(self, what: str, reason: str) -> TrustError:
        return TrustError(
            f"refused the bundle `{self.path.name}`: {what} could do harm", details=[("reason", reason)]
        )


def _hostility(info: zipfile.ZipInfo) -> str | None:
    """What is wrong with a member's name or kind; None for an ordinary file."""
    name = info.filename
    parts = PurePosixPath(name).parts
    if not name or name.startswith("/") or "\\" in name or ".." in parts or ":" in name:
        return "the path leads out of the bundle"
    if name != "/".join(parts) or not name.isprintable():
        return "the path is not in its plain form"
    if (info.external_attr >> 16) & 0o170000 not in (0, 0o100000):
        return "it is not a plain file"
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        return "it is packed, and could unpack to any size"
    if info.flag_bits & 0x1:
        return "it is encrypted"
    return None


def json_bytes(document: Any) -> bytes:
    """A document of ours as JSON for people: two spaces, final newline."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
