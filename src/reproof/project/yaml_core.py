"""YAML 1.2 as DVC reads and writes it: ``yes`` is a text, ``1e-5`` a number, ``010`` ten.

PyYAML follows YAML 1.1. DVC uses ruamel.yaml with the core schema of https://yaml.org/spec/1.2.2/;
what is read or written for it must mean the same to both.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from reproof.project.yaml_document import Document, read_yaml

_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_FLOAT = re.compile(
    r"""^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)
    |[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?
    |[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)
_INT = re.compile(r"^(?:[-+]?0b[0-1_]+|[-+]?0o[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+)$")
_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_RESOLVERS = (
    ("bool", _BOOL, "tTfF"),
    ("float", _FLOAT, "-+0123456789."),
    ("int", _INT, "-+0123456789"),
    ("null", _NULL, "~nN\0"),
)
#: Taken over from YAML 1.1 as they are.
_KEPT = ("tag:yaml.org,2002:merge", "tag:yaml.org,2002:timestamp")


def read_core_yaml(data: bytes, name: str) -> Document:
    """Read a document as DVC does. Raises ProjectError; see :func:`read_yaml`."""
    return read_yaml(data, name, loader=_loader)


def write_core_yaml(value: Any) -> str:
    """A document as DVC writes it: block style, keys in their order."""
    import yaml

    return yaml.dump(
        value, Dumper=_dumper(), sort_keys=False, default_flow_style=False, allow_unicode=True, width=80
    )


def _loader(base: Any) -> Any:
    """A loader of PyYAML, slow or fast, with the scalars of YAML 1.2."""
    return _loaders(base)


@functools.cache
def _loaders(base: Any) -> Any:
    loader: Any = type("CoreLoader", (base,), {"yaml_implicit_resolvers": _resolvers(base)})
    loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
    loader.add_constructor("tag:yaml.org,2002:float", _construct_float)
    return loader


@functools.cache
def _dumper() -> Any:
    import yaml

    dumper: Any = type(
        "CoreDumper", (yaml.SafeDumper,), {"yaml_implicit_resolvers": _resolvers(yaml.SafeDumper)}
    )
    dumper.write_plain = _write_plain(yaml.SafeDumper.write_plain)
    dumper.choose_scalar_style = _choose_style(yaml.SafeDumper.choose_scalar_style)
    dumper.ignore_aliases = lambda self, data: True  # noqa: ARG005
    dumper.add_representer(float, _represent_float)
    dumper.add_representer(type(None), _represent_none)
    dumper.add_representer(tuple, yaml.SafeDumper.represent_list)
    return dumper


def _resolvers(base: Any) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """The table by first character that PyYAML looks scalars up in."""
    table: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for first, rows in base.yaml_implicit_resolvers.items():
        table[first] = [row for row in rows if row[0] in _KEPT]
    for kind, pattern, firsts in _RESOLVERS:
        for first in firsts:
            key = "" if first == "\0" else first
            table.setdefault(key, []).append((f"tag:yaml.org,2002:{kind}", pattern))
    return table


def _construct_int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node).replace("_", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2], 10)
    return sign * int(digits if base == 10 else digits[2:], base)


def _construct_float(loader: Any, node: Any) -> float:
    text = loader.construct_scalar(node).replace("_", "").lower()
    if text.endswith((".inf", ".nan")):
        return float(text.replace(".", ""))
    return float(text)


def _represent_float(dumper: Any, value: float) -> Any:
    text = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(value), repr(value).lower())
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


def _represent_none(dumper: Any, _: None) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:null", "")


def _choose_style(usual: Callable[[Any], str]) -> Callable[[Any], str]:
    """Double quotes where single ones would have to be doubled, as ruamel.yaml has it."""

    def choose(emitter: Any) -> str:
        style = usual(emitter)
        value = emitter.event.value
        return '"' if style == "'" and not emitter.event.style and ("'" in value or "\n" in value) else style

    return choose


def _write_plain(usual: Callable[..., None]) -> Callable[..., None]:
    """Writes a plain scalar with the line breaks of ruamel.yaml: a word that does not fit starts a line."""

    def write(emitter: Any, text: str, split: bool = True) -> None:
        if (
            not text
            or not split
            or emitter.root_context
            or any(each in text for each in "\n\x85\u2028\u2029")
        ):
            usual(emitter, text, split)
            return
        if not emitter.whitespace:
            _put(emitter, " ")
        emitter.whitespace = emitter.indention = False
        for part in re.findall(r" +|[^ ]+", text):
            is_full = emitter.column >= emitter.best_width
            too_long = emitter.column + len(part) > emitter.best_width and emitter.column > (
                emitter.indent or 0
            )
            if part == " " and is_full:
                emitter.write_indent()
                emitter.whitespace = emitter.indention = False
                continue
            if part[0] != " " and too_long and emitter.indent is not None:
                emitter.write_indent()
            _put(emitter, part)

    return write


def _put(emitter: Any, text: str) -> None:
    emitter.column += len(text)
    emitter.stream.write(text.encode(emitter.encoding) if emitter.encoding else text)
