"""Files of ``torch.save``, of the zip format (since 1.6) and the one before, and TorchScript archives.

Nothing of PyTorch is needed or run. Formats: `torch.serialization` and `torch.jit`.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

from reproof.compare.pickles.comparator import compare_pickles, conclude
from reproof.compare.pickles.comparing import Sides
from reproof.compare.pickles.machine import Machine
from reproof.compare.pickles.nodes import Persistent
from reproof.compare.pickles.reading import Content
from reproof.compare.protocol import ContentError, Context, Source
from reproof.compare.torch_legacy import KEYS, LegacyFile, is_legacy, torch_folder
from reproof.compare.torch_storages import Storage, storage_of
from reproof.compare.zip_views import ZipViews, compare_containers, has_members, zip_views
from reproof.model.difference import Difference, Outcome

_HOUSEKEEPING = {
    "version": "version of the torch archive",
    ".format_version": "version of the torch archive",
    ".storage_alignment": "storage alignment of the torch archive",
    ".data/serialization_id": "torch serialization id",
    "byteorder": "byte order of arrays",
}


_CONSTANT = re.compile(rb"  \w+ : Final\[")


class TorchComparator:
    """PyTorch files of the zip format: pickles and storages tensor by tensor, other members by kind."""

    name = "torch"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Zip files with a ``data.pkl`` in their one folder."""
        return all(
            side.head(4) == b"PK\x03\x04" and has_members(side, "*/data.pkl") for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """The name of the folder and what only says how the data lie are set aside."""
        with zip_views(expected, context) as one, zip_views(actual, context) as two:
            names, hidden = compare_containers(one, two)
            sides = Sides(
                context,
                (torch_folder(context.spending.check_time), torch_folder(context.spending.check_time)),
            )
            sides.names |= names - {"zip member order"}
            for part in hidden:
                sides.parts.add(part)
            archives = _Archive(one, context), _Archive(two, context)
            if archives[0].stem != archives[1].stem:
                sides.names.add("name of the torch archive")
            _compare_archives(archives, sides)
            return conclude(sides, subject, self.name)


class LegacyTorchComparator:
    """PyTorch files from before 1.6: several pickles, then the storages."""

    name = "torch-legacy"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Pickles that begin with PyTorch's magic number."""
        return all(is_legacy(side.head(64)) for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """The keys of the storages, addresses of objects in memory, are set aside."""
        with expected.view() as one, actual.view() as two:
            sides = Sides(
                context,
                (torch_folder(context.spending.check_time), torch_folder(context.spending.check_time)),
            )
            left, right = (LegacyFile(view, context.spending.check_time) for view in (one, two))
            compare_pickles(left.content, right.content, sides)
            sides.compare(left.system, right.system, (None, "text", "(system)"))
            if left.keys != right.keys:
                sides.names.add(KEYS)
            return conclude(sides, subject, "torch")


class _Archive:
    """One zip file of PyTorch: its folder's name, its members without it."""

    def __init__(self, members: ZipViews, context: Context) -> None:
        self.members = members
        self.context = context
        roots = [name for name in members.names if name.endswith("/data.pkl")]
        if not roots:
            raise ContentError("it has no `data.pkl`")
        self.stem = roots[0][: -len("data.pkl")]
        if not all(name.startswith(self.stem) for name in members.names):
            raise ContentError("its members are in more than one folder")
        self.names = [name[len(self.stem) :] for name in members.names]
        self.used: set[str] = set()
        order = bytes(self.view("byteorder")) if "byteorder" in self.names else b"little"
        if order not in (b"little", b"big"):
            raise ContentError("its byte order is neither little nor big")
        self.big_endian = order == b"big"

    def view(self, name: str) -> memoryview:
        """The bytes of a member, which counts as used from now on."""
        self.used.add(name)
        return self.members.view(self.stem + name)

    def pickles(self) -> list[str]:
        """Names of the pickles at the top: ``data.pkl``, in TorchScript also ``constants.pkl``."""
        return sorted(name for name in self.names if name.endswith(".pkl") and "/" not in name)

    def read(self, name: str) -> Content:
        """The tree of one of them; its storages are in the folder of the same name."""
        storages: dict[str, Storage] = {}

        def resolve(key: Any) -> Any:
            storage = storage_of(key)
            if storage is None:
                return Persistent(key)
            number = key.items[2]
            if number not in storages:
                storage.data = self.view(f"{name.removesuffix('.pkl')}/{number}")
                storage.big_endian = self.big_endian
                storages[number] = storage
            known = storages[number]
            same = (known.dtype, known.device, known.count) == (storage.dtype, storage.device, storage.count)
            return known if same else Persistent(key)

        view = self.view(name)
        machine = Machine(view, self.context.spending.check_time, resolve, joblib=False)
        root, end = machine.read()
        return _content(machine, [root], view[end:])


def _content(machine: Machine, roots: list[Any], rest: memoryview) -> Content:
    return Content(
        roots=roots,
        loose=machine.loose,
        protocols=[machine.protocol],
        anomalies=machine.anomalies,
        rest=rest,
        shared=machine.shared,
    )


def _compare_archives(archives: tuple[_Archive, _Archive], sides: Sides) -> None:
    one, two = archives
    if one.pickles() != two.pickles():
        sides.add((None, "text", "(members)"), Outcome.DIFFERENT, "other pickles", kind="zip")
    for name in one.pickles():
        if name in two.pickles():
            compare_pickles(one.read(name), two.read(name), sides)
    for name, aside in _HOUSEKEEPING.items():
        views = [side.view(name) if name in side.names else None for side in archives]
        if views[0] != views[1]:
            sides.names.add(aside)
    _compare_rest(archives, sides)


def _compare_rest(archives: tuple[_Archive, _Archive], sides: Sides) -> None:
    """Members that no pickle speaks of: code of TorchScript, extra files."""
    one, two = ([name for name in side.names if name not in side.used] for side in archives)
    for name in sorted({*one, *two}):
        if name not in one or name not in two:
            sides.add(
                (None, "text", name), Outcome.DIFFERENT, "is gone" if name in one else "is new", kind="zip"
            )
            continue
        views = [side.view(name) for side in archives]
        if views[0] == views[1]:
            continue
        if name.startswith("code/") and len({_sorted_constants(view) for view in views}) == 1:
            sides.names.add("order of TorchScript constants")
            continue
        sources = [Source(name=name, data=bytes(view)) for view in views]
        sides.parts.add(sides.context.compare(sources[0], sources[1], name))


def _sorted_constants(view: memoryview) -> bytes:
    """Code of TorchScript with neighbouring ``name : Final[...] = ...`` in order of their names.

    PyTorch writes them in the order of a set.
    """
    lines = bytes(view).split(b"\n")
    runs = [list(run) for _, run in groupby(lines, key=lambda line: _CONSTANT.match(line) is not None)]
    return b"\n".join(line for run in runs for line in (sorted(run) if _CONSTANT.match(run[0]) else run))
