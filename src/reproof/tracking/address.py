"""Where the runs of a project are tracked: MLflow's own rules, applied without importing MLflow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from reproof.tracking.installation import Installation

#: `rest`: a server; `sqlite`: a database file; `file`: a folder `mlruns`; `database`: a database
#: server that MLflow opens itself; `other`: databricks and what plugins add.
Kind = Literal["rest", "sqlite", "file", "database", "other"]

#: Who named an address.
Source = Literal["option", "environment", "default"]

_DATABASES = ("postgresql", "mysql", "mssql")
_WORDS = ("databricks", "databricks-uc", "uc")  # addresses without a scheme that are no folders
_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/@]*@", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """Where a tracking store is.

    Attributes:
        uri: Absolute address without user name or password: may be shown and kept.
        kind: How it is reached.
        source: Who named it: ``option``, ``environment`` or ``default`` (MLflow's own).
        access: The address with everything needed to reach it; never shown, never kept.
    """

    uri: str
    kind: Kind
    source: Source
    access: str = field(repr=False)

    @property
    def path(self) -> Path | None:
        """The database file or the folder of a local store; None for all others."""
        if self.kind == "sqlite":
            return Path(self.access.partition("?")[0].partition(":///")[2])
        if self.kind == "file":
            return Path(unquote(urlsplit(self.access).path))
        return None


def resolve(
    option: str | None,
    environment: Mapping[str, str],
    directory: Path,
    installation: Installation | None = None,
) -> Address:
    """The store that a run of a project uses.

    Args:
        option: What the command line or the settings say.
        environment: Variables of the run; MLFLOW_TRACKING_URI counts when there is no option.
        directory: Working directory of the run, which relative addresses are below.
        installation: The project's MLflow, whose default counts when nothing else is said; its
            absence counts as a current MLflow.

    Returns:
        The absolute address.
    """
    if option:
        return parse(option, directory, "option")
    if named := environment.get("MLFLOW_TRACKING_URI"):
        return parse(named, directory, "environment")
    return parse(_default(directory, installation), directory, "default")


def parse(text: str, directory: Path, source: Source = "option") -> Address:
    """Read an address as MLflow reads it; a relative path is below `directory`."""
    scheme = text.partition(":")[0].lower() if ":" in text else ""
    dialect = scheme.partition("+")[0]
    if scheme in ("http", "https"):
        return Address(without_secrets(text.rstrip("/")), "rest", source, text.rstrip("/"))
    if dialect == "sqlite" and _has_file(text):
        return _sqlite(text, directory, source)
    if dialect in _DATABASES:
        return Address(without_secrets(text).partition("?")[0], "database", source, text)
    if scheme == "file" or (not scheme and text not in _WORDS):
        uri = _folder(text, directory).as_uri()
        return Address(uri, "file", source, uri)
    return Address(without_secrets(text), "other", source, text)


def without_secrets(text: str) -> str:
    """An address without its user part."""
    return _USERINFO.sub(r"\g<scheme>", text)


def _default(directory: Path, installation: Installation | None) -> str:
    """What MLflow uses when nobody says anything.

    Up to 3.6 that is the folder ``mlruns``; since 3.7 ``mlflow.db``, unless ``mlruns`` holds
    experiments (`_get_default_tracking_uri` in mlflow/tracking/_tracking_service/utils.py).
    """
    default = installation.default_store if installation is not None else "sqlite:///mlflow.db"
    return "mlruns" if default is None or _has_experiments(directory) else default


def _has_experiments(directory: Path) -> bool:
    return any(meta.parent.name.isdigit() for meta in directory.glob("mlruns/[0-9]*/meta.yaml"))


def _has_file(text: str) -> bool:
    name = text.partition("?")[0].partition(":///")[2]
    return bool(name) and name != ":memory:"


def _sqlite(text: str, directory: Path, source: Source) -> Address:
    scheme, _, rest = text.partition(":///")
    name, mark, query = rest.partition("?")
    # SQLAlchemy takes the path as it stands; percent signs are part of the name.
    uri = f"{scheme}:///{(directory / name).absolute()}{mark}{query}"
    return Address(uri, "sqlite", source, uri)


def _folder(text: str, directory: Path) -> Path:
    if not text.lower().startswith("file:"):
        return (directory / text).absolute()
    parts = urlsplit(text)
    return (directory / unquote(parts.path)).absolute()
