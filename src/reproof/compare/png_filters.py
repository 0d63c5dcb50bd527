"""Undoing the row filters of PNG (W3C PNG, section 9), which PDF uses as predictors too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reproof.compare.protocol import ContentError

if TYPE_CHECKING:
    import numpy as np

_SUB, _UP, _AVERAGE, _PAETH = 1, 2, 3, 4


def unfilter(rows: np.ndarray, width: int, previous: np.ndarray) -> np.ndarray:
    """The bytes of some rows.

    Args:
        rows: One row for each line: the type of its filter, then its filtered bytes; uint8.
        width: Bytes to the same channel of the pixel on the left; the rows' bytes are a multiple of it.
        previous: The bytes of the row above; zeros for the first.

    Raises:
        ContentError: A filter is not known.
    """
    import numpy as np

    types = rows[:, 0]
    if not len(types):
        return np.zeros((0, rows.shape[1] - 1), np.uint8)
    if types.max() > _PAETH:
        raise ContentError(f"row filter {int(types.max())} is not known")
    if types.max() <= _UP:
        return _simple(rows, width, previous)
    return _skewed(rows, width, previous)


def _simple(rows: np.ndarray, width: int, previous: np.ndarray) -> np.ndarray:
    """Rows that depend on one neighbour only, row by row."""
    import numpy as np

    result = np.empty((len(rows), rows.shape[1] - 1), np.uint8)
    for number, row in enumerate(rows):
        kind, values = int(row[0]), row[1:]
        if kind == _SUB:
            summed = np.cumsum(values.reshape(-1, width), axis=0, dtype=np.uint8)
            result[number] = summed.reshape(-1)
        elif kind == _UP:
            np.add(values, previous, out=result[number])
        else:
            result[number] = values
        previous = result[number]
    return result


def _skewed(rows: np.ndarray, width: int, previous: np.ndarray) -> np.ndarray:
    """All rows at once, along the diagonals: what a pixel depends on is done a step or two before.

    Pixel `column` of row `row` is computed in step ``column + row``; in front of a row are zeros.
    """
    import numpy as np

    count, columns = len(rows), (rows.shape[1] - 1) // width
    steps = columns + count
    done = np.zeros((steps + 2, count + 1, width), np.int16)
    given = np.zeros((steps + 2, count, width), np.int16)
    done[2 : 2 + columns, 0] = previous.reshape(columns, width)
    for number in range(count):
        given[3 + number : 3 + number + columns, number] = rows[number, 1:].reshape(columns, width)
    masks = [(rows[:, :1] == kind).astype(np.int16) for kind in (_SUB, _UP, _AVERAGE, _PAETH)]
    uses_average = bool(masks[2].any())
    for step in range(3, steps + 2):
        left, above, corner = done[step - 1, 1:], done[step - 1, :-1], done[step - 2, :-1]
        guess = masks[0] * left + masks[1] * above + masks[3] * _paeth(left, above, corner)
        if uses_average:
            guess += masks[2] * ((left + above) >> 1)
        np.bitwise_and(given[step] + guess, 255, out=done[step, 1:])
    result = np.empty((count, columns * width), np.uint8)
    for number in range(count):
        result[number] = done[3 + number : 3 + number + columns, 1 + number].reshape(-1)
    return result


def _paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """The neighbour nearest to ``left + above - corner``."""
    import numpy as np

    rise, slope = above - corner, left - corner
    to_left, to_above, to_corner = np.abs(rise), np.abs(slope), np.abs(rise + slope)
    second = np.where(to_above <= to_corner, above, corner)
    result: np.ndarray = np.where((to_left <= to_above) & (to_left <= to_corner), left, second)
    return result
