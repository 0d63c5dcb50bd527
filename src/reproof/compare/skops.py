"""skops files, MLflow's default for scikit-learn: the tree that the schema and its members describe.

A skops file is a zip of ``schema.json`` and of members for arrays. Its member names and ``__id__`` are
addresses of objects in memory; they are only used for what they say: which member belongs to which
array, and which objects are the same. Format: the package `skops.io`, protocols 0 to 3.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from reproof.compare.documents import read_json
from reproof.compare.npy import read_npy
from reproof.compare.pickles.comparator import conclude
from reproof.compare.pickles.comparing import Sides
from reproof.compare.pickles.folded import Array, Thing
from reproof.compare.pickles.folding import Folder
from reproof.compare.pickles.nodes import Global, Mapping, Node, Raw, Sequence
from reproof.compare.protocol import ContentError, Context, LimitError, Source
from reproof.compare.trees import Numeral
from reproof.compare.zip_views import ZipViews, compare_containers, zip_views
from reproof.compare.zips import open_zip
from reproof.model.difference import Difference, Outcome

_SCHEMA = "schema.json"
_ABOUT = ("__class__", "__module__", "__loader__", "__id__")
_SEQUENCES = {"ListNode": "list", "TupleNode": "tuple", "SetNode": "set"}
_MAX_SCHEMA = 64 << 20


class SkopsComparator:
    """skops: children are named by attribute, as for pickles."""

    name = "skops"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Zip files with a schema of loaders."""
        return all(side.head(4) == b"PK\x03\x04" and _is_skops(side) for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Member names, object ids, dates and order of the members are set aside."""
        with zip_views(expected, context) as one, zip_views(actual, context) as two:
            names, hidden = compare_containers(one, two)
            folders = _SkopsFolder(one, context), _SkopsFolder(two, context)
            sides = Sides(context, folders)
            sides.names |= names
            for part in hidden:
                sides.parts.add(part)
            _compare_versions(folders, sides)
            sides.compare(Stub(folders[0].schema), Stub(folders[1].schema))
            _compare_rest(folders, sides)
            sides.finish()
            if one.names != two.names:
                sides.names.add("skops object ids")
            return conclude(sides, subject, self.name)


class Stub(Node):
    """A part of the schema that has not been looked at yet."""

    __slots__ = ("state",)

    def __init__(self, state: Any) -> None:
        self.state = state


class _SkopsFolder(Folder):
    """Turns parts of the schema into the nodes of pickles, one at a time, when they are compared."""

    def __init__(self, members: ZipViews, context: Context) -> None:
        super().__init__()
        self.members = members
        self._context = context
        self.used = {_SCHEMA}
        if members.size(_SCHEMA) > _MAX_SCHEMA:
            raise LimitError(f"its schema has more than {_MAX_SCHEMA:,} bytes")
        schema = members.view(_SCHEMA)
        self.schema = read_json(bytes(schema), context)
        if not isinstance(self.schema, dict) or "__loader__" not in self.schema:
            raise ContentError("its schema describes no object")
        self.about = {key: self.schema.pop(key, None) for key in ("protocol", "_skops_version")}
        self._stubs: dict[int, tuple[Stub, Any]] = {}
        self._same: dict[str, tuple[Any, Any]] = {}

    def fold(self, node: Any) -> Any:
        """The node that a stub stands for; objects of one id are one node, as the loader makes them."""
        if not isinstance(node, Stub):
            return super().fold(node)
        if id(node) not in self._stubs:
            self._stubs[id(node)] = (node, self._once(node.state))
        return self._stubs[id(node)][1]

    def _once(self, state: Any) -> Any:
        name = state.get("__id__") if isinstance(state, dict) else None
        if not isinstance(name, Numeral):
            return self._make(state)
        known = self._same.get(name)
        if known is not None and known[0] == state:
            return known[1]
        made = self._make(state)
        if known is None:
            self._same[name] = (state, made)
        return made

    def _make(self, state: Any) -> Any:
        if isinstance(state, list):
            return Sequence("list", [_wrapped(each) for each in state])
        if "__loader__" not in state:
            made = Mapping()
            made.pairs = [(key, _wrapped(value)) for key, value in state.items()]
            return made
        loader, owner = (
            str(state["__loader__"]),
            Global(str(state.get("__module__")), str(state.get("__class__"))),
        )
        if loader == "JsonNode" and state.get("is_json") is True and type(state.get("content")) is str:
            return self._json(state)
        if loader in ("BytesNode", "BytearrayNode"):
            return Raw("bytes" if loader == "BytesNode" else "bytearray", self._member(state))
        if loader == "NdArrayNode" and state.get("type") == "numpy":
            return self._array(owner, state)
        if loader == "SparseMatrixNode" and state.get("type") == "scipy":
            return self._sparse(owner, state)
        if loader == "DictNode" and owner.path == "builtins.dict":
            return _dict(state)
        kind = _SEQUENCES.get(loader)
        if kind and owner.path == f"builtins.{kind}" and isinstance(state.get("content"), list):
            return Sequence(kind, [_wrapped(each) for each in state["content"]])
        return _object(loader, owner, state)

    def _json(self, state: dict[str, Any]) -> Any:
        try:
            value = json.loads(state["content"])
        except (ValueError, RecursionError):
            raise ContentError("its schema has a value that is no JSON") from None
        return self._make(value) if isinstance(value, dict | list) else value

    def _member(self, state: dict[str, Any]) -> memoryview:
        name = state.get("file")
        if type(name) is not str:
            raise ContentError("its schema names no member for an array")
        self.used.add(name)
        return self.members.view(name)

    def _array(self, owner: Global, state: dict[str, Any]) -> Array:
        tensor = read_npy(self._member(state))
        return Array(owner.path, tensor=tensor, shape=tensor.shape, encoding="npy")

    def _sparse(self, owner: Global, state: dict[str, Any]) -> Thing:
        """A sparse matrix is a zip of arrays within the zip."""
        thing = Thing("SparseMatrixNode", owner, [])
        thing.attributes = {}
        try:
            with zipfile.ZipFile(io.BytesIO(bytes(self._member(state)))) as archive:
                for info in archive.infolist():
                    self._context.spending.expand(info.file_size)
                    tensor = read_npy(memoryview(archive.read(info)))
                    name = info.filename.removesuffix(".npy")
                    thing.attributes[name] = Array(
                        "numpy.ndarray", tensor=tensor, shape=tensor.shape, encoding="npy"
                    )
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            RuntimeError,
            ValueError,
            OSError,
            EOFError,
        ) as error:
            raise ContentError(f"a sparse matrix is damaged: {error}") from None
        return thing


def _wrapped(value: Any) -> Any:
    """A part of the schema as a node or a plain value."""
    if isinstance(value, dict | list):
        return Stub(value)
    if isinstance(value, Numeral):
        return float(value) if set(value) & set(".eEnN") else int(value)
    return value


def _dict(state: dict[str, Any]) -> Any:
    """A dict: its keys as text, and their types beside them."""
    content, types = state.get("content"), _key_types(state.get("key_types"))
    if not isinstance(content, dict) or types is None or len(types) != len(content):
        return _object("DictNode", Global("builtins", "dict"), state)
    made = Mapping()
    for (key, value), kind in zip(content.items(), types, strict=True):
        made.pairs.append((_key(key, kind), _wrapped(value)))
    return made


def _key_types(state: Any) -> list[str] | None:
    listed = state.get("content") if isinstance(state, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        return None
    return [f"{each.get('__module__')}.{each.get('__class__')}" for each in listed]


def _key(text: str, kind: str) -> Any:
    if kind == "builtins.str":
        return text
    if kind == "builtins.int" and text.lstrip("-").isdecimal() and len(text) < 20 and str(int(text)) == text:
        return int(text)
    return Sequence("tuple", [kind, text])


def _object(loader: str, owner: Global, state: dict[str, Any]) -> Thing:
    """An object: what its content, a dict, holds are its attributes; all else is kept beside them."""
    thing = Thing(loader, owner, [])
    listed = state.get("content")
    if isinstance(listed, list):
        thing.items = [_wrapped(each) for each in listed]
        thing.attributes = {key: _wrapped(state[key]) for key in state if key not in (*_ABOUT, "content")}
        return thing
    names = {key: _wrapped(value) for key, value in state.items() if key not in _ABOUT}
    content = state.get("content")
    inner = _dict(content) if isinstance(content, dict) and content.get("__loader__") == "DictNode" else None
    if isinstance(inner, Mapping) and all(type(key) is str for key, _ in inner.pairs):
        del names["content"]
        thing.attributes = dict(inner.pairs)
        thing.slots = names
    else:
        thing.attributes = names
    return thing


def _is_skops(source: Source) -> bool:
    try:
        with open_zip(source) as archive, archive.open(_SCHEMA) as schema:
            return b'"__loader__"' in schema.read(4096)
    except (ContentError, zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, KeyError):
        return False


def _compare_versions(folders: tuple[_SkopsFolder, _SkopsFolder], sides: Sides) -> None:
    before, after = (folder.about for folder in folders)
    if before["protocol"] != after["protocol"]:
        summary = f"protocol {before['protocol']} -> {after['protocol']}"
        sides.add((None, "text", "(schema)"), Outcome.DIFFERENT, summary, kind="value")
    if before["_skops_version"] != after["_skops_version"]:
        if all(type(each["_skops_version"]) is str for each in (before, after)):
            sides.names.add("version of skops")
        else:
            sides.add((None, "text", "(schema)"), Outcome.DIFFERENT, "version of skops", kind="value")


def _compare_rest(folders: tuple[_SkopsFolder, _SkopsFolder], sides: Sides) -> None:
    """Members that the schema does not name, by content."""
    from reproof.base.digesting import digest_bytes

    rest = []
    for folder in folders:
        names = [name for name in folder.members.names if name not in folder.used]
        rest.append(sorted(digest_bytes(bytes(folder.members.view(name)))["blake3"] for name in names))
    if rest[0] != rest[1]:
        summary = f"members that the schema does not name differ: {len(rest[0])} -> {len(rest[1])}"
        sides.add((None, "text", "(members)"), Outcome.DIFFERENT, summary, kind="zip")
