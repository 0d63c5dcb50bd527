"""A folder as a list of what is in it, with everything that a file system can restore of it.

The canonical form is one JSON object a line, in the order of the paths' bytes; the BLAKE3 of these
bytes is the folder's identity. Unlike DVC's list it knows symlinks, exec bits and empty folders. Of
permissions the exec bit alone counts, as in Git: the others are the user's umask.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from reproof.errors import MaterialError
from reproof.model.digest import LENGTHS
from reproof.model.dvc import path_problem

#: First line of the canonical form.
FORMAT = '{"format":"reproof/manifest/1"}\n'

_PIECE = 1024  # rows

RowKind = Literal["file", "symlink", "directory"]

_LETTERS: dict[RowKind, str] = {"file": "f", "symlink": "l", "directory": "d"}
_KINDS: dict[str, RowKind] = {letter: kind for kind, letter in _LETTERS.items()}
_HEX = frozenset("0123456789abcdef")
_quoted = json.encoder.encode_basestring_ascii


class Row(msgspec.Struct, frozen=True, gc=False):
    """One thing in a folder.

    Attributes:
        path: Below the folder, with ``/``; bytes that are no UTF-8 are lone surrogates.
        kind: A file, a symlink, or a folder with nothing in it (others follow from their content).
        size: Bytes of a file.
        executable: Whether its owner may execute a file.
        blake3: Of a file's content; empty for others.
        target: Where a symlink points to; not resolved.
        md5: Of a file's content, where it was asked for; of a symlink to a file that of the content
            behind it, as DVC sees it. No part of the identity.
    """

    path: str
    kind: RowKind = "file"
    size: int = 0
    executable: bool = False
    blake3: str = ""
    target: str = ""
    md5: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """All rows of a folder, in order of the bytes of their paths."""

    rows: tuple[Row, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(row.size for row in self.rows)

    @property
    def files(self) -> int:
        """Number of files."""
        return sum(row.kind == "file" for row in self.rows)

    def canonical(self) -> bytes:
        """The bytes whose BLAKE3 is the identity of the folder."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The same bytes, piece by piece: of many files they are much."""
        yield FORMAT.encode("ascii")
        for start in range(0, len(self.rows), _PIECE):
            yield "".join(map(_line, self.rows[start : start + _PIECE])).encode("ascii")

    def dvc_list(self) -> bytes | None:
        """The list of files that DVC makes of this folder: its MD5 and ``.dir`` is DVC's id.

        None where the MD5 of a file is not known.
        """
        seen = [row for row in self.rows if row.kind == "file" or (row.kind == "symlink" and row.md5)]
        if not all(row.md5 for row in seen):
            return None
        rows = sorted(({"md5": row.md5, "relpath": row.path} for row in seen), key=_relpath)
        return json.dumps(rows, sort_keys=True).encode("ascii")


def make_manifest(rows: Iterable[Row]) -> Manifest:
    """A manifest of `rows`, which may come in any order."""
    found = list(rows)
    try:
        # Texts are in the order of their bytes, but for lone surrogates, and need no second list of them.
        for row in found:
            row.path.encode("utf-8")
        found.sort(key=_path)
    except UnicodeEncodeError:
        found.sort(key=_path_bytes)
    return Manifest(tuple(found))


def read_manifest(data: bytes, where: str) -> Manifest:
    """Read the canonical form.

    Args:
        data: What :meth:`Manifest.canonical` returned.
        where: The folder, for messages.

    Raises:
        MaterialError: It is not such a form; or a path in it leads out of the folder, is there
            twice, or lies within what is no folder. The path is named, and nothing is used.
    """
    head, _, body = data.partition(b"\n")
    if head.decode("ascii", "replace") + "\n" != FORMAT:
        raise _refused(where, "it is not a manifest of this version", head[:60].decode("ascii", "replace"))
    rows = [_row(line, where) for line in body.splitlines()]
    kinds: dict[str, RowKind] = {}
    for row in rows:
        if row.path in kinds:
            raise _refused(where, f"it names `{_shown(row.path)}` twice")
        kinds[row.path] = row.kind
    for path in kinds:
        parent = path.rpartition("/")[0]
        while parent:
            if parent in kinds:
                raise _refused(where, f"`{_shown(path)}` lies within what it gives as a {kinds[parent]}")
            parent = parent.rpartition("/")[0]
    manifest = Manifest(tuple(rows))
    if manifest.canonical() != data:
        raise _refused(where, "it is not in canonical form")
    return manifest


def _line(row: Row) -> str:
    head = f'{{"path":{_quoted(row.path)},"type":"{_LETTERS[row.kind]}"'
    if row.kind == "file":
        mode = "755" if row.executable else "644"
        return f'{head},"mode":"{mode}","size":{row.size},"blake3":"{row.blake3}"}}\n'
    if row.kind == "symlink":
        return f'{head},"target":{_quoted(row.target)}}}\n'
    return head + "}\n"


def _row(line: bytes, where: str) -> Row:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _refused(where, "a line of it is not JSON", str(error)) from error
    if not isinstance(found, dict) or not isinstance(found.get("path"), str):
        raise _refused(where, "a line of it has no path", str(found)[:80])
    path, letter = found["path"], found.get("type")
    if problem := path_problem(path):
        raise _refused(where, f"its path `{_shown(path)}` {problem}")
    if not isinstance(letter, str) or letter not in _KINDS:
        raise _refused(where, f"`{_shown(path)}` has no known type", str(letter)[:80])
    kind = _KINDS[letter]
    if kind == "directory":
        return Row(path, kind)
    if kind == "symlink":
        return Row(path, kind, target=_symlink_target(found, where))
    return _file_row(found, where)


def _symlink_target(found: dict[str, Any], where: str) -> str:
    target = found.get("target")
    if not isinstance(target, str) or not target or "\0" in target:
        raise _refused(where, f"the symlink `{_shown(found['path'])}` has no valid target")
    return target


def _file_row(found: dict[str, Any], where: str) -> Row:
    size, mode, blake3 = found.get("size"), found.get("mode"), found.get("blake3")
    is_valid = type(size) is int and size >= 0 and mode in ("644", "755") and isinstance(blake3, str)
    if not is_valid or len(str(blake3)) != LENGTHS["blake3"] or not _HEX.issuperset(str(blake3)):
        raise _refused(where, f"size, mode or digest of `{_shown(found['path'])}` is wrong")
    return Row(found["path"], "file", int(str(size)), mode == "755", str(blake3))


def _path(row: Row) -> str:
    return row.path


def _path_bytes(row: Row) -> bytes:
    return row.path.encode("utf-8", "surrogateescape")


def _relpath(row: dict[str, str]) -> str:
    return row["relpath"]


def _shown(path: str) -> str:
    return path.encode("ascii", "backslashreplace").decode("ascii").replace("\0", "\\0")


def _refused(where: str, problem: str, found: str | None = None) -> MaterialError:
    details = [("found", found)] if found else []
    return MaterialError(f"the manifest of the folder `{where}` is refused: {problem}", details=details)
