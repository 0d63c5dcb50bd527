"""Whether what a stage read of MLflow is still what it would read now: registries move on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from reproof.base.naming import Naming
from reproof.errors import TrackingError
from reproof.model.record import Record
from reproof.model.tracked import TrackedSection
from reproof.tracking.address import parse
from reproof.tracking.registry import find_model
from reproof.tracking.values import Access


def moves(record: Record, naming: Naming) -> Iterator[str]:
    """Why a stage has to run again though none of its files changed; nothing where MLflow says what it said.

    An alias that the stage itself gave to a version of its own is where the stage left it. What came out
    of a search may be more by now, and nobody can tell without searching again.

    Args:
        record: The last good record of the stage.
        naming: Its folders, as they are here.
    """
    section = record.tracked
    if section is None:
        return
    if section.searched:
        yield "it searched MLflow, where there may be more now"
    access = _access(section, naming)
    own = {(each.name, each.version) for each in section.own_versions}
    for each in section.versions:
        asked = [f"models:/{each.name}@{alias}" for alias in each.aliases]
        asked += [f"models:/{each.name}/latest"] if each.latest else []
        for address in asked:
            try:
                found = find_model(access, address)
            except TrackingError as error:
                yield f"`{address}`, which it read, cannot be looked up: {error.message}"
                continue
            if found.version != each.version and (each.name, found.version) not in own:
                yield f"`{address}` is version {found.version} now, it was {each.version}"


def _access(section: TrackedSection, naming: Naming) -> Access:
    top = Path(naming.top)
    return Access(
        address=parse(naming.expand_in(section.uri), top), environment=dict(os.environ), directory=top
    )
