"""Places that have copies of DVC's objects: cache folders, local remotes, HTTP remotes, our own store.

A copy is written first and believed never: who asked for it digests what was written.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from reproof.base.files import copy_private, write_new
from reproof.model.digest import Digest
from reproof.model.dvc import DvcRemote
from reproof.store.directory import DirectoryStore

#: Writes a copy to a new file; the content itself, where it was at hand as a whole.
Write = Callable[[str], bytes | None]

_TIMEOUT = 30.0  # seconds without an answer
_SMALL = 1 << 20  # bytes up to which a copy goes through memory
_MODE = 0o644


class Absent(Exception):  # noqa: N818 - not an error: the next place is asked
    """The place does not have the object."""


class Unreachable(Exception):  # noqa: N818 - becomes a fact of the report
    """The place gives no answer; asking it for the next object makes no sense."""


def layouts(name: str) -> tuple[str, str]:
    """Where an object lies below a cache or remote: DVC 3, and DVC 2."""
    return f"files/md5/{name[:2]}/{name[2:]}", f"{name[:2]}/{name[2:]}"


def from_store(store: DirectoryStore, digest: Digest) -> Write:
    """From our own store, which verifies it as well; the writer raises StoreError where that fails."""
    return lambda target: store.get(digest, Path(target), _MODE)


def from_file(place: str) -> Write:
    """From a file. The writer raises Absent where there is none, or none that can be read."""

    def write(target: str) -> bytes | None:
        try:
            # a FIFO must not keep us waiting
            reader = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise Absent from error
        try:
            status = os.fstat(reader)
            if not stat.S_ISREG(status.st_mode):
                raise Absent
            content = os.read(reader, status.st_size + 1) if status.st_size < _SMALL else b""
        except OSError as error:
            if error.errno in (errno.EIO, errno.ESTALE):  # a bad disk: another place may be sound
                raise Absent from error
            raise
        finally:
            os.close(reader)
        if len(content) == status.st_size:
            write_new(target, content)
            return content
        _copy(place, target)
        return None

    return write


def from_http(remote: DvcRemote, path: str) -> Write:
    """From an address. The writer raises Absent or Unreachable."""
    import http.client  # all of this takes longer to import than a small folder to restore
    import ssl
    import urllib.error
    import urllib.request

    address = f"{remote.address.rstrip('/')}/{path}"

    def write(target: str) -> None:
        request = urllib.request.Request(address)  # noqa: S310 - the scheme is http or https
        for name, value in remote.headers.items():
            request.add_unredirected_header(name, value)  # another host must not get them
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer, Path(target).open("xb") as file:  # noqa: S310
                shutil.copyfileobj(answer, file, 1 << 20)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (403, 404, 410):
                raise Absent from error
            raise Unreachable(f"it answers {error.code} {error.reason}") from error
        except urllib.error.URLError as error:
            reason = getattr(error.reason, "strerror", None) or error.reason
            raise Unreachable(f"no connection ({reason})") from error
        except (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
            raise Unreachable(f"the connection broke ({type(error).__name__})") from error
        Path(target).chmod(_MODE)

    return write


def _copy(place: str, target: str) -> None:
    try:
        copy_private(Path(place), Path(target), mode=_MODE)
    except OSError as error:
        if error.errno in (errno.EIO, errno.ESTALE):
            raise Absent from error
        raise
