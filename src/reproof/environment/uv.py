"""The uv program: found beside us, run without the user's surprises, its complaints translated."""

from __future__ import annotations

import errno
import functools
import os
import re
import sys
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from reproof.base.git import without_secrets
from reproof.base.programs import Completed, call
from reproof.errors import EnvironmentBuildError

#: Variables of uv that say where packages come from and how to reach it. All others, which would
#: change what is installed or how (UV_LINK_MODE, UV_NO_VERIFY_HASHES, UV_PROJECT_ENVIRONMENT ...),
#: are not handed on.
_KEPT = re.compile(
    r"UV_(CACHE_DIR|CONFIG_FILE|DEFAULT_INDEX|INDEX(_.+)?|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|KEYRING_PROVIDER"
    r"|NATIVE_TLS|SYSTEM_CERTS|OFFLINE|HTTP_.+|REQUEST_TIMEOUT|CONCURRENT_.+|INSECURE_HOST|CREDENTIALS_DIR"
    r"|PYTHON_INSTALL_DIR|TORCH_BACKEND|EXCLUDE_NEWER)"
)

_MISMATCH = re.compile(
    r"Hash mismatch for `(?P<what>[^`]+)`\s+Expected:\s+(?P<expected>.*?)\s+Computed:\s+(?P<got>(?:\w+:\w+\s*)+)",
    re.DOTALL,
)
_NO_WHEEL = re.compile(
    r"`?(?P<what>[\w.\-]+(?:==[^\s`]+)?)`? (?:has no usable wheels|can't be installed because it is marked as `--no-build`)"
)
_OTHER = re.compile(r"(?P<what>[\w.\-]+==\S+) has no wheels with a matching")
_ABSENT = re.compile(r"there is no version of (?P<what>[\w.\-]+==\S+)")
_UNKNOWN = re.compile(r"(?P<what>[\w.\-]+) was not found in the (?:package registry|provided)")
_YANKED = re.compile(r"(?P<what>[\w.\-]+==\S+) was yanked(?: \(reason: (?P<why>[^)]*)\))?")
#: What uv warns of where a lock names a release that its publisher withdrew.
_TAKEN_ALL_THE_SAME = re.compile(r"`(?P<what>[\w.\-]+==\S+)` is yanked(?: \(reason: \"(?P<why>.*)\"\))?")
_REFUSED = re.compile(
    r"An index URL \((?P<where>[^)]+)\) (?:could not be queried due to a lack of valid authentication credentials"
    r"|returned a `?403 Forbidden`? error)"
)
#: How the way out of a package that is not to be had any more begins.
_ELSEWHERE = (
    "name an index that has it in UV_EXTRA_INDEX_URL, or verify from a bundle with its packages, "
    "which `reproof export` writes where the run can still be made"
)
_BUILD = re.compile(r"Failed to build `(?P<what>[^`]+)`")
_FULL = (f"(os error {errno.ENOSPC})", f"(os error {errno.EDQUOT})")
_OFFLINE = ("network was disabled", "network connectivity is disabled")


def find_uv() -> Path:
    """The uv program that was installed with reproof.

    Raises:
        EnvironmentBuildError: The package `uv` has lost its program.
    """
    from uv import find_uv_bin

    try:
        return Path(find_uv_bin())
    except FileNotFoundError as error:
        raise EnvironmentBuildError(
            "cannot find the program of the package `uv`", hint="pip install --force-reinstall uv"
        ) from error


def uv_environment(**changes: str) -> dict[str, str]:
    """Our environment variables as uv may see them: its sources of packages, none of its other switches.

    Args:
        changes: Variables set on top.
    """
    env = {
        name: value
        for name, value in os.environ.items()
        if (not name.startswith("UV_") or _KEPT.fullmatch(name))
        and name not in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME")
    }
    # COLUMNS: uv breaks its lines at the width of a terminal, also where there is none
    env.update(UV_PYTHON_DOWNLOADS="never", UV_NO_PROGRESS="1", NO_COLOR="1", COLUMNS="1000", **changes)
    return env


def run_uv(
    *arguments: str | Path, cwd: Path, env: dict[str, str] | None = None, stdin: bytes | None = None
) -> Completed:
    """Run uv in `cwd` and hand back what it said; a failure is not raised.

    Args:
        arguments: Command and options.
        cwd: Where relative paths start and uv looks for its settings.
        env: Variables; :func:`uv_environment` by default.
        stdin: What it reads.
    """
    return call([find_uv(), *arguments], cwd=cwd, env=uv_environment() if env is None else env, stdin=stdin)


def choices(groups: Sequence[str] | None, extras: Sequence[str]) -> list[str]:
    """The options of ``uv sync`` and ``uv export`` for dependency groups (None for uv's defaults) and extras."""
    words = [] if groups is None else ["--no-default-groups"]
    for option, names in (("--group", groups or ()), ("--extra", extras)):
        words += [word for name in names for word in (option, name)]
    return words


