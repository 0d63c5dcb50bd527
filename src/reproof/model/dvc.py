"""What DVC says about content: entries of its files, members of its folders, places of its copies.

DVC's formats, as of DVC 2 and 3: a ``.dvc`` file or ``dvc.lock`` names content by MD5; a folder's
id is the MD5 of a JSON list of its files, with the ending ``.dir``.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import msgspec

from reproof.errors import MaterialError

HashName = Literal["md5", "md5-dos2unix"]

_MD5 = re.compile(r"[0-9a-f]{32}")
_SUSPICIOUS = re.compile(r"/\.|//|[:\\\0]")
#: Devices of Windows, as they are usually written: ordinary names of files elsewhere, but hardly by chance.
_DEVICE = re.compile(r"(?:^|/)(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[0-9]|LPT[0-9])(?:/|$)")
_RESERVED = frozenset({".git", ".dvc"})


class DvcEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder whose content DVC names.

    Attributes:
        path: Its place below the top of the repository.
        md5: 32 hexadecimal digits, without the ending of a folder's id; empty with a `problem`.
        is_dir: It is a folder: `md5` is that of its list of files.
        size: Bytes in all, None where DVC does not say.
        nfiles: Number of files of a folder, where DVC says.
        hash_name: ``md5-dos2unix`` for entries of DVC 2: CRLF counted as LF in text.
        source: The file that names the content, below the top of the repository.
        root: The folder of the DVC repository, below the top of the Git repository.
        cached: Whether DVC keeps the content in its cache (else it is in Git).
        executable: The file's exec bit.
        remote: The one remote that has it, None for the default.
        imported_from: Address that it was imported from: DVC does not push what it imports.
        problem: Why the content cannot be restored by reproof at all.
    """

    path: str
    md5: str
    is_dir: bool = False
    size: int | None = None
    nfiles: int | None = None
    hash_name: HashName = "md5"
    source: str
    root: str = ""
    cached: bool = True
    executable: bool = False
    remote: str | None = None
    imported_from: str | None = None
    problem: str | None = None

    @property
    def id(self) -> str:
        """The name of the content in caches and remotes."""
        return f"{self.md5}.dir" if self.is_dir else self.md5


class DvcMember(msgspec.Struct, frozen=True):
    """A file of a folder: its place within the folder, and the MD5 of its content."""

    path: str
    md5: str


class DvcRemote(msgspec.Struct, frozen=True, kw_only=True):
    """A place that DVC pushes content to.

    Attributes:
        name: Its name in the configuration.
        kind: ``local`` (a folder), ``http`` or ``other``.
        address: Absolute path or URL, credentials included.
        shown: The same without credentials, for people.
        headers: Headers that requests need; secret.
        unusable: Why reproof does not read it itself, None where it does.
    """

    name: str
    kind: Literal["local", "http", "other"]
    address: str
    shown: str
    headers: dict[str, str] = {}
    unusable: str | None = None

    def __repr__(self) -> str:
        return f"DvcRemote({self.name!r}, {self.shown!r})"


class DvcConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where a DVC repository keeps content: its cache folder, and its remotes, the default first."""

    cache: str
    remotes: tuple[DvcRemote, ...] = ()
    default: str | None = None


def parse_manifest(data: bytes, where: str) -> tuple[DvcMember, ...]:
    """Read the list of files of a folder (a ``.dir`` object).

    Args:
        data: JSON: ``[{"md5": "...", "relpath": "a/b"}, ...]``.
        where: The folder, for messages.

    Raises:
        MaterialError: Not such a list, or a path in it leads out of the folder, is given twice,
            or is the folder of another; the path is named, and nothing is used.
    """
    try:
        rows = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _refused(where, "it is not JSON", str(error)) from error
    if not isinstance(rows, list):
        raise _refused(where, "it is not a list", type(rows).__name__)
    members: dict[str, DvcMember] = {}
    for row in rows:
        member = _member(row, where)
        if member.path in members:
            raise _refused(where, f"it names `{member.path}` twice")
        members[member.path] = member
    parents = {path.rpartition("/")[0] for path in members}
    while parents - {""}:
        if both := sorted(parents & members.keys()):
            raise _refused(where, f"it names `{both[0]}` both as a file and as a folder")
        parents = {parent.rpartition("/")[0] for parent in parents}
    return tuple(members.values())


def path_problem(path: str) -> str | None:
    """Why a relative path may not be written to; None where it may."""
    if not path:
        return "is empty"
    if path[0] not in "/." and path[-1] != "/" and not _SUSPICIOUS.search(path):
        # the usual case: lists of files are long
        return None if path.islower() or not _DEVICE.search(path) else "names a device"
    if path == ".":
        return "is the folder itself"
    if "\0" in path:
        return "contains NUL"
    if path.startswith("\\\\") or _DEVICE.search(path):
        return "names a device"
    if path.startswith("/") or re.match(r"[A-Za-z]:[\\/]", path) or "://" in path:
        return "is absolute"
    parts = path.split("/")
    if ".." in parts:
        return "leads upwards"
    if any(part in ("", ".") for part in parts):
        return "is not in its shortest form"
    if any(part.lower() in _RESERVED for part in parts):
        return "is in a folder of Git or DVC itself"
    return None


def is_md5(value: object) -> bool:
    """Whether a value is 32 lower-case hexadecimal digits."""
    return isinstance(value, str) and _MD5.fullmatch(value) is not None


def _member(row: Any, where: str) -> DvcMember:
    if not isinstance(row, dict) or not isinstance(row.get("relpath"), str):
        raise _refused(where, "an item of it has no `relpath`", str(row)[:80])
    path, md5 = row["relpath"], row.get("md5")
    if problem := path_problem(path):
        shown = path.replace("\0", "\\0")
        raise _refused(where, f"its path `{shown}` {problem}")
    if not is_md5(md5):
        raise _refused(where, f"its item `{path}` has no valid `md5`", str(md5)[:80])
    return DvcMember(path, str(md5))


def _refused(where: str, problem: str, found: str | None = None) -> MaterialError:
    details = [("found", found)] if found else []
    return MaterialError(f"the list of files of the folder `{where}` is refused: {problem}", details=details)
