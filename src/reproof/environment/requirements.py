"""Requirements files read into one text: files they refer to expanded, credentials left out.

The format is pip's: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from reproof.errors import ProjectError

_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s*--hash[= ]\s*(?P<hash>\w+:[0-9a-fA-F]+)")
_COMMIT = re.compile(r"git\+.*@[0-9a-f]{40}(#|\s|;|$)")
_EXTRAS = re.compile(r"\[[^\]]*\]")
_NAME = re.compile(r"\s*(?P<name>[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*")
_PINNED = re.compile(r"===?\s*(?P<version>[^\s;,*]+)\s*(;|$)")
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z0-9_]+)\}")
_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<who>[^/@\s]+)@", re.IGNORECASE)

#: Options that name a place to take packages from: their short and long forms.
_INDEXES = {"-i", "--index-url", "--extra-index-url", "-f", "--find-links"}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One logical line of a requirements file.

    Attributes:
        text: The line without hashes, comments, continuations and credentials.
        hashes: ``sha256:...`` values.
        name: Normalised name of the distribution, None where the line does not say.
        version: Version of an exact pin.
        option: The leading option (``--extra-index-url``), None for a requirement.
        path: The local folder or file that the line names.
        constraint: It comes from a constraints file.
        secret: The address with its credentials, where the line had any.
    """

    text: str
    hashes: tuple[str, ...] = ()
    name: str | None = None
    version: str | None = None
    option: str | None = None
    path: Path | None = None
    constraint: bool = False
    secret: str | None = None

    @property
    def requirement(self) -> bool:
        """It asks for a distribution."""
        return (self.option is None or self.option == "-e") and not self.constraint

    @property
    def address(self) -> bool:
        """It names the distribution's address (Git, URL), not an index's entry."""
        return " @ " in self.text or "://" in self.text.partition(";")[0] or self.option == "-e"

    @property
    def hashed(self) -> bool:
        """Nothing but one of certain files can answer it."""
        return bool(self.hashes) and (self.version is not None or self.address)

    @property
    def commit(self) -> bool:
        """It names a Git repository at a full commit id."""
        return _COMMIT.search(self.text) is not None

    @property
    def locked(self) -> bool:
        """It can mean one thing only: hashes, a commit, or a folder whose content the code's own commit decides."""
        return self.hashed or self.commit or self.path is not None

    @property
    def why_unhashed(self) -> str:
        """Why a line without hashes has none."""
        if self.path is not None:
            return "a folder of the project" if self.path.is_dir() else "a local file"
        return "from Git, locked by its commit" if self.commit else "no hash is known"

    def at(self, folder: Path) -> Line:
        """The line with its path written relative to `folder`."""
        if self.path is None:
            return self
        place = os.path.relpath(self.path, folder)
        place = place if place.startswith(".") else f"./{place}"
        body = self.text.removeprefix("-e ")
        marker = f" ;{mark}" if (mark := body.partition(";")[2]) else ""
        extras = match[0] if (match := _EXTRAS.search(body.partition(";")[0])) else ""
        prefix = "-e " if self.option == "-e" else ""
        return msgspec.structs.replace(self, text=f"{prefix}{place}{extras}{marker}")

    def render(self) -> str:
        """The line as a requirements file has it."""
        return " \\\n    ".join([self.text, *(f"--hash={value}" for value in self.hashes)])


