"""Locks of uv's own kinds, taken as they stand: uv.lock and pylock.toml."""

from __future__ import annotations

from reproof.base.git import without_secrets
from reproof.base.programs import Completed, pasteable
from reproof.environment.documents import parse_toml, read_text
from reproof.environment.requirements import without_userinfo
from reproof.environment.uv import run_uv
from reproof.environment.values import Interpreter, LockSource, LockText
from reproof.errors import EnvironmentBuildError


def pylock(source: LockSource) -> LockText:
    """A pylock.toml.

    Raises:
        ProjectError: It is missing or cannot be read.
    """
    text = without_userinfo(read_text(source.folder / source.file))
    return LockText(
        format="pylock.toml",
        text=text,
        source=source.file,
        unhashed=_unhashed_of_pylock(text, source.file),
    )


def uv_lock(source: LockSource, python: Interpreter, *, offline: bool) -> LockText:
    """A uv.lock, which uv itself finds to fit the project.

    Raises:
        ProjectError: It is missing or cannot be read.
        EnvironmentBuildError: It contradicts pyproject.toml.
    """
    path = source.folder / source.file
    text = read_text(path)
    command = ["lock", "--check", "--python", str(python.path), "--project", str(path.parent)]
    done = run_uv(*command, "--offline", cwd=source.folder)
    if not done.ok and not offline:
        done = run_uv(*command, cwd=source.folder)
    undecided = offline and b"network was disabled" in done.stderr
    if not done.ok and not undecided:
        raise EnvironmentBuildError(
            "the lock does not match pyproject.toml",
            details=[("lock", source.file), ("uv", _reason(done))],
            hint=f"run `{pasteable('uv lock', source.folder)}`",
        )
    return LockText(
        format="uv.lock", text=text, source=source.file, unhashed=_unhashed_of_uv_lock(text, source.file)
    )


def _reason(done: Completed) -> str:
    """What uv complains of, without how it went about it and without its own hint."""
    complaint = without_secrets(done.stderr.decode("utf-8", "replace"))
    words = complaint[complaint.find("error: ") + len("error: ") :] if "error: " in complaint else complaint
    return words.partition("\nhint: ")[0].strip()


def _unhashed_of_uv_lock(text: str, name: str) -> tuple[str, ...]:
    found = []
    for package in parse_toml(text, name).get("package", []):
        source = package.get("source", {})
        if place := source.get("directory") or source.get("editable") or source.get("path"):
            found.append(f"{package.get('name')}: from the folder `{place}` of the project")
        elif "git" in source:
            found.append(f"{package.get('name')}: from Git, locked by its commit")
    return tuple(found)


def _unhashed_of_pylock(text: str, name: str) -> tuple[str, ...]:
    found = []
    for package in parse_toml(text, name).get("packages", []):
        if "directory" in package:
            found.append(
                f"{package.get('name')}: from the folder `{package['directory'].get('path')}` of the project"
            )
        elif "vcs" in package:
            found.append(f"{package.get('name')}: from Git, locked by its commit")
    return tuple(found)
