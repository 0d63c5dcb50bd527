"""Which content DVC names in a repository, and where its copies are; without importing DVC.

Formats: https://dvc.org/doc/user-guide/project-structure. Templates of dvc.yaml need no resolving:
``dvc.lock`` holds what they came to.
"""

from __future__ import annotations

import base64
import os
import posixpath
import re
import sys
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from reproof.base.git import git_names, without_secrets
from reproof.errors import ProjectError
from reproof.model.dvc import DvcConfig, DvcEntry, DvcRemote, is_md5, path_problem
from reproof.project.yaml_document import Document, describe, read_yaml

_SECTION = re.compile(r"""\[\s*(?P<quote>['"]?)(?P<name>.+?)(?P=quote)\s*\]""")
_NAMED = re.compile(r'(?P<kind>\w+)\s+"(?P<name>.*)"')
_VERSIONED = ("version_id", "files", "cloud")


def tracked(top: Path) -> tuple[DvcEntry, ...]:
    """Everything that ``.dvc`` files and ``dvc.lock`` of the repository at `top` name, by path.

    Files that Git ignores are not looked for.

    Raises:
        ProjectError: A file is malformed, a path in it leads out of the repository, or two files
            name different content for one path, or one path within another.
    """
    # Asked of git at once: starting it twice would be felt where nothing changed.
    listed = git_names(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = sorted({name for name in listed if _is_dvc_file(name)})
    entries: dict[str, DvcEntry] = {}
    for name in names:
        if not (top / name).is_file():
            continue  # removed from the work tree
        for entry in _read_file(top, name):
            _add(entries, entry)
    _check_overlaps(entries)
    return tuple(entries[path] for path in sorted(entries))


def read_config(root: Path) -> DvcConfig:
    """Where the DVC repository at `root` keeps content: its configuration with all layers merged.

    Raises:
        ProjectError: A configuration file cannot be read; file and line are named.
    """
    merged: dict[str, dict[str, str]] = {}
    for path in _config_files(root):
        for section, values in _read_config_file(path).items():
            merged.setdefault(section, {}).update(values)
    addresses = {
        match["name"]: values
        for section, values in merged.items()
        if (match := _NAMED.fullmatch(section)) and match["kind"] == "remote"
    }
    default = merged.get("core", {}).get("remote", "").lower() or None
    remotes = [_remote(name, values, addresses) for name, values in addresses.items() if values.get("url")]
    remotes.sort(key=lambda remote: remote.name != default)
    cache = merged.get("cache", {}).get("dir") or str(root.absolute() / ".dvc" / "cache")
    return DvcConfig(cache=cache, remotes=tuple(remotes), default=default)


def _is_dvc_file(name: str) -> bool:
    folder, _, base = name.rpartition("/")
    is_internal = ".dvc" in folder.split("/")
    return not is_internal and (base == "dvc.lock" or (base.endswith(".dvc") and base != ".dvc"))


def _read_file(top: Path, name: str) -> Iterator[DvcEntry]:
    document = _document(top, name)
    reader = _OutReader(top, name, document)
    if name.rpartition("/")[2] != "dvc.lock":
        wdir = document.text("wdir") or "."
        origin = _imported_from(document)
        for index, _ in enumerate(document.items("outs")):
            yield msgspec.structs.replace(reader.read(("outs", index), wdir), imported_from=origin)
        return
    base = ("stages",) if "schema" in document.mapping() else ()
    stages = _Stages(top, posixpath.join(posixpath.dirname(name), "dvc.yaml"))
    for stage in document.mapping(*base):
        document.mapping(*base, stage)
        for index, _ in enumerate(document.items(*base, stage, "outs")):
            entry = reader.read((*base, stage, "outs", index), stages.wdir(stage))
            yield msgspec.structs.replace(entry, cached=stages.is_cached(stage, reader.written))


def _document(top: Path, name: str) -> Document:
    try:
        document = read_yaml((top / name).read_bytes(), name)
    except OSError as error:
        raise ProjectError(f"cannot read `{name}`: {error.strerror}") from error
    document.require_mapping()
    return document


def _imported_from(document: Document) -> str | None:
    for index, item in enumerate(document.items("deps")):
        if isinstance(item, dict):
            repository = document.mapping("deps", index, "repo").get("url")
            address = repository or item.get("path")
            return without_secrets(address) if isinstance(address, str) else None
    return None


class _OutReader:
    """Reads the items of `outs` of one file."""

    def __init__(self, top: Path, name: str, document: Document) -> None:
        self.name = name
        self.folder = posixpath.dirname(name)
        self.root = _dvc_root(top, self.folder)
        self.document = document
        self.written = ""

    def read(self, key: tuple[str | int, ...], wdir: str) -> DvcEntry:
        """The entry at `key`; its path starts in `wdir`, which starts in the file's folder."""
        out = self.document.mapping(*key)
        self.written = self._path(key)
        path = self._place(key, wdir)
        md5, problem = self._content(key, out)
        if "${" in wdir:
            problem = f"its folder `{wdir}` is a template"
        return DvcEntry(
            path=path,
            md5=md5.removesuffix(".dir"),
            is_dir=md5.endswith(".dir"),
            size=self._number(key, "size"),
            nfiles=self._number(key, "nfiles"),
            hash_name="md5" if out.get("hash") == "md5" else "md5-dos2unix",
            source=self.name,
            root=self.root,
            cached=out.get("cache") is not False,
            executable=out.get("isexec") is True,
            remote=self.document.text(*key, "remote"),
            problem=problem,
        )

    def _path(self, key: tuple[str | int, ...]) -> str:
        path = self.document.text(*key, "path")
        if path is None:
            raise self.document.wrong(key, "has no `path`")
        return path

    def _place(self, key: tuple[str | int, ...], wdir: str) -> str:
        """The path below the top of the repository, or an error that names it."""
        path, problem = self.written, None
        if "\0" in path + wdir or posixpath.isabs(path) or posixpath.isabs(wdir) or "://" in path:
            problem = path_problem(path) or "is absolute"
        place = posixpath.normpath(posixpath.join(self.folder, wdir, path))
        if place == ".." or place.startswith("../"):
            problem = problem or "leads out of the repository"
        problem = problem or path_problem(place)
        if problem:
            shown = path.replace("\0", "\\0")
            raise self.document.wrong((*key, "path"), f"is refused: `{shown}` {problem}")
        return place

    def _content(self, key: tuple[str | int, ...], out: dict[str, Any]) -> tuple[str, str | None]:
        md5, kind = out.get("md5"), out.get("hash")
        if kind not in (None, "md5"):
            raise self.document.wrong((*key, "hash"), f"must be `md5`, not {describe(kind)}")
        if md5 is None:
            if any(name in out for name in _VERSIONED):
                return (
                    "",
                    "its content is named by versions of a cloud storage (version_aware), not by digest",
                )
            other = next((name for name in ("etag", "checksum") if name in out), None)
            return (
                "",
                f"its content is named by `{other}` alone" if other else "DVC has not kept its content yet",
            )
        if not isinstance(md5, str) or not is_md5(md5.removesuffix(".dir")):
            raise self.document.wrong((*key, "md5"), f"must be 32 hexadecimal digits, not {describe(md5)}")
        return md5, None

    def _number(self, key: tuple[str | int, ...], name: str) -> int | None:
        value = self.document.mapping(*key).get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        raise self.document.wrong((*key, name), f"must be a whole number, not {describe(value)}")


class _Stages:
    """What dvc.yaml adds to dvc.lock: working folders, and outputs that are not cached."""

    def __init__(self, top: Path, name: str) -> None:
        exists = (top / name).is_file()
        self.stages = _document(top, name).mapping("stages") if exists else {}

    def _stage(self, name: str) -> dict[str, Any]:
        stage = self.stages.get(name)
        if stage is None:  # `train@0` comes from the template `train`
            stage = self.stages.get(name.partition("@")[0])
        if isinstance(stage, dict) and isinstance(stage.get("do"), dict):
            stage = stage["do"]
        return stage if isinstance(stage, dict) else {}

    def wdir(self, name: str) -> str:
        """Where the paths of a stage start, relative to the folder of dvc.yaml."""
        wdir = self._stage(name).get("wdir", ".")
        return wdir if isinstance(wdir, str) else "."

    def is_cached(self, name: str, path: str) -> bool:
        """Whether DVC keeps an output; those with ``cache: false`` are in Git."""
        for kind in ("outs", "metrics", "plots"):
            items = self._stage(name).get(kind)
            for item in items if isinstance(items, list) else ():
                options = item.get(path) if isinstance(item, dict) else None
                if isinstance(options, dict) and options.get("cache") is False:
                    return False
        return True


def _dvc_root(top: Path, folder: str) -> str:
    place = folder
    while place and not (top / place / ".dvc").is_dir():
        place = posixpath.dirname(place)
    return place


def _add(entries: dict[str, DvcEntry], entry: DvcEntry) -> None:
    other = entries.setdefault(entry.path, entry)
    if other.id != entry.id:
        raise ProjectError(
            f"two files name different content for `{entry.path}`",
            details=[(each.source, f"md5:{each.id}" if each.md5 else "nothing") for each in (other, entry)],
        )


def _check_overlaps(entries: dict[str, DvcEntry]) -> None:
    for path, entry in entries.items():
        parent = posixpath.dirname(path)
        while parent:
            if parent in entries:
                raise ProjectError(
                    f"`{path}` lies within `{parent}`, and DVC tracks both",
                    details=[(each.path, f"`{each.source}`") for each in (entry, entries[parent])],
                )
            parent = posixpath.dirname(parent)


def _config_files(root: Path) -> Iterable[Path]:
    """The layers, weakest first, where DVC looks for them (platformdirs)."""
    home = Path.home()
    if sys.platform == "darwin":
        system, user = Path("/Library/Application Support"), home / "Library/Application Support"
    else:
        system = Path((os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)[0])
        user = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    own = root.absolute() / ".dvc"
    return (
        Path(os.environ.get("DVC_SYSTEM_CONFIG_DIR") or system / "dvc") / "config",
        Path(os.environ.get("DVC_GLOBAL_CONFIG_DIR") or user / "dvc") / "config",
        own / "config",
        own / "config.local",
    )


def _read_config_file(path: Path) -> dict[str, dict[str, str]]:
    """Sections of an INI file as DVC writes them; paths in it made absolute."""
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"cannot read `{path}`: {getattr(error, 'strerror', None) or error}") from error
    sections: dict[str, dict[str, str]] = {}
    values: dict[str, str] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.strip()
        if not content or content.startswith(("#", ";")):
            continue
        if match := _SECTION.match(content):
            values = sections.setdefault(match["name"].strip().lower(), {})
            continue
        name, equals, value = content.partition("=")
        if values is None or not equals:
            raise ProjectError(f"`{path}`, line {number}: this is neither a section nor `name = value`")
        values[name.strip().lower()] = _value(value)
    for section, found in sections.items():
        for name in ("url",) if section.startswith("remote") else ("dir",) if section == "cache" else ():
            if name in found:
                found[name] = _absolute(found[name], path.parent)
    return sections


