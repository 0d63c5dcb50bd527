"""The neutral tree that a pickle stands for, before anybody says what its classes mean.

Numbers, short text, booleans and None stand for themselves; everything else is one of these nodes.
Nodes are mutable because pickles fill containers after they have been referred to.
"""

from __future__ import annotations

from typing import Any


class Node:
    """Base of what is not a plain value."""

    __slots__ = ()


class Global(Node):
    """A name in a module: a class or function that a pickle refers to and that is never imported."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    @property
    def path(self) -> str:
        """``module.name``."""
        return f"{self.module}.{self.name}"


class Raw(Node):
    """Bytes, a bytearray, or text too long to decode: a slice of the file, not a copy.

    `kind` is ``bytes``, ``bytearray``, ``text`` (UTF-8) or ``str8`` (a Python 2 string).
    """

    __slots__ = ("data", "kind")

    def __init__(self, kind: str, data: memoryview | bytes) -> None:
        self.kind = kind
        self.data = data


class Sequence(Node):
    """A ``list``, ``tuple``, ``set`` or ``frozenset``, as `kind` says."""

    __slots__ = ("items", "kind")

    def __init__(self, kind: str, items: list[Any]) -> None:
        self.kind = kind
        self.items = items


class Mapping(Node):
    """A dict as it was filled: pairs in their order, a key may come twice (the last one holds)."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []


class Call(Node):
    """What a call would make, and what would be done to it afterwards.

    Attributes:
        kind: ``call`` for ``callee(*arguments)``, ``new`` for ``callee.__new__(callee, *arguments)``.
        callee: Mostly a :class:`Global`.
        arguments: A tuple node; anything else where the pickle is odd.
        keywords: The keyword arguments of ``new``, or None.
        states: What ``__setstate__`` would get, in order; None for nothing.
        items: What would be appended or added, or None.
        pairs: What would be set by key, or None.
        effects: Calls whose result nobody keeps and whose first argument is this object.
        inline: An array that joblib wrote behind this object, or None.
    """

    __slots__ = ("arguments", "callee", "effects", "inline", "items", "keywords", "kind", "pairs", "states")

    def __init__(self, kind: str, callee: Any, arguments: Any, keywords: Any = None) -> None:
        self.kind = kind
        self.callee = callee
        self.arguments = arguments
        self.keywords = keywords
        self.states: list[Any] | None = None
        self.items: list[Any] | None = None
        self.pairs: list[tuple[Any, Any]] | None = None
        self.effects: list[Call] | None = None
        self.inline: Any = None

    @property
    def is_bare(self) -> bool:
        """Whether nothing was done to the object after it was made."""
        return not (self.states or self.items or self.pairs or self.effects) and self.inline is None


class Persistent(Node):
    """Something outside of the pickle, named by `key`."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key


class OutOfBand(Node):
    """A buffer that was kept outside of the pickle (protocol 5); its content is not known."""

    __slots__ = ("number", "read_only")

    def __init__(self, number: int) -> None:
        self.number = number
        self.read_only = False


class Extension(Node):
    """A class by its number in the registry of ``copyreg``."""

    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        self.code = code


def arguments_of(node: Call) -> list[Any]:
    """The positional arguments; empty where the pickle gives no tuple."""
    given = node.arguments
    return given.items if isinstance(given, Sequence) and given.kind == "tuple" else []


def is_global(node: Any, *paths: str) -> bool:
    """Whether `node` is one of the names `paths`, each ``module.name``."""
    return isinstance(node, Global) and node.path in paths


def as_dict(node: Any) -> dict[str, Any] | None:
    """A mapping whose keys are all short text, as a dict; None for anything else."""
    if not isinstance(node, Mapping):
        return None
    result = {}
    for key, value in node.pairs:
        if type(key) is not str:
            return None
        result[key] = value
    return result


def plain_bytes(node: Any) -> memoryview | None:
    """The bytes that a node stands for in any protocol; None when it stands for something else.

    Before protocol 3 Python writes bytes as a call of ``_codecs.encode`` with text, and before
    protocol 5 a bytearray as a call of ``bytearray`` with bytes.
    """
    if isinstance(node, Raw) and node.kind in ("bytes", "bytearray", "str8"):
        return memoryview(node.data)
    if not isinstance(node, Call) or node.kind != "call" or not node.is_bare:
        return None
    given = arguments_of(node)
    if is_global(node.callee, "builtins.bytes") and not given:
        return memoryview(b"")
    if is_global(node.callee, "builtins.bytearray") and len(given) == 1:
        inner = given[0]
        return None if _is_bytearray(inner) else plain_bytes(inner)
    if is_global(node.callee, "_codecs.encode") and len(given) == 2 and given[1] == "latin1":
        return _latin1(given[0])
    return None


def _is_bytearray(node: Any) -> bool:
    """Whether this is itself a call of ``bytearray``: those are not unfolded twice."""
    return isinstance(node, Call) and is_global(node.callee, "builtins.bytearray")


def _latin1(text: Any) -> memoryview | None:
    if isinstance(text, Raw) and text.kind == "text":
        text = bytes(text.data).decode("utf-8", "surrogatepass")
    if type(text) is not str:
        return None
    try:
        return memoryview(text.encode("latin1"))
    except UnicodeEncodeError:
        return None
