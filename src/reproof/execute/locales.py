"""A locale that writes numbers and sorts names otherwise: one that is installed, or one made for us alone."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

import msgspec

from reproof.base.files import remove_tree
from reproof.base.locations import cache_directory
from reproof.base.programs import call, find
from reproof.errors import ExecutionError

_NAME = "de_DE.UTF-8"
_SOURCE, _CHARSET = "de_DE", "UTF-8"
_PATIENCE = 60.0  # seconds


class OtherLocale(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may be given.

    Attributes:
        name: For LC_ALL.
        folder: What LOCPATH is to be; None for one that the system has.
    """

    name: str
    folder: Path | None = None


@functools.lru_cache(maxsize=1)
def other_locale() -> OtherLocale | None:
    """A locale besides C; None where none is installed and none can be made. Tried once per process; never raises.

    Where the system has the sources of locales and `localedef`, one is made into the cache.
    """
    try:
        installed = _installed()
        return OtherLocale(name=installed) if installed is not None else _made()
    except (ExecutionError, OSError):
        return None


def lay_out(locale: OtherLocale, folder: Path) -> OtherLocale:
    """The same locale with its files copied into `folder`, which a room shows.

    Raises:
        OSError: They cannot be written there.
    """
    if locale.folder is None:
        return locale
    shutil.copytree(locale.folder, folder, dirs_exist_ok=True)
    return msgspec.structs.replace(locale, folder=folder)


def _installed() -> str | None:
    names = call(["locale", "-a"], env={"PATH": os.defpath}).stdout.decode("utf-8", "replace").split()
    real = [name for name in names if name.partition(".")[0] not in ("C", "POSIX")]
    return next((name for name in real if not name.startswith("en")), next(iter(real), None))


def _made() -> OtherLocale | None:
    program = find("localedef")
    if program is None:
        return None
    version = os.confstr("CS_GNU_LIBC_VERSION") or "libc"
    folder = cache_directory() / "locales" / version.replace(" ", "-")
    if not (folder / _NAME).is_dir():
        attempt = folder.with_name(f"{folder.name}.{os.getpid()}")
        attempt.mkdir(parents=True, exist_ok=True)
        try:
            # Its status is 1 for mere warnings.
            call([program, "-c", "-i", _SOURCE, "-f", _CHARSET, attempt / _NAME], timeout=_PATIENCE)
            if not _works(attempt):
                return None
            folder.mkdir(exist_ok=True)
            shutil.copytree(attempt, folder, dirs_exist_ok=True)
        finally:
            remove_tree(attempt)
    return OtherLocale(name=_NAME, folder=folder) if _works(folder) else None


def _works(folder: Path) -> bool:
    """Whether programs find the locale there: its numbers have a comma."""
    env = {"PATH": os.defpath, "LOCPATH": str(folder), "LC_ALL": _NAME}
    return call(["locale", "decimal_point"], env=env).text.strip() == ","
