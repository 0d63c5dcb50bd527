"""What this machine offers, and what each missing thing means for a run or a verdict."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from reproof.base.containers import find_engine
from reproof.base.locations import cache_directory
from reproof.base.programs import call, find
from reproof.environment.python import all_pythons
from reproof.environment.uv import find_uv
from reproof.errors import ReproofError
from reproof.execute import bubblewrap, docker
from reproof.model.finding import Finding


def examine() -> list[Finding]:
    """Try everything that reproof can use, for real, and say what came of it."""
    return [
        _system(),
        _program("git", "nothing can be recorded: code is identified by commits", required=True),
        _uv(),
        _pythons(),
        _bubblewrap(),
        _program("dvc", "only needed for remotes other than folders and http(s)", required=False),
        _docker(),
        _inotify(),
        _cache(),
    ]


def _system() -> Finding:
    supported = sys.platform == "linux"
    return Finding(
        name="system",
        ok=supported,
        value=f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        meaning="" if supported else "native reads, loaded libraries and bubblewrap are not available",
    )


def _program(name: str, meaning: str, *, required: bool) -> Finding:
    path = find(name)
    if path is None:
        return Finding(name=name, ok=False, required=required, value="not found", meaning=meaning)
    try:
        version = call([path, "--version"], timeout=30).text.strip().splitlines()
    except ReproofError as error:
        return Finding(name=name, ok=False, required=required, value=str(path), meaning=error.message)
    return Finding(name=name, ok=True, required=required, value=f"{version[0] if version else '?'} ({path})")


def _uv() -> Finding:
    try:
        program = find_uv()
        version = call([program, "--version"], timeout=30).text.strip()
    except ReproofError as error:
        return Finding(name="uv", ok=False, required=True, value="not found", meaning=error.message)
    return Finding(name="uv", ok=True, required=True, value=f"{version} ({program})")


def _pythons() -> Finding:
    found = sorted({python.version for python in all_pythons()}, key=_version_key)
    return Finding(
        name="python",
        ok=bool(found),
        required=True,
        value=", ".join(found) or "none",
        meaning="" if found else "no environment can be made",
    )


def _version_key(version: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part) if part.isdigit() else -1, part) for part in version.split("."))


def _bubblewrap() -> Finding:
    reason = bubblewrap.probe()
    if reason is None:
        return Finding(name="bubblewrap", ok=True, value="works")
    return Finding(
        name="bubblewrap",
        ok=False,
        value=reason,
        meaning="re-runs are isolated by `process` only: what they write elsewhere is noticed, not prevented",
    )


def _docker() -> Finding:
    reason = docker.probe()
    if reason is None:
        return Finding(name="docker", ok=True, value=f"works, through `{find_engine().name}`")
    return Finding(
        name="docker",
        ok=False,
        value=reason,
        meaning="projects with `docker_env` cannot run, and `--isolation docker` cannot be had",
    )


def _inotify() -> Finding:
    limit = Path("/proc/sys/fs/inotify/max_user_watches")
    try:
        value = int(limit.read_text())
    except (OSError, ValueError):
        return Finding(
            name="inotify", ok=False, value="not found", meaning="files opened by native code are not seen"
        )
    return Finding(name="inotify", ok=True, value=f"{value:,} folders can be watched")


def _cache() -> Finding:
    place = cache_directory()
    existing = next(parent for parent in (place, *place.parents) if parent.exists())
    writable = os.access(existing, os.W_OK)
    free = os.statvfs(existing)
    return Finding(
        name="cache",
        ok=writable,
        required=True,
        value=f"{place}, {free.f_bavail * free.f_frsize / 1e9:.0f} GB free",
        meaning="" if writable else "cannot be written; set REPROOF_CACHE_DIR",
    )
