"""Locks between those of two runs: the packages of A with some of those of B, each by its hashes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from reproof.environment.exports import requirements
from reproof.environment.requirements import Line, normalise, read_lines
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
    """What is installed from a mixed lock.

    Args:
        before: What A had.
        after: What B had.
        chosen: Names of the packages that are as in B.
    """
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


def needs_of(site_packages: Path) -> dict[str, tuple[str, ...]]:
    """What each installed package says that it needs: the ``Requires-Dist`` of its METADATA, by normalised name."""
    found = {}
    for path in site_packages.glob("*.dist-info/METADATA"):
        try:
            head = path.read_text("utf-8", "replace").partition("\n\n")[0]
        except OSError:
            continue
        fields = [line.partition(": ") for line in head.splitlines()]
        names = [normalise(value.strip()) for key, _, value in fields if key == "Name"]
        if names:
            found[names[0]] = tuple(value for key, _, value in fields if key == "Requires-Dist")
    return found


class Fitting:
    """Which packages can only be swapped together, because one needs another version of the other.

    Args:
        versions: Versions of the packages that differ, in A and in B.
        needs: What packages need, in A and in B.
    """

    def __init__(
        self,
        versions: Mapping[str, tuple[str | None, str | None]],
        needs: tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]],
    ) -> None:
        self._needs: list[tuple[str, int, str]] = []
        for side, wanted in enumerate(needs):
            for name in versions:
                for other, fits in _wanted(wanted.get(name, ()), versions):
                    # What does not fit on its own side either does not keep anything together.
                    if fits[side] and not fits[1 - side]:
                        self._needs.append((name, side, other))

    def grown(self, chosen: AbstractSet[str]) -> frozenset[str]:
        """`chosen` of B, with what has to be B's besides."""
        return self._settled(chosen, 1)

    def shrunk(self, chosen: AbstractSet[str]) -> frozenset[str]:
        """`chosen` of B, without what has to be A's then."""
        return self._settled(chosen, 0)

    def _settled(self, chosen: AbstractSet[str], towards: int) -> frozenset[str]:
        """Move packages to side `towards` until each has what it needs from its own side."""
        found = set(chosen)
        changed = True
        while changed:
            changed = False
            for name, side, other in self._needs:
                if (name in found) == bool(side) and (other in found) != bool(side):
                    moved = other if side == towards else name
                    (found.add if towards else found.discard)(moved)
                    changed = True
        return frozenset(found)


def _wanted(
    needs: Sequence[str], versions: Mapping[str, tuple[str | None, str | None]]
) -> Iterator[tuple[str, tuple[bool, bool]]]:
    """Packages among `versions` that are needed, and whether the version of either side will do."""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in needs:
        try:
            need = Requirement(text)
        except InvalidRequirement:
            continue
        name = normalise(need.name)
        if name not in versions or (need.marker is not None and not need.marker.evaluate({"extra": ""})):
            continue
        one, two = (
            version is not None and need.specifier.contains(version.partition(",")[0], prereleases=True)
            for version in versions[name]
        )
        yield name, (one, two)


def _version(package: Distribution | None) -> str | None:
    return None if package is None else package.version


def _by_name(text: str) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in read_lines(text.splitlines(), Path("/"), "the lock"):
        key = line.name or line.text if line.requirement else _OPTIONS
        found.setdefault(key, []).append(line)
    return found
