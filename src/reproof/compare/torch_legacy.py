"""Files of ``torch.save`` from before PyTorch 1.6; they also stand within plain pickles of modules.

Format: `torch.serialization._legacy_save`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reproof.compare.pickles.machine import Machine
from reproof.compare.pickles.nodes import Mapping, Persistent, Sequence
from reproof.compare.pickles.reading import Content
from reproof.compare.protocol import ContentError
from reproof.compare.torch_storages import Storage, TorchFolder, storage_of

_MAGIC = 0x1950A86A20F9469CFC6C
_START = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
KEYS = "torch storage keys"
_VERSION = 1001
_MAX_FILES_WITHIN = 100_000


def is_legacy(head: bytes | memoryview) -> bool:
    """Whether a file begins with PyTorch's magic number as a pickle."""
    return bytes(head[2:14]) == _START


class LegacyFile:
    """One such file; ContentError when it is none.

    Pickles of a magic number, a protocol number, facts about the system, the object and the keys of
    its storages; then for each key in this order eight bytes with its number of elements, and those.
    """

    def __init__(self, view: memoryview, check: Callable[[], None]) -> None:
        self._storages: dict[Any, Storage] = {}
        self.content = Content(shared=set())
        position = 0
        for _ in range(5):
            machine = Machine(view, check, self._resolve, joblib=False)
            root, position = machine.read(position)
            self.content.roots.append(root)
            self.content.loose += machine.loose
            self.content.shared = (self.content.shared or set()) | machine.shared
            self.content.protocols.append(machine.protocol)
            self.content.anomalies += machine.anomalies
        magic, version, facts, root, keys = self.content.roots
        if magic != _MAGIC:
            raise ContentError("it does not begin with PyTorch's magic number")
        self.keys = self._read_keys(keys)
        big = isinstance(facts, Mapping) and ("little_endian", False) in facts.pairs
        self.content.rest = view[self._read_storages(view, position, big) :]
        self.content.roots = [root]
        self.system = Sequence("list", [version, facts])

    @property
    def is_usual(self) -> bool:
        """Whether the facts about the system are those of every machine of today."""
        version, facts = self.system.items
        sizes = Mapping()
        sizes.pairs = [("short", 2), ("int", 4), ("long", 4)]
        if version != _VERSION or not isinstance(facts, Mapping) or len(facts.pairs) != 3:
            return False
        (first, protocol), (second, little), (third, held) = facts.pairs
        names = [first, second, third] == ["protocol_version", "little_endian", "type_sizes"]
        same = isinstance(held, Mapping) and held.pairs == sizes.pairs
        return names and protocol == _VERSION and little is True and same

    def _resolve(self, key: Any) -> Any:
        parts = key.items if isinstance(key, Sequence) else []
        if len(parts) == 4 and parts[0] == "module":
            return Sequence("tuple", list(parts))
        storage = storage_of(key)
        if storage is None or (len(parts) == 6 and parts[5] is not None):
            return Persistent(key)
        known = self._storages.setdefault(parts[2], storage)
        same = (known.dtype, known.device, known.count) == (storage.dtype, storage.device, storage.count)
        return known if same else Persistent(key)

    def _read_keys(self, node: Any) -> list[str]:
        keys = node.items if isinstance(node, Sequence) and node.kind == "list" else None
        if keys is None or any(type(key) is not str for key in keys) or set(keys) != set(self._storages):
            raise ContentError("it does not list the keys of its storages")
        return list(keys)

    def _read_storages(self, view: memoryview, position: int, big_endian: bool) -> int:
        for key in self.keys:
            storage = self._storages[key]
            count = int.from_bytes(view[position : position + 8], "big" if big_endian else "little")
            length = count * storage.size
            if count != storage.count or position + 8 + length > len(view):
                raise ContentError("a storage is cut short, or of another size than it should be")
            storage.data = view[position + 8 : position + 8 + length]
            storage.big_endian = big_endian
            position += 8 + length
        return position


def torch_folder(check: Callable[[], None]) -> TorchFolder:
    """A folder that also knows tensors; files of the old format within a pickle are read as well."""
    count = 0

    def read(data: memoryview) -> Any:
        nonlocal count
        count += 1
        if count > _MAX_FILES_WITHIN:
            raise ContentError("it holds too many torch files")
        if not is_legacy(data[:64]):
            return None
        inner = LegacyFile(data, check)
        if len(inner.content.rest) or inner.content.anomalies or not inner.is_usual:
            return None
        folder.aside.setdefault(KEYS, []).append(inner.keys)
        return inner.content.roots[0]

    folder = TorchFolder(read)
    return folder
