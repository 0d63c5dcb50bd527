"""What a re-run on another machine is made from: the commit, and all content that its record refers to.

A plan names places of this machine. Packed, it names content by digest instead; where it arrives, a
repository is made from it once for all re-runs, and the plan names that one.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from reproof.base import git
from reproof.base.cloning import Checkout, bundle, clone_at
from reproof.base.digesting import digest_bytes, digest_file
from reproof.base.files import remove_tree
from reproof.base.naming import Naming
from reproof.capture.credentials import holds_credentials
from reproof.errors import MaterialError, ProjectError
from reproof.model.artifact import Artifact
from reproof.model.digest import Digest
from reproof.model.event import Emit, silent
from reproof.model.parcel import Parcel
from reproof.model.record import Record
from reproof.project.dvc import read_config, tracked
from reproof.store.dvc_cache import DvcSources, restore
from reproof.workflow.leftovers import luggage_store, parcels
from reproof.workflow.room import Plan

#: Bytes of all content together: it passes through the memory of the workers.
LIMIT = 2 * 1024**3


class Packed(NamedTuple):
    """A plan that can travel, and the content that has to travel with it, by BLAKE3."""

    plan: Plan
    luggage: dict[str, bytes]


def pack(plan: Plan, emit: Emit = silent) -> Packed:
    """Make a plan ready to be carried out on a machine that sees nothing of this one.

    Raises:
        MaterialError: Something is not what was recorded, is nowhere, or is too large to travel.
        ProjectError: The repository does not have the commit.
    """
    luggage: dict[str, bytes] = {}
    _require_whole(plan.record)
    with tempfile.TemporaryDirectory(prefix="reproof-parcel-") as place:
        target = Path(place) / "code.bundle"
        bundle(plan.source, [_commit(plan)], target, whole=True)
        code = _add(luggage, target.read_bytes())
        for content in _kept(plan):
            _add(luggage, content)
        for content in _in_place(plan):
            _add(luggage, content)
        listings = _pack_dvc(plan, Path(place), luggage, emit)
    parcel = Parcel(folder=plan.source.name, code=code, listings=listings)
    return Packed(msgspec.structs.replace(plan, rooms=None, stores=(), parcel=parcel), luggage)


def settle(plan: Plan) -> Plan:
    """A plan with places of this machine, whichever it is: where it was packed they are made here, once.

    Raises:
        MaterialError: Its content did not arrive, or is not what it was.
        ProjectError: The code cannot be cloned.
    """
    parcel = plan.parcel
    if parcel is None:
        return plan
    identity = digest_bytes(msgspec.json.encode((parcel, plan.record.code.commit)))["blake3"]
    place = parcels() / identity
    if not place.is_dir():
        aside = place.with_name(f"{identity}-{secrets.token_hex(6)}")
        try:
            _unfold(plan.record, parcel, aside)
            with suppress(OSError):  # another task was first, with the same
                aside.rename(place)
        finally:
            remove_tree(aside)
    with suppress(OSError):
        os.utime(place)  # says that it is still used
    return msgspec.structs.replace(
        plan,
        source=place / parcel.folder,
        store=luggage_store(),
        stores=(str(place / "dvc"),),
        parcel=None,
    )


def _unfold(record: Record, parcel: Parcel, place: Path) -> None:
    store, code = luggage_store(), record.code
    place.mkdir(parents=True)
    target = place / "code.bundle"
    store.get(Digest("blake3", parcel.code), target)
    checkout = Checkout(settings=code.checkout, branch=code.branch)
    if pointers := clone_at(target, place / parcel.folder, code.commit, checkout).pointers:
        raise MaterialError(
            "cannot re-create the run on a cluster: files of Git LFS do not travel",
            details=[("files", ", ".join(f"`{name}`" for name in pointers[:5]))],
            hint="make the re-runs with `--jobs`, where the repository is",
        )
    target.unlink()
    for md5, blake3 in parcel.listings.items():
        listing = place / "dvc" / "files/md5" / md5[:2] / f"{md5[2:]}.dir"
        listing.parent.mkdir(parents=True, exist_ok=True)
        store.get(Digest("blake3", blake3), listing)


def _commit(plan: Plan) -> str:
    commit = plan.record.code.commit
    if not git.has_commit(plan.source, commit):
        raise ProjectError(f"commit `{commit}` is not in `{plan.source}`")
    return commit


def _add(luggage: dict[str, bytes], content: bytes) -> str:
    digest = digest_bytes(content)["blake3"]
    luggage[digest] = content
    total = sum(map(len, luggage.values()))
    if total > LIMIT:
        raise MaterialError(
            "the inputs of the run are too large to travel to a cluster",
            details=[("limit", f"{LIMIT:,} bytes"), ("so far", f"{total:,} bytes")],
            hint="make the re-runs here with `--jobs`, or call reproof on the machine that has the data",
        )
    return digest


def _require_whole(record: Record) -> None:
    if record.code.submodules:
        raise MaterialError(
            "cannot send the run to a cluster: submodules do not travel",
            details=[("submodules", ", ".join(each.path for each in record.code.submodules))],
            hint="make the re-runs here with `--jobs`",
        )


def _kept(plan: Plan) -> Iterator[bytes]:
    """What the record refers to and the store has; results are for comparing, which is done here."""
    record = msgspec.structs.replace(plan.record, products=())
    seen: set[Digest] = set()
    for artifact in _artifacts(msgspec.structs.replace(record, byproducts=type(record.byproducts)())):
        digest = artifact.digest
        if digest is not None and digest not in seen and digest in plan.store:
            seen.add(digest)
            yield plan.store.get_bytes(digest)


def _artifacts(value: object) -> Iterator[Artifact]:
    """All artifacts in a part of a record."""
    if isinstance(value, Artifact):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _artifacts(getattr(value, name))
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _artifacts(each)
    elif isinstance(value, dict):
        yield from _artifacts(tuple(value.values()))


def _in_place(plan: Plan) -> Iterator[bytes]:
    """Inputs that nothing but their original place has, and that a room has a place for."""
    original = Naming(top=str(plan.source), home=str(Path.home()))
    for artifact in plan.record.materials:
        if artifact.origin not in ("external", "stage", "mlflow") or not artifact.has_place:
            continue
        digest = artifact.digest
        if digest is None or artifact.name.startswith("/") or digest in plan.store:
            continue
        place = original.find_file(artifact.name)
        if holds_credentials(artifact.name) or not place.is_file():
            continue
        if digest_file(place)["blake3"] == artifact.digests.get("blake3"):
            yield place.read_bytes()  # else the room says what is wrong with it, in its own words


def _pack_dvc(plan: Plan, folder: Path, luggage: dict[str, bytes], emit: Emit) -> dict[str, str]:
    """Add what DVC tracks and the run read; returns the lists of folders, by MD5."""
    wanted = {each.name: each for each in plan.record.materials if each.origin == "dvc"}
    known = {each.digests["md5"]: each.digests["blake3"] for each in wanted.values() if "md5" in each.digests}
    if not wanted:
        return {}
    top = folder / "work"
    code = plan.record.code
    clone_at(plan.source, top, code.commit, Checkout(settings=code.checkout, branch=code.branch))
    listings: dict[str, str] = {}
    for entry in tracked(top):
        if not any(name == entry.path or name.startswith(f"{entry.path}/") for name in wanted):
            continue
        config = read_config(plan.source / entry.root)
        caches = (Path(config.cache), *(Path(store) for store in plan.stores))
        sources = DvcSources(
            store=plan.store, known=known, caches=caches, remotes=config.remotes, offline=plan.offline
        )
        aside = folder / "dvc" / entry.md5
        aside.mkdir(parents=True)
        restored = restore(entry, aside, sources, emit)
        for artifact in restored.members or (restored.artifact,):
            _add(luggage, (aside / artifact.name).read_bytes())
        if entry.is_dir:
            listings[entry.md5] = _add(luggage, _listing(entry.md5, caches))
    return listings


def _listing(md5: str, caches: tuple[Path, ...]) -> bytes:
    for cache in caches:
        for place in (cache / "files/md5" / md5[:2] / f"{md5[2:]}.dir", cache / md5[:2] / f"{md5[2:]}.dir"):
            if place.is_file():
                return place.read_bytes()
    raise MaterialError(f"DVC's list of files `{md5[:8]}.dir` is in no cache here", hint="run `dvc fetch`")
