"""What the stages of a pipeline pass on to each other through MLflow: runs, models, versions, aliases.

A later stage that reads in the room what an earlier one registered there finds it, because the store of a
re-run goes on from what the stages before it left. On the *recorded* inputs it starts from the record alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reproof.base.files import remove_tree
from reproof.model.artifact import Artifact
from reproof.model.record import Record
from reproof.store.records import Found
from reproof.workflow.earlier_runs import Shelf, split_address
from reproof.workflow.room import Room
from reproof.workflow.room_store import store_folder

#: Names ids and times, so that no two are the same bytes.
_DESCRIPTION = "MLmodel"


class Shelves:
    """The MLflow stores of the re-runs of one pipeline in one room.

    Args:
        room: The room.
        records: The records of the stages, by address.
    """

    def __init__(self, room: Room, records: Mapping[str, Found]) -> None:
        self._folder = room.folder
        self._kept = room.folder / "mlflow" / "kept"
        self._new = room.folder / "mlflow" / "new"
        self._makers = makers(records)
        self._made: frozenset[str] = frozenset()
        #: Nobody recorded what the stages have to do with MLflow: of a claim, and where they use none.
        self._untold = all(found.record.tracked is None for found in records.values())
        self._carries = self._untold or any(
            not self._makers.keys().isdisjoint(roots_read(found.record)) for found in records.values()
        )

    @property
    def current(self) -> Shelf:
        """What the next stage starts from."""
        if not self._carries:
            return Shelf()
        return Shelf(carried=self._kept if self._kept.exists() else None, made=self._made)

    @property
    def recorded(self) -> Shelf:
        """What a stage on the recorded inputs starts from; of a claim there is nothing but what was re-made."""
        return self.current if self._untold else Shelf()

    def set_aside(self) -> None:
        """Keep the store that a re-run has just left, until :meth:`pass_on`."""
        store = store_folder(self._folder)
        if self._carries and store.exists():
            store.rename(self._new)

    def pass_on(self, record: Record) -> None:
        """Let the next stage start from what was set aside, in which `record` was made again."""
        if self._new.exists():
            remove_tree(self._kept)
            self._new.rename(self._kept)
            self._made |= record.tracked.own if record.tracked is not None else frozenset()

    def others(self, recorded: Record, again: Record) -> Iterator[str]:
        """The stages that made something that `recorded` read of MLflow, and that is other bytes in `again`."""
        found = {(split_address(each)[1], each.digest) for each in again.materials if each.is_tracked}
        for each in recorded.materials:
            root, path = split_address(each)
            maker = self._makers.get(root)
            if maker is not None and not path.endswith(_DESCRIPTION) and (path, each.digest) not in found:
                yield maker

    def read_by(self, record: Record) -> Iterator[Artifact]:
        """The materials of `record` that another stage logged to MLflow."""
        yield from (each for each in record.materials if split_address(each)[0] in self._makers)


def makers(records: Mapping[str, Found]) -> dict[str, str]:
    """Stages by the addresses of the runs, models and versions that they made."""
    return {
        address: stage
        for stage, found in records.items()
        if found.record.tracked is not None
        for address in found.record.tracked.own
    }


def roots_read(record: Record) -> Iterator[str]:
    """Addresses of the runs, models and versions that a run asked MLflow for."""
    section = record.tracked
    if section is None:
        return
    yield from (f"runs:/{each.run}" for each in section.runs)
    yield from (f"models:/{each.model}" for each in section.models)
    yield from (f"models:/{each.name}/{each.version}" for each in section.versions)
    yield from (split_address(each)[0] for each in record.materials if each.is_tracked)
