"""The templates of dvc.yaml: ``${name}`` and where its value comes from.

Rules: https://doc.dvc.org/user-guide/project-structure/dvcyaml-files#templating
"""

from __future__ import annotations

import copy
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from reproof.project.params_files import read_params_file
from reproof.project.yaml_document import closest

_EXPRESSION = re.compile(r"(?<!\\)\$\{(?P<inner>.*?)\}")
_GRAMMAR = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[[^.\[\]]+\])*")
_PRIMITIVES = (int, float, str, bytes, bool)


class TemplateError(Exception):
    """What is wrong with a template, and what may have been meant; the caller says where."""

    def __init__(self, problem: str, hint: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


class Context:
    """The values that expressions may name.

    Args:
        top: Top of the repository, for reading files of values.
        values: What is known from the start.
    """

    def __init__(self, top: Path, values: Mapping[str, Any] | None = None) -> None:
        self.values: dict[str, Any] = dict(values or {})
        self._top = top
        self._sources: dict[str, str] = {}
        self._loaded: dict[str, list[str] | None] = {}
        self._reserved: frozenset[str] = frozenset()

    def copy(self) -> Context:
        """A context that can be added to without changing this one."""
        return copy.deepcopy(self)

    def with_items(self, items: Mapping[str, Any]) -> Context:
        """A context where the names of `items` stand for these values, whatever they were before."""
        other = self.copy()
        other.values.update(items)
        vars(other)["_reserved"] = self._reserved | frozenset(items)
        return other

    def load(self, item: object, folder: str, where: str) -> None:
        """Add an item of ``vars``: a mapping, or a file (``FILE`` or ``FILE:KEY,KEY``) below `folder`.

        Raises:
            TemplateError: The file is missing or wrong, or a name has a value already.
        """
        if isinstance(item, Mapping):
            self._merge(self.values, dict(item), where, ())
            return
        path, _, listed = str(item).partition(":")
        keys = [key for key in listed.split(",") if key] or None
        place = posixpath.normpath(posixpath.join(folder, path))
        if place in self._loaded and not self._is_new(place, path, keys):
            return
        found = read_params_file(self._top / place, place)
        if keys is not None:
            if missing := [key for key in keys if key not in found]:
                raise TemplateError(f"names `{missing[0]}`, which `{place}` does not have")
            found = {key: found[key] for key in keys}
        self._merge(self.values, found, place, ())
        self._loaded[place] = [*(self._loaded.get(place) or []), *keys] if keys is not None else None

    def _is_new(self, place: str, path: str, keys: list[str] | None) -> bool:
        before = self._loaded[place]
        if keys is None and before is None:
            return False
        if keys is None or before is None or set(keys) & set(before):
            raise TemplateError(f"loads `{path}`, of which something was loaded before")
        return True

    def _merge(
        self, into: dict[str, Any], update: dict[str, Any], source: str, where: tuple[str, ...]
    ) -> None:
        """Merge values as DVC does: mapping into mapping, and nothing is set twice."""
        for key, value in update.items():
            if not isinstance(key, str):
                continue  # no expression can name it
            path = (*where, key)
            if not where and key in self._reserved:
                raise TemplateError(f"sets `{key}`, which the template itself sets")
            if isinstance(into.get(key), dict) and isinstance(value, dict):
                self._merge(into[key], value, source, path)
            elif key in into:
                name = ".".join(path)
                first = next(
                    (
                        self._sources[".".join(path[:n])]
                        for n in range(len(path), 0, -1)
                        if ".".join(path[:n]) in self._sources
                    ),
                    "the beginning",
                )
                raise TemplateError(f"sets `{name}` again: it has a value from `{first}`")
            else:
                into[key] = _copied(value)
                self._sources[".".join(path)] = source

    def select(self, expression: str) -> Any:
        """The value that an expression names. Raises TemplateError where there is none."""
        if not _GRAMMAR.fullmatch(expression):
            raise TemplateError(f"has `${{{expression}}}`, which is no name")
        value: Any = self.values
        for part in expression.replace("[", ".").replace("]", "").split("."):
            index = part.strip()
            try:
                value = value[int(index)] if isinstance(value, list) else dict(value)[index]
            except (LookupError, ValueError, TypeError):
                known = [str(key) for key in value] if isinstance(value, dict) else []
                close = closest(index, known)
                whole = expression[: expression.rindex(part)] + close if close else None
                raise TemplateError(
                    f"has `${{{expression}}}`, which has no value",
                    f"did you mean `${{{whole}}}`?" if whole else None,
                ) from None
        return value


def resolve(value: Any, context: Context, key: str) -> Any:
    """Fill in every expression of a value, in keys of mappings and items of lists too.

    Args:
        value: Texts, mappings, lists and other scalars.
        context: What expressions name.
        key: The key of the stage that it belongs to: ``cmd`` takes mappings (as options), ``foreach``
            and ``matrix`` take anything.

    Raises:
        TemplateError: An expression has no value, or one that cannot stand there.
    """
    if isinstance(value, Mapping):
        return {resolve(name, context, key): resolve(item, context, key) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(item, context, key) for item in value]
    return _resolve_text(value, context, key) if isinstance(value, str) else value


def has_expression(value: Any) -> bool:
    """Whether there is any expression in a value."""
    if isinstance(value, Mapping):
        return any(has_expression(name) or has_expression(item) for name, item in value.items())
    if isinstance(value, list | tuple):
        return any(has_expression(item) for item in value)
    return isinstance(value, str) and _EXPRESSION.search(value) is not None


def as_text(value: Any) -> str:
    """A value as a part of a text; a mapping becomes options: ``--name value``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(_options(value)) if isinstance(value, Mapping) else str(value)


def _resolve_text(text: str, context: Context, key: str) -> Any:
    matches = list(_EXPRESSION.finditer(text))
    if len(matches) == 1 and matches[0].group(0) == text:
        value = context.select(matches[0]["inner"])
        if key not in ("foreach", "matrix"):
            _require_simple(value, key, exact=True)
        return _copied(value) if not (isinstance(value, dict) and key == "cmd") else as_text(value)
    parts, end = [], 0
    for match in matches:
        value = context.select(match["inner"])
        _require_simple(value, key, exact=False)
        parts += [text[end : match.start()], as_text(value)]
        end = match.end()
    return "".join([*parts, text[end:]]).replace("\\${", "${")


def _require_simple(value: Any, key: str, *, exact: bool) -> None:
    if value is None or isinstance(value, _PRIMITIVES) or (isinstance(value, dict) and key == "cmd"):
        return
    kind = "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else "no text"
    where = "be the whole of" if exact else "stand within"
    raise TemplateError(f"has an expression for {kind}, which cannot {where} it")


def _options(values: Mapping[Any, Any]) -> Iterator[str]:
    for name, value in _flat(values, ""):
        if isinstance(value, bool):
            yield from [f"--{name}"] if value else []
        elif isinstance(value, str):
            yield f"--{name} {quote(value)}"
        elif isinstance(value, list):
            if any(isinstance(item, list | dict) for item in value):
                raise TemplateError(f"has a list within a list at `{name}`, which is no option")
            words = [quote(item) if isinstance(item, str) else str(item) for item in value]
            yield " ".join([f"--{name}", *words]) if words else ""
        else:
            yield f"--{name} {value}"


def _flat(values: Mapping[Any, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
