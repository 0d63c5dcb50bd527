"""The packages of a recorded environment as files: fetched by the hashes of its lock, nothing built."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from reproof.base.digesting import digest_file
from reproof.base.files import write_atomic
from reproof.environment.python import find_python
from reproof.environment.requirements import normalise, read_lines
from reproof.environment.uv import run_uv
from reproof.errors import EnvironmentBuildError, MaterialError
from reproof.model.record import EnvironmentSection

#: In the folder of wheels: the very files, for an installation from them alone.
REQUIREMENTS = "requirements.txt"

_WHEEL = re.compile(
    r"(?P<name>[A-Za-z0-9_.]+)-(?P<version>[A-Za-z0-9_.!+]+)(?:-\d[\w.]*)?-[\w.]+-[\w.]+-[\w.]+\.whl"
)


class Wheels(msgspec.Struct, frozen=True, kw_only=True):
    """Wheels that were fetched.

    Attributes:
        files: In order of their names.
        missing: Packages that have none, each with the reason.
    """

    files: tuple[Path, ...] = ()
    missing: tuple[str, ...] = ()


def fetch_wheels(section: EnvironmentSection, lock: str, folder: Path) -> Wheels:
    """Fetch the wheels that a recorded environment was made from, for the recorded Python on this platform.

    Args:
        section: The environment's section of the record.
        lock: The text of its lock.
        folder: Empty; receives the files.

    Raises:
        EnvironmentBuildError: The interpreter or a file is not to be had.
    """
    if section.lock is None or section.python is None:
        return Wheels(missing=("packages: the environment has no lock",))
    hashes = dict(_hashes(lock, section.lock.format))
    wanted = {normalise(each.name): each for each in section.distributions}
    lines, missing = [], []
    for name, each in sorted(wanted.items()):
        known = hashes.get(name, ())
        if each.editable or not known:
            missing.append(f"{each.name} {each.version}: {each.source or 'the lock has no hash of it'}")
            continue
        lines.append(f"{each.name}=={each.version} " + " ".join(f"--hash={value}" for value in sorted(known)))
    folder.mkdir(parents=True, exist_ok=True)
    if lines:
        _download(lines, find_python(section.python.version, like=section.python).path, folder)
    files = tuple(sorted(folder.glob("*.whl")))
    write_atomic(folder / REQUIREMENTS, _requirements(files).encode())
    return Wheels(files=files, missing=tuple(missing))


def require_locked(folder: Path, lock: str) -> str:
    """The requirements of a folder of wheels, every one a file that the lock names.

    Raises:
        MaterialError: A wheel is not what the lock names.
    """
    files = sorted(folder.glob("*.whl"))
    for file in files:
        if digest_file(file, ("sha256",))["sha256"] not in lock:
            raise MaterialError(
                f"`{file.name}` in the bundle is not a file that the recorded lock names",
                details=[("folder", str(folder))],
            )
    return _requirements(files)


def _requirements(files: tuple[Path, ...] | list[Path]) -> str:
    lines = []
    for file in files:
        match = _WHEEL.fullmatch(file.name)
        if match is None:
            raise MaterialError(f"`{file.name}` is not the name of a wheel")
        digest = digest_file(file, ("sha256",))["sha256"]
        lines.append(f"{match['name'].replace('_', '-')}=={match['version']} --hash=sha256:{digest}\n")
    return "".join(lines)


def _download(lines: list[str], python: Path, folder: Path) -> None:
    """Let pip choose and fetch the files, in the recorded interpreter: it knows tags, proxies, credentials."""
    listed = folder.parent / "wanted.txt"
    write_atomic(listed, "".join(f"{line}\n" for line in lines).encode(), durable=False)
    command = [
        "run",
        "--quiet",
        "--no-project",
        "--isolated",
        "--python",
        str(python),
        "--with",
        "pip",
        "--",
        "python",
        "-m",
        "pip",
    ]
    command += ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    command += ["--require-hashes", "--dest", str(folder), "-r", str(listed), *_indexes()]
    done = run_uv(*command, cwd=folder)
    if not done.ok:
        raise EnvironmentBuildError(
            "cannot fetch the packages of the recorded environment",
            details=[("pip", done.complaint)],
            hint="pass `--level code` for a bundle without packages",
        )


def _indexes() -> Iterator[str]:
    """What uv is told about indexes, in pip's words; pip's own settings count too."""
    for variable, option in (
        ("UV_DEFAULT_INDEX", "--index-url"),
        ("UV_INDEX_URL", "--index-url"),
        ("UV_EXTRA_INDEX_URL", "--extra-index-url"),
        ("UV_FIND_LINKS", "--find-links"),
    ):
        for value in os.environ.get(variable, "").split():
            yield from (option, value)


def _hashes(lock: str, format: str) -> Iterator[tuple[str, tuple[str, ...]]]:  # noqa: A002  # the record's word
    """The hashes that a lock has for each package, by normalised name."""
    if format == "requirements":
        found: dict[str, list[str]] = {}
        for line in read_lines(lock.splitlines(), Path(), "lock"):
            if line.name:
                found.setdefault(line.name, []).extend(line.hashes)
        yield from ((name, tuple(values)) for name, values in found.items())
        return
    document: dict[str, Any] = tomllib.loads(lock)
    for package in document.get("package" if format == "uv.lock" else "packages", []):
        values = []
        for wheel in package.get("wheels", []):
            values += [wheel["hash"]] if "hash" in wheel else []
            values += [f"sha256:{wheel['hashes']['sha256']}"] if "sha256" in wheel.get("hashes", {}) else []
        yield normalise(str(package.get("name"))), tuple(values)
