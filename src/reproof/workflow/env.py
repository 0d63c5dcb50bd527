"""`env`: the environment of a recorded run, shown, made again, compared, handed to other tools."""

from __future__ import annotations

from pathlib import Path

from reproof.base import git
from reproof.base.naming import Naming
from reproof.compare.records import compare_set_ups
from reproof.environment import exports
from reproof.environment.images import generated_dockerfile
from reproof.environment.requirements import read_lines
from reproof.errors import EnvironmentBuildError, UsageError
from reproof.model.difference import Difference, combine
from reproof.model.event import Emit
from reproof.model.record import Lock
from reproof.report.environment import render_cyclonedx
from reproof.store.records import Found
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
    return provide_again(
        Original(
            section=section,
            store=place.store,
            naming=Naming(top=str(place.top), home=str(Path.home())),
            folder=folder,
            top=place.top,
            target=target.absolute(),
            offline=offline,
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
        base: For a Dockerfile, the image that it builds on, by digest.

    Raises:
        UsageError: The form needs a lock, and there is none.
        EnvironmentBuildError: The lock cannot be read.
    """
    found = find_record(reference)
    if form == "cyclonedx":
        return render_cyclonedx(found.id, found.record)
    lock, text = _lock(found)
    project = _project_file(found)
    if form == "pylock":
        python = found.record.environment.python
        return exports.pylock(lock, text, project, python.version if python else "3.11")
    lines = exports.requirements(lock, text, project)
    if form == "requirements":
        return lines
    outside = [line.text for line in read_lines(lines.splitlines(), Path("/"), lock.source) if line.path]
    if outside:
        raise EnvironmentBuildError(
            f"cannot write a Dockerfile: `{outside[0]}` is a folder of the project",
            hint="add a Dockerfile of your own, and pass `--env-manager docker` to `run`",
        )
    python = found.record.environment.python
    return generated_dockerfile(base or f"python:{python.version if python else '3.11'}-slim", lines)


def _lock(found: Found) -> tuple[Lock, str]:
    lock = found.record.environment.lock
    if lock is None or lock.artifact.digest is None:
        raise UsageError(
            f"the environment of record `{found.id[:12]}` has no lock",
            hint="pass `--format cyclonedx` to list what was installed",
        )
    return lock, place_of(found).store.get_bytes(lock.artifact.digest).decode()


def _project_file(found: Found) -> bytes | None:
    """The pyproject.toml of the recorded commit."""
    below = found.record.project.subdirectory
    name = f"{below}/pyproject.toml" if below else "pyproject.toml"
    done = git.git(place_of(found).top, "show", f"{found.record.code.commit}:{name}")
    return done.stdout if done.ok else None
