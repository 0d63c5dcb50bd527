"""Locks of uv's own kinds, taken as they stand: uv.lock and pylock.toml."""

from __future__ import annotations

from collections.abc import Collection

from reproof.base.git import without_secrets
from reproof.base.programs import Completed, pasteable
from reproof.environment.documents import parse_toml, read_text
from reproof.environment.requirements import normalise, read_lines, without_userinfo
from reproof.environment.uv import choices, default_index, explain, run_uv
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
    if path.parent.resolve() != source.folder.resolve():
        return _for_member(source, text, python)
    return LockText(
        format="uv.lock", text=text, source=source.file, unhashed=_unhashed_of_uv_lock(text, source.file)
    )


def _for_member(source: LockSource, text: str, python: Interpreter) -> LockText:
    """What the lock of a workspace has for one of its projects, as requirements: those for all others are left out."""
    words = [
        "export",
        "--frozen",
        "--offline",
        "--no-header",
        "--no-annotate",
        "--format",
        "requirements-txt",
    ]
    words += ["--project", str(source.folder), "--python", str(python.path)]
    done = run_uv(*words, *choices(source.groups, source.extras), cwd=source.folder)
    if not done.ok:
        raise explain(done, f"read the lock of the workspace for `{source.folder.name}`", source.file)
    lines = read_lines(done.text.splitlines(), (source.folder / source.file).parent, source.file)
    lines = [line.at(source.folder) for line in lines if line.requirement]
    places = _registries(text, source.file, {line.name for line in lines})
    options = read_lines([f"--extra-index-url {place}" for place in places], source.folder, source.file)
    return LockText(
        format="requirements",
        text="".join(f"{line.render()}\n" for line in (*options, *lines)),
        source=source.file,
        unhashed=tuple(f"{line.text}: {line.why_unhashed}" for line in lines if not line.hashed),
        private_indexes=tuple(line.secret for line in options if line.secret),
    )


def _registries(text: str, name: str, wanted: Collection[str | None]) -> list[str]:
    """Indexes that packages in `wanted` come from, but for the one that is asked anyway."""
    packages = parse_toml(text, name).get("package", [])
    found = (
        str(each.get("source", {}).get("registry", ""))
        for each in packages
        if normalise(str(each.get("name"))) in wanted
    )
    return [
        place for place in dict.fromkeys(found) if "://" in place and place.rstrip("/") != default_index()
    ]


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
