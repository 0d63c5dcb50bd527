"""YAML files read with the line of every key, so that a message can point at what is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from reproof.errors import ProjectError

Key = tuple[str | int, ...]

#: Beyond these the C parser, which recurses without a limit, could exhaust the stack.
_MANY_BRACKETS = 2000
_DEEP_LINE = re.compile(r"(?m)^[ ]{1000}|^ *(?:[-?:] +){200}")


class Document(msgspec.Struct, frozen=True):
    """A YAML document.

    Attributes:
        name: The file as messages name it.
        value: Its content: plain dicts, lists and scalars.
        lines: Line (from 1) of each key and list item, by path; ``()`` is the document itself.
    """

    name: str
    value: Any
    lines: dict[Key, int]

    def at(self, *key: str | int) -> str:
        """Where a key stands: ```MLproject`, line 7``; without a line where it is not in the file."""
        line = self.lines.get(key)
        return f"`{self.name}`, line {line}" if line else f"`{self.name}`"

    def wrong(self, key: Key, problem: str, hint: str | None = None) -> ProjectError:
        """The error that says what is wrong at `key`."""
        what = f"`{dotted(key)}` {problem}" if key else problem
        return ProjectError(f"{self.at(*key)}: {what}", hint=hint)

    def require_mapping(self) -> None:
        """See that the document is a mapping, or empty.

        Raises:
            ProjectError: It is something else.
        """
        if self.value is not None and not isinstance(self.value, dict):
            raise self.wrong((), f"the file must be a mapping of keys to values, not {describe(self.value)}")

    def mapping(self, *key: str | int) -> dict[str, Any]:
        """The mapping at `key`; empty where the key is absent or has no value.

        Raises:
            ProjectError: Something else is there, or a key of it is not text.
        """
        value = self._get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.wrong(key, f"must be a mapping of keys to values, not {describe(value)}")
        for name in value:
            if not isinstance(name, str):
                raise self.wrong((*key, str(name)), f"must be a text: put quotes around `{name}`")
        return value

    def text(self, *key: str | int) -> str | None:
        """The text at `key`, None where it is absent.

        Raises:
            ProjectError: Something else is there.
        """
        value = self._get(key)
        if value is not None and not isinstance(value, str):
            hint = "put quotes around the value" if isinstance(value, int | float) else None
            raise self.wrong(key, f"must be a text, not {describe(value)}", hint)
        return value

    def items(self, *key: str | int) -> list[Any]:
        """The list at `key`; empty where it is absent.

        Raises:
            ProjectError: Something else is there.
        """
        value = self._get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(key, f"must be a list, not {describe(value)}")
        return value

    def unknown_keys(self, known: Iterable[str], *key: str | int) -> list[tuple[str, str]]:
        """Keys of the mapping at `key` that are not among `known`: each with a sentence about it."""
        names = tuple(known)
        found = []
        for name in self.mapping(*key):
            if name not in names:
                close = closest(name, names)
                meant = f"; did you mean `{close}`?" if close else f"; known are {listed(names)}"
                path = (*key, name)
                found.append((name, f"{self.at(*path)}: unknown key `{dotted(path)}`{meant}"))
        return found

    def _get(self, key: Key) -> Any:
        value = self.value
        for part in key:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def read_yaml(data: bytes, name: str, loader: Callable[[Any], Any] | None = None) -> Document:
    """Read one YAML document from the bytes of the file `name`.

    Args:
        data: UTF-8.
        name: For messages.
        loader: Makes another loader out of PyYAML's: for another version of YAML.

    Raises:
        ProjectError: Not UTF-8, not YAML, more than one document, a key that stands twice, or
            nested beyond reason; with the line where the parser says one.
    """
    import yaml

    try:
        text = data.decode("utf-8-sig")
        kind = _loader(text)
        reader = (kind if loader is None else loader(kind))(text)
        try:
            node = reader.get_single_node()
            lines: dict[Key, int] = {} if node is None else _locate(node, name)
            value = None if node is None else reader.construct_document(node)
        finally:
            reader.dispose()
    except UnicodeDecodeError as error:
        raise ProjectError(f"`{name}` is not text in UTF-8", details=[("reason", str(error))]) from error
    except yaml.YAMLError as error:
        raise _syntax_error(error, name) from error
    except RecursionError as error:
        raise ProjectError(f"`{name}` is nested too deeply to be read") from error
    except (ValueError, OverflowError) as error:  # a date such as 2025-13-45, an int of a million digits
        raise ProjectError(
            f"`{name}` has a value that cannot be read", details=[("reason", str(error))]
        ) from error
    return Document(name, value, lines)


def dotted(key: Key) -> str:
    """A path of keys as people write it: ``entry_points.main.parameters``, ``outs[0].path``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def describe(value: Any) -> str:
    """What kind of thing a YAML or TOML value is, in words, with the value where it is short."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    kind = {bool: "the truth value", int: "the number", float: "the number", str: "the text"}.get(
        type(value), "the value"
    )
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"{kind} `{text}`" if len(text) <= 60 else f"{kind} `{text[:57]}...`"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that was probably meant by `name`, None when none is near."""
    found = difflib.get_close_matches(name, list(known), 1)
    return found[0] if found else None


def listed(names: Iterable[str]) -> str:
    """Names as a list for people: ```a`, `b`, `c```."""
    return ", ".join(f"`{name}`" for name in names)


def _loader(text: str) -> Any:
    import yaml

    suspicious = text.count("[") + text.count("{") > _MANY_BRACKETS or _DEEP_LINE.search(text)
    return yaml.SafeLoader if suspicious else getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _locate(root: Any, name: str) -> dict[Key, int]:
    """The line of every key and item; a shared (aliased) node is looked at once."""
    import yaml

    lines: dict[Key, int] = {(): root.start_mark.line + 1}
    pending: list[tuple[Key, Any]] = [((), root)]
    seen: set[int] = set()
    while pending:
        key, node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            names: set[str] = set()
            for key_node, value_node in node.value:
                part = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
                path = (*key, part)
                line = key_node.start_mark.line + 1
                if part in names and part != "<<":
                    raise ProjectError(f"`{name}`, line {line}: the key `{dotted(path)}` stands there twice")
                names.add(part)
                lines[path] = line
                pending.append((path, value_node))
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                lines[*key, index] = item.start_mark.line + 1
                pending.append(((*key, index), item))
    return lines


def _syntax_error(error: Any, name: str) -> ProjectError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
    context = getattr(error, "context", None)
    details = [("reason", problem), *([("context", context)] if context else [])]
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return ProjectError(f"`{name}`{where}: this is not YAML", details=details)