def explain(done: Completed, what: str, source: str) -> EnvironmentBuildError:
    """The error that a failed uv command deserves.

    Args:
        done: The failed command.
        what: What was to be done, as in "cannot ...".
        source: The file of the project that asked for it.
    """
    words = without_secrets(done.stderr.decode("utf-8", "replace"))
    if any(sign in words for sign in _FULL):
        return disk_is_full(what, [("source", source), ("uv", _last_lines(words))])
    if match := _MISMATCH.search(words):
        return _hash_error(match, source)
    if match := _NO_WHEEL.search(words):
        return EnvironmentBuildError(
            f"`{match['what']}` has no wheel for this Python and platform, and building it was refused",
            details=[("source", source), ("uv", _last_lines(words))],
        )
    if match := _OTHER.search(words):
        return EnvironmentBuildError(
            f"`{match['what']}` has no file for this Python and platform",
            details=[("source", source), ("uv", _last_lines(words))],
        )
    if match := _REFUSED.search(words):
        return _no_access(match["where"], words, source)
    if match := _YANKED.search(words):
        return EnvironmentBuildError(
            f"`{match['what']}` was yanked: {match['why'] or 'no reason is given'}",
            details=[("source", source), ("uv", _last_lines(words))],
            hint=f"name another version, or this one exactly: `{match['what']}`",
        )
    if match := _ABSENT.search(words) or _UNKNOWN.search(words):
        return EnvironmentBuildError(
            f"`{match['what']}` is in none of the indexes: removed, yanked, or never there",
            details=[("source", source), ("uv", _last_lines(words))],
            hint=_way_to_a_package(what),
        )
    if match := _BUILD.search(words):
        return EnvironmentBuildError(
            f"cannot build `{without_secrets(match['what'])}` from source",
            details=[("source", source), ("uv", _last_lines(words))],
            hint="the output of the build is above; a wheel, or the system packages that it asks for, would cure it",
        )
    if any(sign in words for sign in _OFFLINE):
        return EnvironmentBuildError(
            f"cannot {what} offline: packages are missing from uv's cache",
            details=[("source", source), ("uv", _last_lines(words))],
            hint="run it once without `--offline`, or with UV_OFFLINE unset",
        )
    return EnvironmentBuildError(f"cannot {what}", details=[("source", source), ("uv", _last_lines(words))])


def _way_to_a_package(what: str) -> str:
    """Where a package that no index has may be had; uv does not read what pip was told."""
    if (told := _index_of_pip()) is not None:
        return f"pip's own settings name an index ({told}), which uv does not read: name it in UV_EXTRA_INDEX_URL"
    return _ELSEWHERE if what.startswith("install") else "name an index that has it in UV_EXTRA_INDEX_URL"


def _index_of_pip() -> str | None:
    """What tells pip of an index other than the public one: a variable or a file, never the address itself."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        if os.environ.get(name):
            return name
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    named = os.environ.get("PIP_CONFIG_FILE")
    files = [*([Path(named)] if named else []), config / "pip/pip.conf", Path.home() / ".pip/pip.conf"]
    for file in (*files, Path("/etc/pip.conf")):
        try:
            if "index-url" in file.read_text("utf-8", "replace"):
                return f"`{file}`"
        except OSError:
            continue
    return None


def yanked(done: Completed) -> list[str]:
    """Releases that were installed as the lock names them though their publisher withdrew them: a line for each."""
    words = done.stderr.decode("utf-8", "replace")
    return [
        f"`{match['what']}` was yanked by its publisher: {match['why'] or 'no reason is given'}"
        for match in _TAKEN_ALL_THE_SAME.finditer(words)
    ]


def lacks_a_package(done: Completed) -> bool:
    """Whether uv says that it found no trace of a package, which may be for want of a password."""
    words = done.stderr.decode("utf-8", "replace")
    return _UNKNOWN.search(words) is not None and _REFUSED.search(words) is None


def _no_access(index: str, words: str, source: str) -> EnvironmentBuildError:
    """The error for an index that wants a login, or another one."""
    place = without_secrets(index)
    host = urllib.parse.urlsplit(place).hostname or place
    absent = _UNKNOWN.search(words)
    what = f"`{absent['what']}` cannot be had" if absent else "packages cannot be had"
    return EnvironmentBuildError(
        f"{what}: the index `{place}` refuses access",
        details=[("source", source), ("uv", _last_lines(words))],
        hint=f"add `machine {host} login USER password PASSWORD` to ~/.netrc, or run `uv auth login {place}`",
    )


def disk_is_full(what: str, details: Sequence[tuple[str, str]]) -> EnvironmentBuildError:
    """The error for a disk, or a quota, that leaves no room for `what` is to be done."""
    return EnvironmentBuildError(
        f"cannot {what}: the disk is full",
        details=details,
        hint="free some space, or let REPROOF_CACHE_DIR and UV_CACHE_DIR name folders on another disk",
    )


def _hash_error(match: re.Match[str], source: str) -> EnvironmentBuildError:
    expected, got = (" ".join(match[part].split()) for part in ("expected", "got"))
    return EnvironmentBuildError(
        f"hash mismatch: `{match['what']}` is not the file that the lock names",
        details=[("source", source), ("expected", expected), ("got", got)],
        hint="if the new file is wanted, lock again; if not, find out who changed the package",
    )


def _last_lines(words: str, count: int = 16) -> str:
    lines = [line for line in words.strip().splitlines() if line.strip() and not line.startswith("Using ")]
    return "\n".join(lines[-count:])


def cache_folder() -> Path:
    """Folder of uv's package cache (it need not exist)."""
    if named := os.environ.get("UV_CACHE_DIR"):
        return Path(named).expanduser().absolute()
    return Path(run_uv("cache", "dir", cwd=Path("/")).text.strip())


@functools.cache
def default_index() -> str | None:
    """The address that uv asks where nothing names an index, without a final slash; None if it does not tell.

    It is read from what ``--emit-index-url`` adds to the resolution of nothing.
    """
    env = {name: value for name, value in uv_environment().items() if not name.startswith("UV_")}
    quiet = ("--offline", "--no-cache", "--no-config", "--no-header", "--quiet", "--python", sys.executable)
    done = run_uv("pip", "compile", *quiet, "--emit-index-url", "-", cwd=Path("/"), env=env, stdin=b"")
    option, _, address = done.text.strip().partition(" ")
    return address.rstrip("/") if option == "--index-url" else None
