"""The numbers of a run by name: logged metrics, and numbers in small JSON files that it made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from reproof.compare.metrics import last_values
from reproof.errors import StoreError
from reproof.workflow.judge import Side

_LARGEST = 1 << 20  # bytes of a JSON file that is read
_MOST = 10_000  # numbers of one file


def values_of(side: Side) -> dict[str, str]:
    """The last value of each metric, ``rmse``, and numbers of JSON files as ``metrics.json:test.rmse``.

    Values are written as :func:`reproof.compare.metrics.number_of` reads them.
    """
    found = dict(last_values(side.record.metrics))
    for artifact in side.record.products:
        if not artifact.name.endswith(".json") or artifact.digest is None or artifact.size > _LARGEST:
            continue
        try:
            document = msgspec.json.decode(side.store.get_bytes(artifact.digest))
        except (StoreError, msgspec.DecodeError, UnicodeDecodeError):
            continue
        for count, (name, value) in enumerate(_numbers(document, "")):
            if count >= _MOST:
                break
            found.setdefault(f"{artifact.name}:{name}", value.hex())
    return found


def _numbers(value: Any, name: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _numbers(inner, f"{name}[{index}]")
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
        yield name, float(value)