def normalise(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lines(texts: Iterable[str], folder: Path, source: str) -> list[Line]:
    """Read requirement lines, with all files they refer to.

    Args:
        texts: Physical lines.
        folder: Where relative paths start; those in nested files start at the nested file.
        source: The file that they stand in, for messages.

    Raises:
        ProjectError: A file is missing, refers to itself, or a line cannot be read.
    """
    return list(_expand(texts, _Place(folder, source, frozenset(), False)))


class _Place(msgspec.Struct, frozen=True):
    folder: Path
    source: str
    open_files: frozenset[Path]
    constraint: bool


def logical_lines(texts: Iterable[str]) -> Iterator[str]:
    """Lines with continuations joined, without comments and empty ones."""
    joined = ""
    for text in texts:
        if text.rstrip().endswith("\\") and not text.lstrip().startswith("#"):
            joined += text.rstrip()[:-1] + " "
            continue
        line = _COMMENT.sub("", joined + text).strip()
        joined = ""
        if line:
            yield line
    if joined.strip():
        yield _COMMENT.sub("", joined).strip()


def _expand(texts: Iterable[str], place: _Place) -> Iterator[Line]:
    for text in logical_lines(texts):
        option, value = _split_option(text)
        if option in ("-r", "--requirement", "-c", "--constraint"):
            constraint = place.constraint or option in ("-c", "--constraint")
            yield from _nested(value, place, constraint=constraint)
        elif option is not None and option not in ("-e", "--editable"):
            yield _option_line(option, value)
        else:
            yield _requirement(value if option else text, place, editable=option is not None)


def _split_option(text: str) -> tuple[str | None, str]:
    """Option and value of ``-r file``, ``-rfile``, ``--requirement=file``; (None, text) for a requirement."""
    if not text.startswith("-"):
        return None, text
    if text.startswith("--"):
        option, _, value = (
            text.replace("=", " ", 1).partition(" ")
            if "=" in text.split(maxsplit=1)[0]
            else text.partition(" ")
        )
        return option, value.strip()
    return text[:2], text[2:].lstrip(" =")


def _nested(value: str, place: _Place, *, constraint: bool) -> Iterator[Line]:
    path = (place.folder / _expand_variables(value)).resolve()
    if path in place.open_files:
        raise ProjectError(f"`{value}` refers to itself", details=[("in", place.source)])
    try:
        texts = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ProjectError(
            f"cannot read the requirements file `{value}`: {reason}", details=[("named in", place.source)]
        ) from error
    inner = _Place(path.parent, path.name, place.open_files | {path}, constraint)
    yield from _expand(texts, inner)


def _option_line(option: str, value: str) -> Line:
    if option not in _INDEXES:
        return Line(text=f"{option} {value}".strip(), option=option)
    full = _expand_variables(value)
    bare = without_userinfo(value)
    long = {"-i": "--index-url", "-f": "--find-links"}.get(option, option)
    return Line(text=f"{long} {bare}", option=long, secret=full if full != bare else None)


def _requirement(text: str, place: _Place, *, editable: bool) -> Line:
    hashes = tuple(match["hash"].lower() for match in _HASH.finditer(text))
    body = _HASH.sub("", text).strip()
    body, _, _options = body.partition(" --")  # per-requirement options of old pip (--global-option)
    bare = without_userinfo(body)
    path = _local_path(body, place.folder)
    match = _NAME.match(body)
    named = (
        match is not None and path is None and (match.end() == len(body) or body[match.end()] in "=<>!~;@(")
    )
    rest = body[match.end() :] if match else ""
    pinned = _PINNED.match(rest.lstrip("( ")) if named else None
    return Line(
        text=f"-e {bare}" if editable else bare,
        hashes=hashes,
        name=normalise(match["name"]) if match and named else None,
        version=pinned["version"].rstrip(")") if pinned else None,
        option="-e" if editable else None,
        path=path,
        constraint=place.constraint,
        secret=_expand_variables(body) if bare != body else None,
    )


def _local_path(body: str, folder: Path) -> Path | None:
    """The file or folder that a requirement names: ``./lib``, ``file:lib``, ``lib @ file:///lib``."""
    text = body.partition(" @ ")[2] or body
    text = text.partition(";")[0].partition("#")[0].strip()
    if text.startswith("file:"):
        return (folder / re.sub(r"^file:(//)?", "", text)).resolve()
    if "://" in text:
        return None
    text = re.sub(r"\[[^\]]*\]$", "", text)
    is_path = text.startswith((".", "/", "~")) or "/" in text
    return (folder / os.path.expanduser(text)).resolve() if is_path else None  # noqa: PTH111 - a relative path stays so


def without_userinfo(text: str) -> str:
    """Addresses in `text` without what stands before the ``@``, except the ``git`` of SSH."""
    return _USERINFO.sub(lambda match: match[0] if match["who"] == "git" else match["scheme"], text)


def _expand_variables(text: str) -> str:
    """``${NAME}`` replaced as pip does; unset ones stay."""
    return _VARIABLE.sub(lambda match: os.environ.get(match["name"], match[0]), text)
