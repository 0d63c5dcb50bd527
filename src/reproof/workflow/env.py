"""`env`: the environment of a recorded run, shown, made again, compared, handed to other tools."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from reproof.base import git
from reproof.base.naming import Naming
from reproof.compare.records import compare_set_ups
from reproof.environment import exports
from reproof.environment.images import known_name
from reproof.environment.uv import choices
from reproof.environment.values import LockText
from reproof.errors import EnvironmentBuildError, UsageError
from reproof.model.artifact import Artifact
from reproof.model.difference import Difference, combine
from reproof.model.event import Emit
from reproof.model.record import Lock
from reproof.project.settings import EnvironmentSettings, read_settings
from reproof.report.environment import render_cyclonedx
from reproof.store.records import Found
from reproof.workflow.imaged import dockerfile
from reproof.workflow.lookup import find_record, place_of
from reproof.workflow.provision import Original, Provision, provide_again
from reproof.workflow.trust import is_own

FORMATS = ("requirements", "pylock", "dockerfile", "cyclonedx")


def make(
    reference: str, target: Path, emit: Emit, *, offline: bool = False, trust: bool = False
) -> Provision:
    """Make the environment of a record in a folder of the user's choice.

    What the lock takes from the project's folder is taken from the work tree.

    Raises:
        EnvironmentBuildError: It has no lock, or cannot be made.
        RecordError: There is no such record.
    """
    found = find_record(reference)
    place = place_of(found)
    section = found.record.environment
    if section.kind != "uv":
        raise EnvironmentBuildError(
            f"cannot make the environment of record `{found.id[:12]}`: it has no lock",
            details=[("recorded", "an image" if section.kind == "docker" else "the user's own environment")],
        )
    folder = place.top / found.record.project.subdirectory
    settings = _settings(found)
    return provide_again(
        Original(
            section=section,
            store=place.store,
            naming=Naming(top=str(place.top), home=str(Path.home())),
            folder=folder,
            top=place.top,
            target=target.absolute(),
            offline=offline,
            groups=settings.groups,
            extras=settings.extras,
            trusted=trust or is_own(found.id),
        ),
        emit,
    )


def differences(a: str, b: str) -> Difference:
    """How the environments of two records differ; a tree with a branch for each factor.

    Raises:
        RecordError: There is no such record.
    """
    first, second = find_record(a), find_record(b)
    factors = [item for item in compare_set_ups(first.record, second.record) if item.subject == "environment"]
    return combine(
        f"{first.id[:12]} -> {second.id[:12]}",
        factors,
        kind="records",
        summary=factors[0].summary if factors else "the same environment",
    )


def export(reference: str, form: str, base: str | None) -> str:
    """The environment of a record in the form of another tool.

    Args:
        reference: Names the record.
        form: One of :data:`FORMATS`.
        base: For a Dockerfile, the image that it builds on; None for what the settings of the recorded commit
            name, else for the official image of the recorded Python.

    Raises:
        UsageError: The form needs a lock, and there is none.
        EnvironmentBuildError: The lock cannot be read.
    """
    found = find_record(reference)
    if form == "cyclonedx":
        return render_cyclonedx(found.id, found.record)
    image = found.record.environment.image
    if form == "dockerfile" and image is not None and image.built_from is not None:
        return _kept(found, image.built_from)
    lock, text = _lock(found)
    project = _file_of_commit(found, "pyproject.toml")
    settings = _settings(found)
    options = choices(settings.groups, settings.extras)
    if form == "dockerfile":
        whole = _lock_of_image(lock, text)
        name = known_name(base or settings.base_image or f"python:{_python(found)}-slim")
        return dockerfile(name, whole, options)
    if form == "pylock":
        return exports.pylock(lock, text, project, _python(found), options)
    return exports.requirements(lock, text, project, options)


def _lock_of_image(lock: Lock, text: str) -> LockText:
    """What an image is made from: the lock as it stands, a pylock.toml as requirements."""
    form = lock.format
    if form == "pylock.toml":
        form, text = "requirements", exports.requirements(lock, text, None)
    return LockText(format=form, text=text, source=lock.source)  # type: ignore[arg-type]  # the record's schema is wider


def _python(found: Found) -> str:
    python = found.record.environment.python
    return python.version if python else "3.11"


def _lock(found: Found) -> tuple[Lock, str]:
    lock = found.record.environment.lock
    if lock is None or lock.artifact.digest is None:
        raise UsageError(
            f"the environment of record `{found.id[:12]}` has no lock",
            hint="pass `--format cyclonedx` to list what was installed",
        )
    return lock, _kept(found, lock.artifact)


def _kept(found: Found, artifact: Artifact) -> str:
    assert artifact.digest is not None
    return place_of(found).store.get_bytes(artifact.digest).decode()


def _settings(found: Found) -> EnvironmentSettings:
    """What the recorded commit says of the environment: the nearest table `[tool.reproof]`, as for a run."""
    with tempfile.TemporaryDirectory(prefix="reproof-settings-") as place:
        top = Path(place)
        for folder in _folders(found):
            data = _file_of_commit(found, "pyproject.toml", folder)
            if data is not None:
                (top / folder).mkdir(parents=True, exist_ok=True)
                (top / folder / "pyproject.toml").write_bytes(data)
        return read_settings(top / found.record.project.subdirectory, top).environment


def _folders(found: Found) -> Iterator[PurePosixPath]:
    """The project's folder and those above it, up to the top of the repository."""
    own = PurePosixPath(found.record.project.subdirectory)
    yield own
    yield from own.parents


def _file_of_commit(found: Found, name: str, folder: PurePosixPath | None = None) -> bytes | None:
    """A file of the recorded commit, in the project's folder if no other is named."""
    below = PurePosixPath(found.record.project.subdirectory) if folder is None else folder
    done = git.git(place_of(found).top, "show", f"{found.record.code.commit}:{below / name}")
    return done.stdout if done.ok else None
