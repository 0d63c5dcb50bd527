"""Faults of a project that a controlled build does not suffer from, but every other build of it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reproof.build.causes import cause, kind_of
from reproof.build.members import Listing, Trait, differing, list_members
from reproof.model.build import Cause
from reproof.workflow.build.once import Built, Site
from reproof.workflow.build.source import Source


def faults(source: Source, site: Site, built: Built) -> list[Cause]:
    """What would go wrong in a build within the work tree, or on another day."""
    found = []
    if site.tools.lock.source is None:
        lacks = [f"{name} lacks {names}" for name, names in site.tools.lock.incomplete]
        found.append(cause("backend-unpinned", [*lacks, "pyproject.toml: build-system.requires"]))
    if packed := list(_packed(source, built)):
        found.append(cause("untracked-file-packed", packed))
    if stale := list(_stale(source.folder, site, built)):
        found.append(cause("stale-build-folder", stale))
    return found


def explain_other(source: Source, site: Site, built: Built, other: Path) -> list[Cause]:
    """Why a wheel made elsewhere differs from the controlled one, by what differs in it.

    Args:
        source: What was built.
        site: With what.
        built: The controlled build.
        other: The wheel, or source archive.
    """
    kind = "wheel" if other.suffix == ".whl" else "sdist"
    mine, theirs = built.listings[kind], list_members(other)
    leftovers = _leftovers(source.folder)
    untracked = {Path(name).name: name for name in source.untracked}
    found: dict[str, list[str]] = {}
    traits = sorted(differing(mine, theirs))
    other_backend = any(
        each.member.endswith(".dist-info/WHEEL") and each.what == "content" for each in traits
    )
    for trait in traits:
        name = _name_of(trait, mine, theirs, leftovers, untracked)
        if other_backend and trait.what == "content" and ".dist-info/" in trait.member:
            name = "backend-differs"
        if name == "backend-differs" and site.tools.lock.source is None:
            name = "backend-unpinned"
        found.setdefault(name, []).append(f"{other.name}: {trait.member}")
    return [cause(name, files) for name, files in found.items()]


def _name_of(
    trait: Trait, mine: Listing, theirs: Listing, leftovers: dict[str, str], untracked: dict[str, str]
) -> str:
    member = trait.member
    if trait.what == "presence" and member not in mine.parts:
        if member in leftovers:
            return "stale-build-folder"
        if Path(member).name in untracked:
            return "untracked-file-packed"
    if trait.what == "content":
        return {"bytecode": "pyc-time", "binary": "compiled-differently"}.get(
            kind_of(member, mine), "content-differs"
        )
    if trait.what == "order":
        return "file-order" if mine.order != theirs.order else "backend-differs"
    return {"time": "archive-dates", "mode": "modes-from-umask", "owner": "user-name"}.get(
        trait.what, "content-differs"
    )


def _packed(source: Source, built: Built) -> Iterator[str]:
    """Members that are files which Git does not track, recognised by name and content."""
    dirty = source.facts.dirty
    for name, digest in (dirty.untracked if dirty else {}).items():
        for kind, listing in built.listings.items():
            for member, part in listing.parts.items():
                if member.endswith(Path(name).name) and part.content == digest:
                    yield f"{built.files[kind].name}: {member}"


def _stale(folder: Path, site: Site, built: Built) -> Iterator[str]:
    """What setuptools would pack because an earlier build left it in `build/`."""
    if not site.system.backend.startswith("setuptools."):
        return
    for member, place in _leftovers(folder).items():
        if member not in built.listings["wheel"].parts:
            yield place


def _leftovers(folder: Path) -> dict[str, str]:
    """Files below `build/lib*`, by the name that they would have in a wheel."""
    found = {}
    for root in sorted((folder / "build").glob("lib*")):
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found[path.relative_to(root).as_posix()] = path.relative_to(folder).as_posix()
    return found