def _value(text: str) -> str:
    text = text.strip()
    if text[:1] in ("'", '"') and text.find(text[0], 1) > 0:
        return text[1 : text.index(text[0], 1)]
    return text.partition("#")[0].strip()


def _absolute(text: str, folder: Path) -> str:
    if re.match(r"\w+://", text):
        return text
    return os.path.normpath(folder.absolute() / Path(text).expanduser())


def _remote(name: str, values: dict[str, str], every: dict[str, dict[str, str]]) -> DvcRemote:
    address = values["url"]
    for _ in range(len(every)):  # remote://other/path builds on another remote
        match = re.fullmatch(r"remote://(?P<name>[^/]+)/?(?P<rest>.*)", address)
        base = every.get(match["name"].lower(), {}).get("url") if match else None
        if match is None or base is None:
            break
        address = base.rstrip("/") + "/" + match["rest"]
    scheme = address.partition("://")[0].lower() if "://" in address else ""
    if scheme in ("", "file"):
        place = address.removeprefix("file://")
        problem = _versioning(values)
        return DvcRemote(name=name, kind="local", address=place, shown=place, unusable=problem)
    is_http = scheme in ("http", "https")
    headers, problem = _headers(values) if is_http else ({}, f"`{scheme}` needs DVC itself")
    parts = urllib.parse.urlsplit(address)
    if is_http and parts.username is not None:  # urllib takes no credentials within an address
        user, password = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
        headers = {"Authorization": _basic(user, password), **headers}
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return DvcRemote(
        name=name,
        kind="http" if is_http else "other",
        address=address,
        shown=without_secrets(address),
        headers=headers,
        unusable=_versioning(values) or problem,
    )


def _versioning(values: dict[str, str]) -> str | None:
    for name in ("version_aware", "worktree"):
        if values.get(name, "").lower() in ("true", "yes", "1", "on"):
            return f"it is a {name} remote: it keeps files by name and version, not by digest"
    return None


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _headers(values: dict[str, str]) -> tuple[dict[str, str], str | None]:
    """The headers that a remote's settings ask for, or why it must be left to DVC."""
    kind, user, password = values.get("auth"), values.get("user"), values.get("password")
    if values.get("ssl_verify", "true").lower() not in ("true", "yes", "1", "on"):
        return {}, "it has its own `ssl_verify`"
    if kind is None:
        return {}, None
    if password is None:
        return {}, "it asks for a password"
    if kind.lower() == "basic" and user is not None:
        return {"Authorization": _basic(user, password)}, None
    if kind.lower() == "custom" and values.get("custom_auth_header"):
        return {values["custom_auth_header"]: password}, None
    return {}, f"its authentication `{kind}` needs DVC itself"
