"""What is installed, read from the `.dist-info` folders themselves, and whether it is what was packed.

Format: https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from reproof.base.digesting import new_digester
from reproof.environment.equivalents import Equivalents
from reproof.environment.recorded import Entry, entries_of, read_record
from reproof.environment.requirements import normalise, without_userinfo
from reproof.environment.sources import name_from
from reproof.model.record import Distribution

_CHUNK = 1 << 18  # bytes; fits into a core's own cache
#: From this size on it pays to look for another digest of the same content.
_LARGE = 1 << 16
#: Written by installers about the installation, not packed with the distribution.
_INSTALLERS = (
    "INSTALLER",
    "REQUESTED",
    "RECORD",
    "direct_url.json",
    "uv_cache.json",
    "uv_build.json",
    "RECORD.jws",
    "RECORD.p7s",
)
_BATCH = 256
_SETTLING = 60 * 10**9  # nanoseconds that an installation may take after its RECORD


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is not as it was packed.

    Attributes:
        distribution: Normalised name of its distribution; empty for files of no distribution.
        path: Path relative to the packages' folder.
        how: ``changed``, ``missing``, ``added`` or ``shared`` (a hard link to another place).
        now: sha256 of its content, where that was asked for.
    """

    distribution: str
    path: str
    how: str
    now: str = ""

    def __str__(self) -> str:
        owner = f" of {self.distribution}" if self.distribution else ""
        return f"`{self.path}`{owner} {self.how}"


def list_distributions(folders: Iterable[Path], project: Path | None = None) -> tuple[Distribution, ...]:
    """Everything installed in `folders`; the first of a name wins, as in imports.

    Args:
        folders: Folders that packages are imported from.
        project: The project's folder; sources within are written ``${PROJECT}/...``.
    """
    found: dict[str, Distribution] = {}
    for folder in folders:
        for entry in _metadata_folders(folder):
            item = _read_distribution(entry, project)
            if item is not None:
                found.setdefault(item.name, item)
    return tuple(sorted(found.values(), key=lambda item: item.name))


def built_from_source(site_packages: Path) -> tuple[str, ...]:
    """Distributions that uv built on this machine, as ``name==version``; folders and Git addresses left out."""
    names = []
    for entry in _metadata_folders(site_packages):
        if (entry / "uv_build.json").exists() and not (entry / "direct_url.json").exists():
            item = _read_distribution(entry, None)
            names.extend([f"{item.name}=={item.version}"] if item else [])
    return tuple(sorted(names))


def changed_files(site_packages: Path, known: Equivalents | None = None) -> list[Change]:
    """Digest every installed file against the RECORD of its distribution, in parallel.

    Files that share their content with another place by a hard link are reported too: an edit
    there would be an edit here. Bytecode is left out.

    Args:
        site_packages: The packages' folder.
        known: Digests by which large files may be recognised instead; those that are computed are added.
    """
    wanted = sorted(_all_entries(site_packages), key=lambda item: item[1].path)
    batches = [wanted[start : start + _BATCH] for start in range(0, len(wanted), _BATCH)]
    with ThreadPoolExecutor(max_workers()) as pool:
        results = list(pool.map(lambda batch: _check(str(site_packages), batch, known), batches))
    changes = [change for result in results for change in result]
    if not changes:
        return []
    owners = Counter(entry.path for _, entry in wanted)
    wrong = Counter(change.path for change in changes)
    # Where several distributions own a file, the last one installed wins: one that agrees is enough.
    return [change for change in changes if wrong[change.path] == owners[change.path]]


def edited_files(folders: Iterable[Path]) -> list[Change]:
    """Files that were changed in place after their distribution was installed, found without reading all.

    Only those are digested whose size is not that of RECORD, or that are younger than RECORD itself; of
    those, none that another distribution brought as well, and that is as the RECORD of that one says.
    """
    found: list[Change] = []
    for folder in folders:
        odd = [each for entry in _metadata_folders(folder) for each in _odd(folder, entry)]
        brought = _brought(folder, {item.path for _, item, how in odd if how == "changed"})
        for name, item, how in odd:
            if how == "missing":
                found.append(Change(distribution=name, path=item.path, how=how))
                continue
            now = brought.get(item.path) or _sha256(f"{folder}/{item.path}")
            if now is not None and not _is_packed(folder, item, now):
                found.append(Change(distribution=name, path=item.path, how=how, now=now.hex()))
    return found


