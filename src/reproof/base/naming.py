"""Names of files in records: relative to what they belong to, never this machine's own paths."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec


class Naming(msgspec.Struct, frozen=True, kw_only=True):
    """The folders that names are relative to.

    Attributes:
        top: Top of the repository (or of its clone in a clean room).
        home: The HOME of the run.
        environment: Prefix of the Python environment, None without one.
        scratch: Temporary folder of the run, None where it has none of its own.
    """

    top: str
    home: str
    environment: str | None = None
    scratch: str | None = None

    def name_file(self, path: str) -> str:
        """The name of the file at the absolute `path`.

        Below the top of the repository the relative path itself; elsewhere ``${ENV}/...``,
        ``${TMP}/...``, ``${HOME}/...`` or the absolute path.
        """
        path = escape(path)
        relative = _below(path, self.top)
        if relative is not None:
            return relative
        for token, folder in self._outside():
            relative = _below(path, folder)
            if relative is not None:
                return f"{token}/{relative}"
        return path

    def find_file(self, name: str) -> Path:
        """The absolute path of a name; the reverse of :meth:`name_file`."""
        name = unescape(name)
        for token, folder in self._outside():
            if name.startswith(token + "/"):
                return Path(folder) / name[len(token) + 1 :]
        return Path(name) if name.startswith("/") else Path(self.top) / name

    def replace_in(self, text: str) -> str:
        """`text` with every one of the folders replaced by its token (``${PROJECT}`` for the top)."""
        folders = {
            form: token
            for token, folder in [("${PROJECT}", self.top), *self._outside()]
            for form in (os.path.realpath(folder), folder)
            if len(form) > 1
        }
        for folder in sorted(folders, key=len, reverse=True):
            if folder in text:
                text = re.sub(re.escape(folder) + r"(?![\w.-])", lambda _, to=folders[folder]: to, text)  # type: ignore[misc]
        return text

    def expand_in(self, text: str) -> str:
        """`text` with every token replaced by its folder; the reverse of :meth:`replace_in`."""
        for token, folder in [("${PROJECT}", self.top), *self._outside()]:
            text = text.replace(token, folder)
        return text

    def _outside(self) -> list[tuple[str, str]]:
        places = [("${ENV}", self.environment), ("${TMP}", self.scratch), ("${HOME}", self.home)]
        return [(token, folder) for token, folder in places if folder]


def escape(name: str) -> str:
    r"""A file name that JSON can hold: bytes that are no UTF-8 (lone surrogates) as ``\xNN``."""
    if name.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in name):
        return name
    return re.sub(r"[\udc80-\udcff]", lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", name)


def unescape(name: str) -> str:
    """The reverse of :func:`escape`: only bytes from 80 to ff are written so."""
    if "\\x" not in name:
        return name
    return re.sub(r"\\x([89a-f][0-9a-f])", lambda found: chr(0xDC00 + int(found[1], 16)), name)


def _below(path: str, folder: str) -> str | None:
    base = folder.rstrip("/") + "/"
    return path[len(base) :] if path.startswith(base) else None
