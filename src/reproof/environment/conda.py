"""Packages of Conda: what a prefix says is installed, and whether its files are still what was installed.

``PREFIX/conda-meta/NAME-VERSION-BUILD.json`` describes a package and, since Conda 4.3, each of its files with the
digest that it has in this prefix (conda's documentation, "conda-meta"; `PrefixRecord` in its source).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from reproof.base.digesting import new_digester
from reproof.environment.installed import max_workers
from reproof.environment.requirements import without_userinfo
from reproof.model.conda import CondaPackage

_META = "conda-meta"
_CHUNK = 1 << 18
_TOKEN = re.compile(r"/t/[^/]+(?=/)")
_LISTED = 5
_NOTHING = hashlib.sha256().hexdigest()


class _File(msgspec.Struct):
    """A file of a package; the digest in the prefix differs from the archive's where a path was written into it."""

    path: str = msgspec.field(name="_path", default="")
    path_type: str = ""
    sha256: str = ""
    sha256_in_prefix: str = ""


class _Paths(msgspec.Struct):
    paths: list[_File] = []


class _Meta(msgspec.Struct):
    name: str
    version: str
    build: str = ""
    channel: str = ""
    url: str = ""
    sha256: str = ""
    md5: str = ""
    paths_data: _Paths = msgspec.field(default_factory=_Paths)


class Check(msgspec.Struct, frozen=True):
    """What digesting the files of a prefix gave.

    Attributes:
        files: Number of files that were digested.
        changed: Files that are not what was installed, as ``path of package``.
    """

    files: int = 0
    changed: tuple[str, ...] = ()


def list_packages(prefix: Path) -> tuple[CondaPackage, ...]:
    """The packages of the prefix, by name; none where it is not Conda's. What cannot be read is left out."""
    return tuple(
        CondaPackage(
            name=meta.name,
            version=meta.version,
            build=meta.build,
            channel=_channel(meta),
            sha256=meta.sha256,
            md5=meta.md5,
        )
        for meta in sorted(_read(prefix), key=lambda meta: meta.name)
    )


def check_files(prefix: Path) -> Check:
    """Digest every file that a package of the prefix put there, in parallel; links are asked where they lead."""
    described = [(each, meta.name) for meta in _read(prefix) for each in meta.paths_data.paths]
    wanted = [item for item in described if item[0].sha256_in_prefix or item[0].sha256]
    top = os.path.realpath(prefix)
    places = {f"{top}/{each.path}": (each, name) for each, name in described}

    def look(item: tuple[_File, str]) -> bool:
        is_link = item[0].path_type == "softlink"
        return _leads_right(prefix, item, places) if is_link else _is_sound(prefix, item[0])

    with ThreadPoolExecutor(max_workers()) as pool:
        sound = list(pool.map(look, wanted))
    changed = [
        f"`{each.path}` of {name}"
        for (each, name), is_sound in zip(wanted, sound, strict=True)
        if not is_sound
    ]
    return Check(len(wanted), tuple(sorted(changed)))


def differences(recorded: tuple[CondaPackage, ...], found: tuple[CondaPackage, ...]) -> tuple[str, ...]:
    """What is installed now that was not recorded, and the reverse, a few words each."""
    before, after = ({each.name: each for each in side} for side in (recorded, found))
    return tuple(
        f"{name} {_shown(after.get(name))}, recorded {_shown(before.get(name))}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )


def variables(prefix: Path) -> dict[str, str]:
    """What activating the prefix sets, but for PATH and the variables of its packages' own scripts."""
    named = (
        "base" if (prefix / "condabin").is_dir() else prefix.name if prefix.parent.name == "envs" else prefix
    )
    return {"CONDA_PREFIX": str(prefix), "CONDA_DEFAULT_ENV": str(named)}


def summarise(lines: tuple[str, ...]) -> str:
    """The first few, and how many more there are."""
    more = [f"{len(lines) - _LISTED:,} more"] if len(lines) > _LISTED else []
    return ", ".join([*lines[:_LISTED], *more])


def _read(prefix: Path) -> list[_Meta]:
    found = []
    for path in sorted((prefix / _META).glob("*.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=_Meta))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            continue
    return found


def _channel(meta: _Meta) -> str:
    """The channel's address, from that of the package where there is one: names of channels are ambiguous."""
    address = meta.url.rpartition("/")[0].rpartition("/")[0] if "://" in meta.url else meta.channel
    return _TOKEN.sub("", without_userinfo(address.partition("?")[0]))


def _is_sound(prefix: Path, wanted: _File) -> bool:
    return _digest(prefix / wanted.path) == (wanted.sha256_in_prefix or wanted.sha256)


def _leads_right(prefix: Path, item: tuple[_File, str], places: Mapping[str, tuple[_File, str]]) -> bool:
    """Whether a link is as it was installed, as far as its digests tell.

    They are those of the link's own text (rattler, in the prefix), or of the content behind it when its package was
    made (conda-build, which has the digest of nothing for a folder and for what another package brings). A file that
    was installed as a link, where there was no other way, has that of its content.
    """
    wanted, package = item
    path = prefix / wanted.path
    digests = {wanted.sha256, wanted.sha256_in_prefix} - {""}
    try:
        text = os.fsencode(path.readlink())
    except OSError:  # gone, or no link any more
        return False
    if hashlib.sha256(text).hexdigest() in digests:
        return True
    behind, owner = places.get(os.path.realpath(path), (None, ""))
    if (
        behind is not None and not wanted.sha256_in_prefix
    ):  # which is looked at itself; its digest in the archive is what the link has
        return owner != package or behind.sha256 == wanted.sha256
    undecided = not wanted.sha256_in_prefix and (_NOTHING in digests or path.is_dir())
    return undecided or _digest(path) in digests


def _digest(path: Path) -> str | None:
    """The sha256 of a file; None where it cannot be read."""
    digester = new_digester("sha256")
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digester.update(chunk)
    except OSError:
        return None
    return str(digester.hexdigest())


def _shown(package: CondaPackage | None) -> str:
    return " ".join(filter(None, (package.version, package.build))) if package is not None else "absent"
