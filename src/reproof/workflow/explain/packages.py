"""Locks between those of two runs: the packages of A with some of those of B, each by its hashes."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from reproof.environment.exports import requirements
from reproof.environment.requirements import Line, read_lines
from reproof.model.record import Distribution, EnvironmentSection, Lock

#: Stands for all lines of a lock that name no package: addresses of indexes.
_OPTIONS = ""


def as_requirements(lock: Lock, text: str, project: bytes | None) -> str:
    """A lock as requirements with hashes; see :func:`reproof.environment.exports.requirements`.

    Raises:
        EnvironmentBuildError: uv cannot read it.
    """
    return text if lock.format == "requirements" else requirements(lock, text, project)


def mix_locks(before: str, after: str, chosen: AbstractSet[str]) -> str:
    """The lock of A with the packages in `chosen` as in that of B.

    Args:
        before: Requirements with hashes.
        after: Those of B.
        chosen: Normalised names; those that B does not have are left out.
    """
    one, two = _by_name(before), _by_name(after)
    options = list(dict.fromkeys(line.text for lines in (one, two) for line in lines.get(_OPTIONS, [])))
    parts = []
    for name in sorted({*one, *two} - {_OPTIONS}):
        parts += (two if name in chosen else one).get(name, [])
    return "".join(f"{text}\n" for text in (*options, *(line.render() for line in parts)))


def mix_distributions(
    before: Sequence[Distribution], after: Sequence[Distribution], chosen: AbstractSet[str]
) -> tuple[Distribution, ...]:
    """What is installed from a mixed lock."""
    one, two = ({each.name: each for each in side} for side in (before, after))
    names = sorted({*one, *two})
    found = [(two if name in chosen else one).get(name) for name in names]
    return tuple(each for each in found if each is not None)


def differing(
    before: EnvironmentSection, after: EnvironmentSection
) -> dict[str, tuple[str | None, str | None]]:
    """Packages that are not the same on both sides: their versions, and of equal versions what else differs."""
    one, two = ({each.name: each for each in side.distributions} for side in (before, after))
    found: dict[str, tuple[str | None, str | None]] = {}
    for name in sorted({*one, *two}):
        left, right = one.get(name), two.get(name)
        if left is None or right is None or left.version != right.version:
            found[name] = _version(left), _version(right)
        elif left.record and right.record and left.record != right.record:
            found[name] = (
                f"{left.version}, files {left.record[:12]}",
                f"{right.version}, files {right.record[:12]}",
            )
    return found


def _version(package: Distribution | None) -> str | None:
    return None if package is None else package.version


def _by_name(text: str) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in read_lines(text.splitlines(), Path("/"), "the lock"):
        key = line.name or line.text if line.requirement else _OPTIONS
        found.setdefault(key, []).append(line)
    return found
