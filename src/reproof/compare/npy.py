"""An array of NumPy's own format that is held in memory, as a tensor."""

from __future__ import annotations

from reproof.compare.npy_header import read_npy_header
from reproof.compare.protocol import Source
from reproof.compare.tensors import Tensor

_LONGEST_HEADER = (1 << 20) + 12


def read_npy(view: memoryview) -> Tensor:
    """The array in `view`, an npy file; its data are not copied.

    Raises:
        ContentError: It is no npy file, is damaged, or holds Python objects.
    """
    header = read_npy_header(Source(name="npy", data=bytes(view[:_LONGEST_HEADER])))
    return Tensor.of(header.layout, header.shape, view[header.offset :], header.order).checked()