def _odd(folder: Path, entry: Path) -> Iterator[tuple[str, Entry, str]]:
    """Files of a distribution that are missing, or may be changed by what their size and age say."""
    name, settled = normalise(_name_and_version(entry)[0]), _settled(entry)
    for item in read_record(entry):
        try:
            fits = _fits(item, os.stat(f"{folder}/{item.path}"), settled)  # noqa: PTH116 - hot loop over strings
        except OSError:
            yield name, item, "missing"
            continue
        if not fits:
            yield name, item, "changed"


def _brought(folder: Path, paths: set[str]) -> dict[str, bytes]:
    """sha256 of those `paths` that are, by size and age, what some distribution's RECORD says of them."""
    found: dict[str, bytes] = {}
    for entry in _metadata_folders(folder) if paths else ():
        settled = _settled(entry)
        for item in read_record(entry):
            if item.path in paths and item.algorithm == "sha256" and item.size is not None:
                with suppress(OSError):
                    if _fits(item, (folder / item.path).stat(), settled):
                        found[item.path] = item.digest
    return found


def _settled(entry: Path) -> int:
    """When the installation of a distribution was over, in nanoseconds; 0 without a RECORD."""
    try:
        return (entry / "RECORD").stat().st_mtime_ns + _SETTLING
    except OSError:
        return 0


def _fits(item: Entry, state: os.stat_result, settled: int) -> bool:
    return state.st_mtime_ns <= settled and item.size in (None, state.st_size)


def _is_packed(folder: Path, item: Entry, sha256: bytes) -> bool:
    if item.algorithm == "sha256":
        return item.digest == sha256
    return _state(f"{folder}/{item.path}", item, bytearray(_CHUNK)) != "changed"


def _sha256(path: str) -> bytes | None:
    """Of a file's content; None where it cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - of the strings above
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return None


def with_edits(
    distributions: tuple[Distribution, ...], changes: Iterable[Change]
) -> tuple[Distribution, ...]:
    """Distributions whose digests are no longer those that they were packed with, where files were edited."""
    by_name: dict[str, list[str]] = {}
    for change in changes:
        by_name.setdefault(change.distribution, []).append(f"{change.path} {change.how} {change.now}")
    return tuple(
        item
        if item.name not in by_name
        else msgspec.structs.replace(
            item,
            record=hashlib.sha256(
                "\n".join([item.record or "", *sorted(by_name[item.name])]).encode()
            ).hexdigest(),
        )
        for item in distributions
    )


def recorded_files(site_packages: Path) -> dict[str, tuple[str, Entry]]:
    """Absolute path of each file that a RECORD names, to its distribution's name and its entry there."""
    root = str(site_packages)
    return {
        os.path.normpath(f"{root}/{entry.path}") if ".." in entry.path else f"{root}/{entry.path}": (
            name,
            entry,
        )
        for name, entry in _all_entries(site_packages)
    }


