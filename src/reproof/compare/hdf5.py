"""HDF5 files, as Keras writes weights into them: groups, attributes and datasets by their paths.

Reading needs the package `h5py`, which reproof does not depend on; without it files whose bytes differ
cannot be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from reproof.compare.pickles.comparator import conclude
from reproof.compare.pickles.comparing import Sides
from reproof.compare.pickles.folded import Array
from reproof.compare.pickles.folding import Folder
from reproof.compare.pickles.nodes import Mapping, Raw, Sequence
from reproof.compare.protocol import ContentError, Context, LimitError, Source
from reproof.compare.tensors import Tensor
from reproof.model.difference import Difference

MAGIC = b"\x89HDF\r\n\x1a\n"
_MAX_OBJECTS = 100_000
_MAX_BYTES = 1 << 29  # of all datasets of one file together


class Hdf5Comparator:
    """HDF5: children are named by path: ``layers/dense/vars/0``; how the data lie is set aside."""

    name = "hdf5"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with the mark of the format."""
        return all(side.head(8) == MAGIC for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Chunks, compression, times and free space of the file are set aside."""
        if find_spec("h5py") is None:
            raise ContentError("the package `h5py`, which reads HDF5, is not installed here")
        sides = Sides(context, (Folder(), Folder()), plain_keys=True)
        sides.shared = (set(), set())
        sides.compare(_read(expected, context), _read(actual, context))
        sides.finish()
        return conclude(sides, subject, self.name)


def _read(source: Source, context: Context) -> Mapping:
    """Every object of the file by its path: its attributes, and what a dataset holds."""
    h5py: Any = import_module("h5py")
    with source.open_buffered() as file:
        try:
            with h5py.File(file, "r") as opened:
                return _Reader(opened, context.spending.check_time).read()
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise ContentError(f"the HDF5 file is damaged: {' '.join(str(error).split())[:200]}") from None


class _Reader:
    """Reads all objects of one open file."""

    def __init__(self, file: Any, check: Callable[[], None]) -> None:
        self._file = file
        self._check = check
        self._bytes = 0
        self._made = Mapping()

    def read(self) -> Mapping:
        h5py: Any = import_module("h5py")
        self._attributes("", self._file)
        pending = [("", self._file)]
        known = {self._file.id.__hash__()}
        while pending:
            prefix, group = pending.pop()
            self._check()
            for name in group:
                path = f"{prefix}/{name}".lstrip("/")
                link = group.get(name, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    self._keep(
                        path, Sequence("tuple", ["link", *(str(part) for part in vars(link).values())])
                    )
                    continue
                member = group[name]
                self._attributes(path, member)
                if isinstance(member, h5py.Dataset):
                    self._keep(path, self._dataset(member))
                elif isinstance(member, h5py.Group):
                    self._keep(f"{path}/", True)
                    if member.id.__hash__() not in known:
                        known.add(member.id.__hash__())
                        pending.append((path, member))
                else:
                    raise ContentError(f"`{path[:80]}` is of a kind that is not known here")
        return self._made

    def _keep(self, path: str, node: Any) -> None:
        self._made.pairs.append((path, node))
        if len(self._made.pairs) > _MAX_OBJECTS:
            raise LimitError(f"it has more than {_MAX_OBJECTS:,} objects")

    def _attributes(self, path: str, member: Any) -> None:
        for name in member.attrs:
            self._keep(f"{path}@{name}", self._value(member.attrs[name]))

    def _dataset(self, member: Any) -> Any:
        if member.shape is None:
            return None
        self._bytes += member.size * member.dtype.itemsize
        if self._bytes > _MAX_BYTES:
            raise LimitError(f"its datasets have more than {_MAX_BYTES >> 20} MiB")
        return self._value(member[()])

    def _value(self, value: Any) -> Any:
        """An array, a scalar or text as a node."""
        import numpy as np

        if isinstance(value, bytes):
            return Raw("bytes", value)
        if value is None or isinstance(value, str):
            return value
        array = np.asarray(value)
        if array.dtype.hasobject:
            items = [self._value(item) if not isinstance(item, np.ndarray) else self._value(item.copy())
                     for item in array.reshape(-1).tolist()]  # fmt: skip
            return Array("array", items=items, shape=array.shape, encoding="hdf5")
        packed = np.ascontiguousarray(array)
        tensor = Tensor.of(packed.dtype, array.shape, packed.reshape(-1).view("u1").data)
        return Array("array", tensor=tensor, shape=array.shape, encoding="hdf5")
