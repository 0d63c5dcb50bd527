"""YAML 1.2 as DVC reads and writes it: ``yes`` is a text, ``1e-5`` a number, ``010`` ten.

PyYAML follows YAML 1.1. DVC uses ruamel.yaml with the core schema of https://yaml.org/spec/1.2.2/;
what is read or written for it must mean the same to both.
"""

from __future__ import annotations

import functools
import re
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
