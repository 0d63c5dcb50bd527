"""Nodes and their places as short text for people."""

from __future__ import annotations

import re
from typing import Any

from reproof.compare.pickles.folded import Array, Arrow, Dtype, Thing
from reproof.compare.pickles.nodes import (
    Call,
    Extension,
    Global,
    Mapping,
    OutOfBand,
    Persistent,
    Raw,
    Sequence,
)
from reproof.compare.tensors import dtype_name

_WIDTH = 120
_STEPS = 40
_PLAIN = re.compile(r"[^\W\d]\w*")
_BRACKETS = {"list": "[]", "tuple": "()", "set": "{}", "frozenset": "{}"}

#: A place: (place of the container, kind of step, step); None for the root.
Place = tuple[Any, str, Any] | None


def show(value: Any) -> str:
    """A value on one line of at most 120 characters."""
    text = _show(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _show(value: Any) -> str:
    if type(value) is int and value.bit_length() > 400:
        return hex(value >> (value.bit_length() - 160))[:40] + f"… ({value.bit_length()} bits)"
    if type(value) is str:
        return repr(value[: _WIDTH + 1])
    if isinstance(value, Global):
        return value.name
    if isinstance(value, Raw):
        word = "text" if value.kind == "text" else value.kind
        return f"{word} of {memoryview(value.data).nbytes:,} bytes"
    if isinstance(value, Sequence):
        return f"{value.kind} of {len(value.items):,}"
    if isinstance(value, Mapping):
        return f"dict of {len(value.pairs):,}"
    if isinstance(value, Array):
        return _show_array(value)
    if isinstance(value, Dtype):
        return f"dtype {dtype_name(value.layout)}{' (big endian)' if value.layout.byteorder == '>' else ''}"
    if isinstance(value, Thing | Call):
        return _show_object(value)
    if isinstance(value, Arrow):
        return f"Arrow array of {value.length:,}"
    if isinstance(value, Persistent):
        return f"persistent id {value.key!r}" if type(value.key) in (str, int) else "persistent id"
    if isinstance(value, OutOfBand):
        return f"out-of-band buffer {value.number}"
    if isinstance(value, Extension):
        return f"extension {value.code}"
    return repr(value)


def _show_array(value: Array) -> str:
    if value.tensor is None:
        return f"array of {len(value.items or ()):,} objects"
    if value.owner == "scalar" and value.tensor.layout is not None:
        import numpy as np

        return str(np.frombuffer(value.tensor.data, value.tensor.layout, 1)[0])
    return value.tensor.text


def _show_object(value: Thing | Call) -> str:
    owner = value.owner if isinstance(value, Thing) else value.callee
    name = owner.name if isinstance(owner, Global) else "object"
    given = value.arguments if isinstance(value, Thing) else getattr(value.arguments, "items", [])
    simple = [repr(each) for each in given[:4] if each is None or type(each) in (str, float, bool)]
    simple += [show(each) for each in given[:4] if type(each) is int]
    return f"{name}({', '.join(simple)})" if len(simple) == len(given) else f"{name}(…)"


def place_name(place: Place, root: str, *, plain_keys: bool = False) -> str:
    """``steps[1].regressor.n_estimators``; `root` for the root itself.

    With `plain_keys` keys that are names are written like attributes, as documents have no others.
    """
    steps: list[str] = []
    while place is not None:
        place, kind, step = place
        if plain_keys and kind == "key" and type(step) is str:
            steps.append(step if place is None and "/" in step else _step("attribute", step))
        else:
            steps.append(_step(kind, step))
        if len(steps) > _STEPS:
            depth = len(steps)
            while place is not None:
                place, depth = place[0], depth + 1
            return f"…{''.join(reversed(steps[:12]))} ({depth} levels deep)"
    text = "".join(reversed(steps))
    return text.removeprefix(".") if text else root


def _step(kind: str, step: Any) -> str:
    if kind == "attribute" and _PLAIN.fullmatch(step):
        return f".{step}"
    if kind in ("index", "attribute"):
        return f"[{step}]"
    if kind == "key":
        return f"[{show(step)}]"
    return f".{step}" if _PLAIN.fullmatch(str(step)) else str(step)
