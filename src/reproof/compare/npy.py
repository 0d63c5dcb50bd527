"""NumPy's own file format, read without NumPy's pickling."""

from __future__ import annotations

import io

from reproof.compare.protocol import ContentError
from reproof.compare.tensors import Tensor

_MAX_HEADER = 1 << 16


def read_npy(view: memoryview) -> Tensor:
    """The array in `view`, an npy file of format 1.0, 2.0 or 3.0; its data are not copied.

    Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

    Raises:
        ContentError: It is no npy file, is damaged, or holds Python objects.
    """
    import numpy as np

    head = io.BytesIO(bytes(view[:_MAX_HEADER]))
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
        (3, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        version = np.lib.format.read_magic(head)
        if version not in readers:
            raise ContentError(f"an npy file of the unknown format {version}")
        shape, is_fortran, layout = readers[version](head, max_header_size=_MAX_HEADER)
    except (ValueError, TypeError, SyntaxError, KeyError, MemoryError, RecursionError) as error:
        raise ContentError(f"no npy file: {error}") from None
    if layout.hasobject:
        raise ContentError("an npy file with Python objects")
    return Tensor.of(layout, tuple(shape), view[head.tell() :], "F" if is_fortran else "C").checked()
