"""Reading JSON, YAML and TOML into plain trees, exactly, without executing or unfolding anything.

Formats: RFC 8259, YAML 1.1 by PyYAML's events, TOML 1.0 by the standard library.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from reproof.compare.protocol import ContentError, Context, LimitError
from reproof.compare.trees import Integer, Numeral, Real, Tagged, uncollected

# What CPython takes for each part of a parsed document, measured, rounded up (bytes).
_PER_OBJECT, _PER_LIST, _PER_VALUE = 240, 90, 80
_BRACKETS = 1000
_TABLES, _DOTS = 50_000, 200  # the reader of the standard library takes quadratic time and memory for them
_YAML = "tag:yaml.org,2002:"
_TRUE = frozenset({"yes", "true", "on", "y"})


class DuplicateKeyError(ContentError):
    """A mapping names a key twice; what that means depends on the reader."""


class SyntaxProblem(ContentError):  # noqa: N818  # it is about the document's syntax, not ours
    """The text does not follow its format; the message says where."""


def read_json(data: bytes, context: Context) -> Any:
    """The tree of a JSON text; NaN and infinities as Python writes them are numbers.

    Raises:
        SyntaxProblem: Not JSON.
        DuplicateKeyError: A key stands twice in one object.
        LimitError: Nested too deeply, or the tree would take too much memory.
    """
    cost = _PER_OBJECT * data.count(b"{") + _PER_LIST * data.count(b"[")
    cost += _PER_VALUE * (data.count(b",") + data.count(b":"))
    if cost > 3 * context.limits.max_bytes_in_memory:
        raise LimitError(f"the document would take about {cost >> 20} MiB of memory")
    short: dict[str, Numeral] = {}

    def number(text: str) -> Numeral:
        if len(text) > 8:
            return Numeral(text)
        known = short.get(text)
        return known if known is not None else short.setdefault(text, Numeral(text))

    try:
        text = data.decode(json.detect_encoding(data))
        with uncollected():
            return json.loads(
                text, parse_int=number, parse_float=number, parse_constant=Numeral, object_pairs_hook=_unique
            )
    except RecursionError:
        raise LimitError("it is nested too deeply to be read") from None
    except (ValueError, UnicodeError) as error:
        raise SyntaxProblem(str(error)) from None


def read_toml(data: bytes, context: Context) -> Any:
    """The tree of a TOML document; see :func:`read_json` for what is raised."""
    import tomllib

    if len(data) > context.limits.max_bytes_in_memory // 16 or data.count(b"\n[") > _TABLES:
        raise LimitError(f"{len(data):,} bytes are too many for TOML")
    if any(line.partition(b"=")[0].count(b".") > _DOTS for line in data.splitlines()):
        raise LimitError("it has keys of too many parts")
    try:
        tree = tomllib.loads(data.decode(), parse_float=lambda text: Real(text.replace("_", "")))
    except RecursionError:
        raise LimitError("it is nested too deeply to be read") from None
    except (ValueError, UnicodeError) as error:
        raise SyntaxProblem(str(error)) from None
    return _neutral_toml(tree)


def read_yaml(data: bytes, context: Context) -> list[Any]:
    """The trees of the documents of a YAML stream.

    Scalars are typed by the rules of YAML 1.1 as PyYAML reads it. Aliases stay shared nodes. Tags
    other than those of the core become :class:`Tagged`; nothing is constructed.

    Raises:
        SyntaxProblem: Not YAML.
        DuplicateKeyError: A key stands twice in one mapping.
        LimitError: More values than the limits allow, or a key that is no scalar.
    """
    import yaml

    if len(data) > context.limits.max_bytes_in_memory // 32:
        raise LimitError(f"{len(data):,} bytes are too many for YAML")
    _check_nesting(data)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _YamlBuilder(context)
    try:
        for event in yaml.parse(data, Loader=loader):
            builder.take(event)
    except RecursionError:
        raise LimitError("it is nested too deeply to be read") from None
    except (yaml.YAMLError, ValueError) as error:
        raise SyntaxProblem(" ".join(str(error).split())) from None
    return builder.documents


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                _duplicate(key)
            seen.add(key)
    return found


def _duplicate(key: object) -> NoReturn:
    raise DuplicateKeyError(f"the key `{str(key)[:80]}` stands twice in one mapping")


def _neutral_toml(tree: dict[str, Any]) -> dict[str, Any]:
    """Replace integers, dates and times in place, without recursion."""
    pending: list[Any] = [tree]
    while pending:
        node = pending.pop()
        for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
            if isinstance(value, dict | list):
                pending.append(value)
            elif not isinstance(value, str | bool):
                node[key] = (
                    Integer(value) if isinstance(value, int) else Tagged(type(value).__name__, str(value))
                )
    return tree


def _check_nesting(data: bytes) -> None:
    """YAML parsers take quadratic time for nested brackets; more than a thousand are no document."""
    depth = 0
    for match in re.finditer(rb"[\[\]{}]+", data):
        run = match[0]
        depth += run.count(b"[") + run.count(b"{")
        if depth > _BRACKETS:
            raise LimitError("it is nested too deeply to be read")
        depth -= run.count(b"]") + run.count(b"}")


class _YamlBuilder:
    """Builds trees from the events of a YAML parser, on its own stack."""

    def __init__(self, context: Context) -> None:
        from yaml.resolver import Resolver

        self.documents: list[Any] = []
        self._context = context
        self._resolver: Any = Resolver()
        self._anchors: dict[str, Any] = {}
        self._stack: list[_Open] = []
        self._count = 0

    def take(self, event: Any) -> None:
        """Build on by one event of the parser."""
        import yaml

        self._count += 1
        if self._count % 4096 == 0:
            self._context.spending.check_time()
        if isinstance(event, yaml.DocumentStartEvent):
            self._anchors = {}
        elif isinstance(event, yaml.ScalarEvent):
            self._place(self._anchored(event, self._scalar(event)))
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise SyntaxProblem(f"the alias `{event.anchor}` names nothing")
            self._place(self._anchors[event.anchor])
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            container: dict[Any, Any] | list[Any]
            container = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._place(self._anchored(event, self._tagged(event.tag, container)))
            self._stack.append(_Open(container))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._stack.pop()

    def _anchored(self, event: Any, node: Any) -> Any:
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _place(self, node: Any) -> None:
        if not self._stack:
            self.documents.append(node)
        else:
            self._stack[-1].add(node)

    @staticmethod
    def _tagged(tag: str | None, container: Any) -> Any:
        core = {None, "!", f"{_YAML}map", f"{_YAML}seq"}
        return container if tag in core else Tagged(str(tag), container)

    def _scalar(self, event: Any) -> Any:
        import yaml

        tag, text = event.tag, event.value
        if tag is None or tag == "!":
            tag = self._resolver.resolve(yaml.ScalarNode, text, event.implicit)
        elif tag != f"{_YAML}str":
            return Tagged(tag, text)
        return _typed(tag.removeprefix(_YAML), text)


class _Open:
    """A container that is being filled; of a mapping, keys and values come in turns."""

    def __init__(self, container: dict[Any, Any] | list[Any]) -> None:
        self._container = container
        self._key: Any = None
        self._has_key = False

    def add(self, node: Any) -> None:
        """Add a node: an element, a key, or the value of the key before it."""
        if isinstance(self._container, list):
            self._container.append(node)
        elif self._has_key:
            self._container[self._key] = node
            self._has_key = False
        else:
            self._key = _key(node)
            if self._key in self._container:
                _duplicate(self._key)
            self._has_key = True


def _key(node: Any) -> Any:
    if isinstance(node, dict | list) or (isinstance(node, Tagged) and isinstance(node.value, dict | list)):
        raise LimitError("a mapping has a key that is no scalar")
    if isinstance(node, Tagged):
        return (node.tag, str(node.value))
    return node if type(node) is str else (type(node).__name__, str(node))


def _typed(tag: str, text: str) -> Any:
    """A plain scalar by its type; numbers in other notations than the plain decimal keep their text."""
    if tag in {"str", "merge"}:
        return text
    if tag == "null":
        return None
    if tag == "bool":
        return text.lower() in _TRUE
    if tag in {"int", "float"} and _is_decimal(text):
        return Integer(text) if tag == "int" else Real(text)
    return Tagged(tag, text.lower() if tag == "float" else text)


def _is_decimal(text: str) -> bool:
    """Whether the text is a decimal number to every reader: leading zeros may mean octal."""
    digits = text.lstrip("+-")
    return (
        digits.isascii()
        and digits[:1].isdigit()
        and (digits[0] != "0" or not digits[1:2].isdigit())
        and not set(digits) - set("0123456789.eE+-")
    )