def max_workers() -> int:
    """Threads for work that is half reading, half digesting."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _metadata_folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name for entry in entries if entry.name.endswith((".dist-info", ".egg-info"))
            )
    except OSError:
        return []
    return [folder / name for name in names]


def _read_distribution(entry: Path, project: Path | None) -> Distribution | None:
    name, version = _name_and_version(entry)
    if not name:
        return None
    direct = _json(entry / "direct_url.json")
    information = direct.get("dir_info")
    return Distribution(
        name=normalise(name),
        version=version,
        record=content_digest(entry) if entry.name.endswith(".dist-info") else None,
        editable=isinstance(information, dict) and bool(information.get("editable")),
        source=_source(direct, project),
    )


def _name_and_version(entry: Path) -> tuple[str, str]:
    for path in (entry / "METADATA", entry / "PKG-INFO", entry):
        try:
            with path.open("rb") as file:
                head = file.read(4096).split(b"\n\n", 1)[0].decode("utf-8", "replace")
        except OSError:
            continue
        fields = dict(
            line.split(": ", 1) for line in head.splitlines() if line.startswith(("Name: ", "Version: "))
        )
        if "Name" in fields:
            return fields["Name"].strip(), fields.get("Version", "").strip()
    return "", ""


def _source(direct: dict[str, Any], project: Path | None) -> str | None:
    address = direct.get("url")
    if not isinstance(address, str):
        return None
    versioned = direct.get("vcs_info")
    if isinstance(versioned, dict):
        return f"{versioned.get('vcs', 'git')}+{without_userinfo(address)}@{versioned.get('commit_id', '')}"
    if project is not None and address.startswith("file://"):
        place = name_from(project, address.removeprefix("file://"))
        if place is not None:
            return place
    return without_userinfo(address)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return value if isinstance(value, dict) else {}


def content_digest(entry: Path) -> str | None:
    """Digest of what a distribution consists of, the same wherever and by whatever it is installed.

    It is the sha256 of the sorted ``path,hash`` lines of RECORD, without what an installer adds:
    its own notes, scripts (which hold the environment's path) and bytecode.
    """
    return _digest_of(read_record(entry))


def digest_of_rows(record: str) -> str | None:
    """:func:`content_digest` of a distribution whose RECORD has this text."""
    return _digest_of(entries_of(record))


def sorted_distributions(
    found: Iterable[tuple[str, str, str | None, str]],
) -> tuple[Distribution, ...]:
    """Distributions of another file system, by name; the first of a name wins, as in imports.

    Args:
        found: Name, version, content digest and text of direct_url.json of each.
    """
    items: dict[str, Distribution] = {}
    for name, version, record, direct in found:
        try:
            facts = msgspec.json.decode(direct.encode()) if direct else {}
        except msgspec.DecodeError:
            facts = {}
        facts = facts if isinstance(facts, dict) else {}
        information = facts.get("dir_info")
        item = Distribution(
            name=normalise(name),
            version=version,
            record=record,
            editable=isinstance(information, dict) and bool(information.get("editable")),
            source=_source(facts, None),
        )
        items.setdefault(item.name, item)
    return tuple(sorted(items.values(), key=lambda item: item.name))


def _digest_of(entries: Iterable[Entry]) -> str | None:
    lines = [
        f"{item.path},{item.algorithm}={item.digest.hex()}\n"
        for item in entries
        if not item.path.startswith("../") and item.path.rpartition("/")[2] not in _INSTALLERS
    ]
    return (
        hashlib.sha256("".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()
        if lines
        else None
    )


def _all_entries(site_packages: Path) -> Iterator[tuple[str, Entry]]:
    for folder in _metadata_folders(site_packages):
        name = normalise(_name_and_version(folder)[0])
        for entry in read_record(folder):
            yield name, entry


def _check(root: str, batch: list[tuple[str, Entry]], known: Equivalents | None) -> list[Change]:
    """Digest some files; plain system calls, because there are tens of thousands of them."""
    found, buffer = [], bytearray(_CHUNK)
    for name, entry in batch:
        how = _state(f"{root}/{entry.path}", entry, buffer, known)
        if how:
            found.append(Change(distribution=name, path=entry.path, how=how))
    return found


def _state(path: str, entry: Entry, buffer: bytearray, known: Equivalents | None = None) -> str | None:
    """How a file differs from its entry; None for as packed. `buffer` is overwritten."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return "missing"
    try:
        state = os.fstat(handle)
        if known is not None and state.st_size >= _LARGE and entry.algorithm == "sha256":
            same = _is_known(handle, entry.digest, buffer, known)
        else:
            same = (
                _digest(handle, [hashlib.new(entry.algorithm, usedforsecurity=False)], buffer)[0]
                == entry.digest
            )
    except OSError:
        return "missing"
    finally:
        os.close(handle)
    if not same:
        return "changed"
    return "shared" if state.st_nlink > 1 else None


def _is_known(handle: int, sha256: bytes, buffer: bytearray, known: Equivalents) -> bool:
    """Whether an open file has a sha256 digest; computed only for content that was not met before."""
    expected = known.find(sha256)
    if expected is not None and _digest(handle, [new_digester("blake3")], buffer)[0] == expected:
        return True
    os.lseek(handle, 0, os.SEEK_SET)
    found, other = _digest(handle, [hashlib.sha256(usedforsecurity=False), new_digester("blake3")], buffer)
    if found == sha256:
        known.learn(sha256, other)
    return found == sha256


def _digest(handle: int, digesters: list[Any], buffer: bytearray) -> list[bytes]:
    view = memoryview(buffer)
    while count := os.readv(handle, [buffer]):
        for digester in digesters:
            digester.update(view[:count])
    return [digester.digest() for digester in digesters]
