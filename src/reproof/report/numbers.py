"""Numbers as people read them, without losing a bit of what they are."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_NAN = re.compile(r"nan(?::(?P<payload>[0-9a-fA-F]{1,16}))?")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")


def parse(text: str | None) -> float | None:
    """The number in `text`: ``float.hex``, decimal, ``nan``, ``nan:<hex digits>``, ``inf``; else None."""
    if text is None:
        return None
    text = text.strip()
    if _NAN.fullmatch(text.lower()):
        return math.nan
    try:
        if text.lower().lstrip("+-") in ("inf", "infinity"):
            return float(text)
        if "0x" in text.lower():
            return float.fromhex(text)
        return float(text) if _DECIMAL.fullmatch(text) else None
    except (ValueError, OverflowError):
        return None


def shortest(text: str) -> str:
    """A value of a record for people: the shortest decimal that reads back to the same bits.

    ``nan:7ff8000000000001`` keeps its payload in words; what is no number stays as it is.
    """
    match = _NAN.fullmatch(text.strip().lower())
    if match is not None:
        return f"nan (bits {match['payload']})" if match["payload"] else "nan"
    number = parse(text) if "0x" in text.lower() else None
    return text if number is None else repr(number)


def distance_text(facts: Mapping[str, Any]) -> str:
    """``relative 1.5e-04, 3 ulp``: how far two numbers are apart; empty where no number says it.

    Args:
        facts: ``relative``, ``absolute`` and ``ulp`` as `reproof.compare` puts them into evidence,
            or ``largest_relative`` and so on for several numbers.
    """
    found = {name: number_in(facts, name) for name in ("relative", "absolute", "ulp")}
    parts = []
    if found["relative"] is not None:
        parts.append(f"relative {found['relative']:.2g}")
    elif found["absolute"] is not None:
        parts.append(f"absolute {found['absolute']:.2g}")
    steps = found["ulp"]
    if steps is not None:
        parts.append(f"{steps:,.0f} ulp" if steps < 1_000_000 else f"{steps:.1e} ulp")
    return ", ".join(parts)


def number_in(facts: Mapping[str, Any], name: str) -> float | None:
    """The fact `name`, or the largest of several, as a finite number; else None."""
    for key in (name, f"largest_{name}"):
        fact = facts.get(key)
        if isinstance(fact, (int, float)) and not isinstance(fact, bool):
            try:
                number = float(fact)
            except OverflowError:
                return None
            return number if math.isfinite(number) else None
    return None


def size_text(size: int) -> str:
    """Bytes for people: ``512 bytes``, ``12.4 KiB``, ``554 KiB``."""
    if size < 1024:
        return "1 byte" if size == 1 else f"{size} bytes"
    value = size / 1024
    for unit in _UNITS[:-1]:
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:,.3g} {_UNITS[-1]}"


def seconds_text(seconds: float) -> str:
    """Time for people: ``40 ms``, ``12.4 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count_text(count: int, noun: str, plural: str | None = None) -> str:
    """``1 package``, ``1,204 packages``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
