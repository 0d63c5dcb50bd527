"""Where reproof keeps its own things; every place can be moved by an environment variable."""

from __future__ import annotations

import os
from pathlib import Path

from reproof.base.files import write_atomic
from reproof.errors import StoreError

#: Name of the folder at the top of the user's repository.
FOLDER = ".reproof"


def cache_directory() -> Path:
    """Things that can be made again (environments, templates): REPROOF_CACHE_DIR or XDG cache."""
    return _place("REPROOF_CACHE_DIR", "XDG_CACHE_HOME", ".cache")


def data_directory() -> Path:
    """Things of runs that have no local repository: REPROOF_DATA_DIR or XDG data."""
    return _place("REPROOF_DATA_DIR", "XDG_DATA_HOME", ".local/share")


def config_directory() -> Path:
    """Keys that belong to this user on this host: REPROOF_CONFIG_DIR or XDG config."""
    return _place("REPROOF_CONFIG_DIR", "XDG_CONFIG_HOME", ".config")


def own_folder(top: Path) -> Path:
    """The `.reproof` folder of the repository at `top`, made on first use, ignored by Git.

    Raises:
        StoreError: It cannot be made.
    """
    folder = top / FOLDER
    try:
        if not (folder / ".gitignore").exists():
            write_atomic(folder / ".gitignore", b"*\n", durable=False)
    except OSError as error:
        raise StoreError(
            f"cannot write `{folder}`", details=[("reason", error.strerror or str(error))]
        ) from error
    return folder


def _place(variable: str, base: str, fallback: str) -> Path:
    if value := os.environ.get(variable):
        return Path(value).expanduser().absolute()
    root = os.environ.get(base)
    return (Path(root) if root and Path(root).is_absolute() else Path.home() / fallback) / "reproof"
