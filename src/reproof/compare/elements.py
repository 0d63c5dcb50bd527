"""Numbers as they lie in files: how far two blocks of elements are from each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from reproof.model.policy import Tolerance

if TYPE_CHECKING:
    import numpy as np

#: Types that NumPy does not know: name to (bytes, kind); ``float8`` values come from a table.
FOREIGN = {"bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1}


@dataclass
class Distance:
    """What is known so far about the elements that differ.

    Attributes:
        differing: How many differ in at least one bit.
        first: Flat index of the first of them in C order.
        max_abs: Largest absolute difference among those that are numbers.
        max_rel: Largest difference relative to the larger magnitude of the two.
        max_ulp: Largest difference in units in the last place of the type; None for no float.
        without_number: How many differ in a way that is no number (NaN or infinity on one side,
            NaN of other bits, or a type that is no number).
        outside: How many are not within the tolerance.
    """

    differing: int = 0
    first: int = -1
    max_abs: float | int = 0
    max_rel: float = 0.0
    max_ulp: int | None = None
    without_number: int = 0
    outside: int = 0
    is_numeric: bool = field(default=True)

    def facts(self) -> dict[str, Any]:
        """The evidence, as JSON values."""
        result: dict[str, Any] = {"differing": self.differing}
        if self.is_numeric and self.differing > self.without_number:
            result |= {"max_abs": self.max_abs, "max_rel": self.max_rel}
            if self.max_ulp is not None:
                result["max_ulp"] = self.max_ulp
        if self.without_number and self.is_numeric:
            result["without_number"] = self.without_number
        return result


def measure(
    kind: str, expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance, into: Distance
) -> None:
    """Add the differing elements of one block to `into`.

    Args:
        kind: Name of a foreign type, else the NumPy kind of the elements (``f``, ``i``, ``u``,
            ``c``, or any other for elements that are no numbers).
        expected: The elements that differ, one dimension, native byte order; of foreign types
            their bits as unsigned integers.
        actual: The same elements of the other side.
        tolerance: Bounds.
        into: Where counts and maxima are gathered.
    """
    into.differing += len(expected)
    if kind in FOREIGN or kind == "f":
        close = _measure_floats(kind, expected, actual, tolerance, into)
    elif kind in "iu":
        close = _measure_integers(expected, actual, tolerance, into)
    elif kind == "c":
        close = _measure_complex(expected, actual, tolerance, into)
    else:
        into.is_numeric = False
        into.without_number += len(expected)
        into.outside += len(expected)
        return
    into.outside += int(len(expected) - close.sum())


def _measure_floats(
    kind: str, expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance, into: Distance
) -> np.ndarray:
    """Gather how far pairs of floats lie apart; for each pair, whether that is within the tolerance."""
    import numpy as np

    first, second = _values(kind, expected), _values(kind, actual)
    with np.errstate(all="ignore"):
        distance = np.abs(first - second)
        larger = np.maximum(np.abs(first), np.abs(second))
        relative = np.where(larger > 0, distance / larger, 0.0)
    finite: np.ndarray = np.isfinite(first) & np.isfinite(second)
    into.without_number += int(len(finite) - finite.sum())
    if not finite.any():
        return finite
    into.max_abs = max(into.max_abs, float(distance[finite].max()))
    into.max_rel = max(into.max_rel, float(relative[finite].max()))
    close: np.ndarray = np.asarray(
        finite & (distance <= tolerance.atol + tolerance.rtol * larger) & (not tolerance.is_exact)
    )
    steps = _steps(expected, actual) if expected.dtype.itemsize <= 8 else None
    if steps is not None:
        into.max_ulp = max(into.max_ulp or 0, int(steps[finite].max()))
        if tolerance.ulp:
            close |= finite & (steps <= np.uint64(tolerance.ulp))
    return close


def _measure_integers(
    expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance, into: Distance
) -> np.ndarray:
    import numpy as np

    larger, smaller = np.maximum(expected, actual), np.minimum(expected, actual)
    distance = larger.astype(np.uint64) - smaller.astype(np.uint64)  # modulo 2**64 is exact here
    into.max_abs = max(into.max_abs, int(distance.max()))
    magnitude = np.maximum(np.abs(expected.astype(np.float64)), np.abs(actual.astype(np.float64)))
    into.max_rel = max(into.max_rel, float((distance / magnitude).max()))
    within = distance <= tolerance.atol + tolerance.rtol * magnitude
    result: np.ndarray = within & (not tolerance.is_exact)
    return result


def _measure_complex(
    expected: np.ndarray, actual: np.ndarray, tolerance: Tolerance, into: Distance
) -> np.ndarray:
    import numpy as np

    part = expected.real.dtype
    first, second = expected.view(part), actual.view(part)
    before = into.without_number
    close = _measure_floats("f", first, second, tolerance, into)
    close |= first.view(f"V{part.itemsize}") == second.view(f"V{part.itemsize}")
    into.without_number = before + int((~_finite(first, second)).reshape(-1, 2).any(axis=1).sum())
    result: np.ndarray = np.asarray(close.reshape(-1, 2).all(axis=1))
    return result


def _finite(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    import numpy as np

    result: np.ndarray = np.isfinite(first) & np.isfinite(second)
    return result


def _values(kind: str, elements: np.ndarray) -> np.ndarray:
    """The numbers that the elements stand for, in a type wide enough to hold them exactly."""
    import numpy as np

    if kind == "bfloat16":
        return (elements.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
    if kind in FOREIGN:
        result: np.ndarray = _table(kind)[elements]
        return result
    return elements.astype(np.float64) if elements.dtype.itemsize < 8 else elements


@cache
def _table(kind: str) -> np.ndarray:
    """The 256 values of an eight-bit float type (Micikevicius et al., FP8 formats, 2022)."""
    import numpy as np

    bits = np.arange(256, dtype=np.uint16)
    if kind == "float8_e5m2":  # the upper half of a float16
        return (bits << np.uint16(8)).view(np.float16).astype(np.float64)
    exponent, fraction = (bits >> 3) & 15, (bits & 7).astype(np.float64)
    value = np.where(
        exponent == 0,
        fraction / 8 * 2.0**-6,
        (1 + fraction / 8) * np.exp2(exponent.astype(np.float64) - 7),
    )
    value = np.where((bits & 127) == 127, np.nan, value)
    return np.where(bits >= 128, -value, value)


def _steps(expected: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """How many representable values lie between: the integers behind IEEE floats are ordered."""
    import numpy as np

    size = expected.dtype.itemsize
    ordered = []
    for elements in (expected, actual):
        bits = elements.view(f"u{size}").astype(np.uint64)
        sign = np.uint64(1 << (8 * size - 1))
        magnitude = (bits & ~sign).astype(np.int64)
        ordered.append(np.where(bits & sign != 0, -magnitude, magnitude))
    larger, smaller = np.maximum(*ordered), np.minimum(*ordered)
    return larger.view(np.uint64) - smaller.view(np.uint64)
