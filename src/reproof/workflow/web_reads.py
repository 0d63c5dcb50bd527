"""What the run read from addresses of the web, as materials: external, named by their address.

Objects of buckets have a module of their own; whether they changed is asked here, with the others.
"""

from __future__ import annotations

from collections.abc import Iterable

from reproof.capture.observations import Observations
from reproof.capture.secrets import address_without_secrets
from reproof.model.artifact import Artifact
from reproof.model.observation import Fetched, RunOpened, Versioned
from reproof.model.record import Omission, Record
from reproof.workflow.materials import CHANGED
from reproof.workflow.objects_read import differs


def web_materials(
    observations: Observations, tracking: Iterable[str]
) -> tuple[tuple[Artifact, ...], tuple[Omission, ...]]:
    """One material for each address (or part of what it has) that was read, by name.

    An address that gave different content to one run is an input that changed under it; the material is
    what it gave first. Of what was not read to its end there is no digest.

    Args:
        observations: What the processes told.
        tracking: Addresses of MLflow stores: what is asked of them is no data.
    """
    stores = _stores(observations, tracking)
    found: dict[str, list[Fetched]] = {}
    for line in observations.of(Fetched):
        if not any(line.url == store or line.url.startswith(f"{store}/") for store in stores):
            part = f"#{line.part.replace(' ', '=')}" if line.part else ""
            found.setdefault(address_without_secrets(line.url) + part, []).append(line)
    omissions = [
        Omission(
            subject=name,
            reason=f"{CHANGED}: sha256:{contents[0][:8]} first, sha256:{contents[-1][:8]} later",
        )
        for name, lines in found.items()
        if len(contents := list(dict.fromkeys(line.sha256 for line in lines if line.whole))) > 1
    ]
    return tuple(_material(name, found[name]) for name in sorted(found)), tuple(omissions)


def changed_addresses(recorded: Record, rerun: Record) -> dict[str, bool | None]:
    """Addresses that the recorded run read: whether the re-run got something else there.

    Returns:
        Address to True (other content), False (the same) or None (the re-run did not read all of it).
    """
    again = {each.name: each for each in rerun.materials if each.is_web}
    found: dict[str, bool | None] = {}
    for artifact in recorded.materials:
        if artifact.is_web:
            other = again.get(artifact.name)
            found[artifact.name] = differs(artifact, other) if other is not None else None
    return found


def _stores(observations: Observations, tracking: Iterable[str]) -> set[str]:
    addresses = {*tracking, *(line.uri for line in observations.of(Versioned))}
    for line in observations.of(RunOpened):
        addresses |= {line.uri, line.artifact_uri}
    return {each.rstrip("/") for each in addresses if each.startswith(("http://", "https://"))}


def _material(name: str, lines: list[Fetched]) -> Artifact:
    whole = next((line for line in lines if line.whole), None)
    first = whole or max(lines, key=lambda line: line.size)
    where = f"read at {first.where}" if first.where else None
    note = where if whole else "not read to its end" + (f", {where}" if where else "")
    return Artifact(
        name=name,
        digests={"sha256": whole.sha256} if whole else {},
        size=first.size,
        origin="external",
        note=note,
    )
