"""DVC's caches and remotes as places to restore content from, where nothing is believed unread.

DVC trusts an object in its cache for its mode (0444) and whatever comes from a remote. Here every
object is hashed after it was copied, and a corrupted one is named and passed over for the next
place that has it.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from reproof.base.digesting import digest_bytes, digest_file
from reproof.base.files import read_small, remove_tree, write_new
from reproof.errors import MaterialError, StoreError
from reproof.model.artifact import Artifact
from reproof.model.digest import Digest
from reproof.model.dvc import DvcEntry, DvcMember, DvcRemote, parse_manifest
from reproof.model.event import Emit, Event, silent
from reproof.store.directory import DirectoryStore
from reproof.store.dvc_places import (
    Absent,
    Unreachable,
    Write,
    from_file,
    from_http,
    from_store,
    layouts,
)

_SHOWN = 5
_OFTEN = 64  # files between two words about the progress


class DvcSources(msgspec.Struct, frozen=True, kw_only=True):
    """Where content may be, in the order in which it is looked for.

    Attributes:
        store: Our own store.
        known: BLAKE3 of content by its MD5, from the record: how our store is asked.
        caches: Cache folders of DVC.
        remotes: Remotes of DVC.
        offline: Ask no remote over the network.
    """

    store: DirectoryStore | None = None
    known: Mapping[str, str] = {}
    caches: tuple[Path, ...] = ()
    remotes: tuple[DvcRemote, ...] = ()
    offline: bool = False


class CorruptedCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A copy that does not have the content of its name.

    Attributes:
        name: The file of the project that it should have been.
        place: Path or address of the copy.
        expected: The digest that names it.
        found: The digest of its content.
    """

    name: str
    place: str
    expected: Digest
    found: Digest


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was restored.

    Attributes:
        artifact: The file, or the folder with the id that DVC gives it.
        members: The files of a folder, by name.
        sources: The places that content came from.
        corrupted: Copies that were passed over.
    """

    artifact: Artifact
    members: tuple[Artifact, ...] = ()
    sources: tuple[str, ...] = ()
    corrupted: tuple[CorruptedCopy, ...] = ()


class LostContentError(MaterialError):
    """No place has the content; `corrupted` are the places of unsound copies."""

    corrupted: tuple[str, ...] = ()


def restore(
    entry: DvcEntry, top: Path, sources: DvcSources, emit: Emit = silent, *, identified: bool = True
) -> Restored:
    """Write the content of an entry to its place below `top`: private copies, every one verified.

    Args:
        entry: What is wanted.
        top: Top of the clone that it belongs to; its place must be free.
        sources: Where to look.
        emit: Told about progress, and about each corrupted copy.
        identified: Give the BLAKE3 of each file as well as the digest that DVC names it by; without it a
            file of our own store or a corrupted cache may have it all the same.

    Raises:
        MaterialError: The content is in no place, or corrupted in all; or a folder's list of
            files is hostile.
        StoreError: The place is taken, leads out of `top`, or cannot be written.
    """
    if entry.problem is not None:
        raise MaterialError(
            f"cannot restore `{entry.path}`: {entry.problem}",
            details=[("named in", f"`{entry.source}`")],
            hint=f"run `dvc commit {entry.source}`" if "not kept" in entry.problem else None,
        )
    target = _target(top, entry)
    search = _Search(entry, sources, emit)
    search.algorithms = (entry.hash_name, "blake3") if identified else (entry.hash_name,)
    staging = Path(tempfile.mkdtemp(prefix=".reproof-", dir=target.parent))
    try:
        restored = _folder(search, staging) if entry.is_dir else _file(search, staging)
        (staging / "content").rename(target)
    except OSError as error:
        raise StoreError(f"cannot write `{target}`: {error.strerror}") from error
    finally:
        remove_tree(staging)
    return restored


def _target(top: Path, entry: DvcEntry) -> Path:
    """Where the entry goes: free, and within `top` even where a folder on the way is a symlink."""
    target = top / entry.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(top.resolve()):
            raise StoreError(f"cannot write `{target}`: a symlink on the way leads out of the project")
        if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
            target.rmdir()
        if target.exists() or target.is_symlink():
            raise StoreError(f"cannot write `{target}`: it exists")
    except OSError as error:
        raise StoreError(f"cannot write `{target}`: {error.strerror}") from error
    return target


def _file(search: _Search, staging: Path) -> Restored:
    entry = search.entry
    place = staging / "content"
    digests = search.fetch(entry.md5, os.fspath(place), entry.path)
    if digests is None:
        raise search.failure([entry.path])
    if entry.executable:
        place.chmod(0o755)
    return Restored(
        artifact=Artifact(
            name=entry.path,
            digests=digests,
            size=place.stat().st_size,
            origin="dvc",
            mode=0o755 if entry.executable else 0o644,
            source=entry.source,
        ),
        sources=tuple(search.used),
        corrupted=tuple(search.corrupted),
    )


def _folder(search: _Search, staging: Path) -> Restored:
    """Restore a folder that DVC tracks: its list, then every member, so that all that is missing is named at once."""
    entry = search.entry
    if search.fetch(entry.md5, f"{staging}/list", entry.path, ending=".dir") is None:
        raise search.failure([entry.path])
    members = parse_manifest((staging / "list").read_bytes(), entry.path)
    content = f"{staging}/content"
    for folder in sorted({content, *(f"{content}/{member.path}".rpartition("/")[0] for member in members)}):
        Path(folder).mkdir(parents=True, exist_ok=True)
    artifacts = []
    missing = []
    search.emit(Event(kind="start", subject=entry.path, message="restoring", total=len(members)))
    for done, member in enumerate(members, start=1):
        artifact = _member(search, member, content)
        if artifact is None:
            missing.append(f"{entry.path}/{member.path}")
        else:
            artifacts.append(artifact)
        if not done % _OFTEN or done == len(members):
            search.emit(Event(kind="advance", subject=entry.path, done=done, total=len(members)))
    search.emit(Event(kind="finish", subject=entry.path))
    if missing:
        raise search.failure(missing)
    size = sum(artifact.size for artifact in artifacts)
    return Restored(
        artifact=Artifact(
            name=entry.path,
            digests={"md5": entry.id},
            size=size,
            kind="directory",
            origin="dvc",
            source=entry.source,
        ),
        members=tuple(sorted(artifacts, key=lambda artifact: artifact.name)),
        sources=tuple(search.used),
        corrupted=tuple(search.corrupted),
    )


def _member(search: _Search, member: DvcMember, folder: str) -> Artifact | None:
    name = f"{search.entry.path}/{member.path}"
    digests = search.fetch(member.md5, f"{folder}/{member.path}", name)
    if digests is None:
        return None
    source = search.entry.source
    return Artifact(name=name, digests=digests, size=search.size, origin="dvc", mode=0o644, source=source)


class _Search:
    """Looks for the objects of one entry, and keeps what it met on the way."""

    def __init__(self, entry: DvcEntry, sources: DvcSources, emit: Emit) -> None:
        self.entry = entry
        self.sources = sources
        self.emit = emit
        self.used: dict[str, None] = {}
        self.corrupted: list[CorruptedCopy] = []
        self.not_tried: dict[str, str] = {}
        self.size = 0
        self.algorithms: tuple[str, ...] = (entry.hash_name, "blake3")
        self._labels = [(f"`{cache}`", os.fspath(cache)) for cache in sources.caches]
        self._find_untried()

    def fetch(self, md5: str, target: str, name: str, ending: str = "") -> dict[str, str] | None:
        """Write an object to `target`, a new file, from the first place that has it intact.

        Returns:
            Its digests (the one that names it, and BLAKE3); None where no place has it. Its size is
            then in `size`.
        """
        quick = self._from_first_cache(md5, target) if not ending else None
        if quick is not None:
            return quick
        algorithm = "md5" if ending else self.entry.hash_name
        unsound: list[CorruptedCopy] = []
        for source, place, write in self._copies(md5 + ending, md5):
            try:
                found = self._try(source, write, target, (algorithm, "blake3"))
            except (Absent, StoreError):
                continue
            if found[algorithm] == md5:
                self.used[source] = None
                self._tell(unsound, source)
                return found
            os.unlink(target)  # noqa: PTH108  # paths are plain text here: lists of files are long
            expected, other = Digest(algorithm, md5), Digest(algorithm, found[algorithm])
            unsound.append(CorruptedCopy(name=name, place=place, expected=expected, found=other))
            self.corrupted.append(unsound[-1])
        return None

    def _from_first_cache(self, md5: str, target: str) -> dict[str, str] | None:
        """The usual case, at once: a small object, sound, in the first place where it may be.

        Nothing is written, and None returned, where anything is otherwise: it is then looked at with care.
        """
        store, blake3 = self.sources.store, self.sources.known.get(md5)
        if not self._labels or self.entry.hash_name != "md5":
            return None
        if store is not None and blake3 is not None and Digest("blake3", blake3) in store:
            return None  # which comes first
        label, cache = self._labels[0]
        content = read_small(f"{cache}/files/md5/{md5[:2]}/{md5[2:]}")
        if content is None:
            return None
        digests = digest_bytes(content, self.algorithms)
        if digests["md5"] != md5:
            return None
        write_new(target, content)
        self.used[label] = None
        self.size = len(content)
        return digests

    def failure(self, names: list[str]) -> MaterialError:
        """The error for files that no place has intact."""
        entry, more = self.entry, len(names) - 1
        subject = f"`{names[0]}`" + (f" and {more} more files" if more else "")
        corrupted = [copy for copy in self.corrupted if copy.name in names]
        reason = (
            "no sound copy of its content is left" if corrupted else "its recorded content is in no store"
        )
        size = f" ({_size(entry.size)})" if entry.size is not None else ""
        details = [("recorded", f"{entry.hash_name}:{entry.id}{size}, named in `{entry.source}`")]
        details.append(
            ("searched", ", ".join(self._searched()) or "nothing: no cache and no remote is known")
        )
        details += [("corrupted", f"{copy.place}: found {copy.found}") for copy in corrupted[:_SHOWN]]
        details += [("not tried", f"{label}: {why}") for label, why in self.not_tried.items()]
        hint = "pass `--store PATH` for another cache, or `dvc push` it from where the run was made"
        if entry.imported_from is not None or self.not_tried:
            hint = f"run `dvc fetch {entry.source}`, then try again"
        error = LostContentError(f"cannot restore {subject}: {reason}", details=details, hint=hint)
        error.corrupted = tuple(copy.place for copy in corrupted)
        return error

    def _find_untried(self) -> None:
        for remote in self.sources.remotes:
            if remote.unusable is not None:
                self.not_tried[_label(remote)] = remote.unusable
            elif remote.kind == "http" and self.sources.offline:
                self.not_tried[_label(remote)] = "offline"

    def _searched(self) -> list[str]:
        own = [f"`{self.sources.store.root}`"] if self.sources.store is not None else []
        remotes = [_label(remote) for remote in self.sources.remotes if _label(remote) not in self.not_tried]
        return [*own, *(f"`{cache}`" for cache in self.sources.caches), *remotes]

    def _copies(self, name: str, md5: str) -> Iterator[tuple[str, str, Write]]:
        """Where copies of an object may be: the source's label, the copy's place, and what writes it."""
        store, blake3 = self.sources.store, self.sources.known.get(md5)
        if store is not None and blake3 is not None and Digest("blake3", blake3) in store:
            digest = Digest("blake3", blake3)
            yield f"`{store.root}`", str(store.path(digest)), from_store(store, digest)
        for label, cache in self._labels:
            for path in layouts(name):
                yield label, f"{cache}/{path}", from_file(f"{cache}/{path}")
        for remote in self.sources.remotes:
            label = _label(remote)
            for path in layouts(name):
                if label in self.not_tried:
                    continue
                if remote.kind == "local":
                    yield label, f"{remote.address}/{path}", from_file(f"{remote.address}/{path}")
                elif remote.kind == "http":
                    yield label, f"{remote.shown.rstrip('/')}/{path}", from_http(remote, path)

    def _try(self, source: str, write: Write, target: str, algorithms: tuple[str, ...]) -> dict[str, str]:
        """Let a copy be written, and digest what was.

        Raises:
            Absent: The place does not have it, or cannot give it; nothing is left at `target`.
        """
        try:
            content = write(target)
        except Unreachable as error:
            self.not_tried[source] = str(error)
            with suppress(FileNotFoundError):
                os.unlink(target)  # noqa: PTH108
            raise Absent from error
        except StoreError as error:
            self.emit(Event(kind="warning", subject=self.entry.path, message=error.message))
            raise
        if content is not None:
            self.size = len(content)
            return digest_bytes(content, algorithms)
        self.size = Path(target).stat().st_size
        return digest_file(target, algorithms)

    def _tell(self, copies: list[CorruptedCopy], source: str) -> None:
        """Warn of copies that were passed over; a cache is mended from a remote."""
        for copy in copies:
            message = f"the copy of `{copy.name}` at `{copy.place}` is corrupted: "
            message += f"expected {copy.expected}, found {copy.found}; restored from {source}"
            cached = any(Path(copy.place).is_relative_to(cache) for cache in self.sources.caches)
            mend = f"run `rm -f {shlex.quote(copy.place)} && dvc fetch {shlex.quote(self.entry.source)}`"
            hint = mend if cached and source.startswith("remote ") else None
            self.emit(Event(kind="warning", subject=copy.name, message=message, hint=hint))


def _label(remote: DvcRemote) -> str:
    return f"remote `{remote.name}` ({remote.shown})"


def _size(size: int) -> str:
    """A size for people: ``554.2 KiB``."""
    if size < 1024:
        return f"{size} B"
    unit = min((size.bit_length() - 1) // 10, 4)
    return f"{size / 1024**unit:.1f} {'KMGT'[unit - 1]}iB"
