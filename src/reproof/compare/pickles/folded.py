"""What nodes mean once the many ways to write one thing are folded into one."""

from __future__ import annotations

from typing import Any

from reproof.compare.pickles.nodes import Node
from reproof.compare.tensors import Tensor


class Array(Node):
    """An array, or a NumPy scalar: its class, and its elements as a tensor or, for objects, as nodes.

    Attributes:
        owner: Name of the class: ``numpy.ndarray``, ``numpy.matrix``, ``scalar``, ``torch.Tensor``.
        tensor: The elements; None where they are objects.
        items: The objects in C order; None where there are none.
        shape: Lengths of the axes.
        encoding: How it was written, to name it where the two sides differ.
        extra: Further nodes that belong to it, by name (``requires_grad``).
        anchor: What two arrays share when they share memory; None when they cannot.
    """

    __slots__ = ("anchor", "encoding", "extra", "items", "owner", "shape", "tensor")

    def __init__(
        self,
        owner: str,
        *,
        tensor: Tensor | None = None,
        items: list[Any] | None = None,
        shape: tuple[int, ...],
        encoding: str,
    ) -> None:
        self.owner = owner
        self.tensor = tensor
        self.items = items
        self.shape = shape
        self.encoding = encoding
        self.extra: dict[str, Any] = {}
        self.anchor: Any = None


class Dtype(Node):
    """A NumPy type as a value."""

    __slots__ = ("layout",)

    def __init__(self, layout: Any) -> None:
        self.layout = layout


class Thing(Node):
    """An object of a class: what it was made from, and what was then done to it.

    Attributes:
        kind: ``call`` or ``new``, see :class:`reproof.compare.pickles.nodes.Call`.
        owner: The class or function, a node.
        arguments: Positional arguments.
        keywords: Keyword arguments or None.
        attributes: What a state of names sets; None when there is no such state.
        slots: The second part of a state of two mappings.
        states: States of any other form.
        items: What was appended or added.
        pairs: What was set by key.
        effects: Calls that were made on it.
    """

    __slots__ = (
        "arguments", "attributes", "effects", "items", "keywords", "kind", "owner", "pairs", "slots", "states",
    )  # fmt: skip

    def __init__(self, kind: str, owner: Any, arguments: list[Any]) -> None:
        self.kind = kind
        self.owner = owner
        self.arguments = arguments
        self.keywords: Any = None
        self.attributes: dict[str, Any] | None = None
        self.slots: dict[str, Any] | None = None
        self.states: list[Any] = []
        self.items: list[Any] | None = None
        self.pairs: list[tuple[Any, Any]] | None = None
        self.effects: list[Any] | None = None

    @property
    def is_mutable(self) -> bool:
        """Whether something was done to it after it was made."""
        return bool(self.attributes or self.slots or self.states or self.items or self.pairs or self.effects)


class Arrow(Node):
    """An Arrow array without offset and padding.

    Attributes:
        type: Its type, a node.
        length: How many elements.
        valid: One byte for each element, 1 where it is not null; None when none is.
        offsets: Where each variable-sized element ends, from 0; None for fixed-sized ones.
        values: The elements one after the other.
        width: Bytes of one element; 0 for variable-sized ones.
        encoding: The offset and buffer sizes, to name a difference of layout.
    """

    __slots__ = ("encoding", "length", "offsets", "type", "valid", "values", "width")

    def __init__(self, type_: Any, length: int, encoding: str) -> None:
        self.type = type_
        self.length = length
        self.encoding = encoding
        self.valid: Any = None
        self.offsets: Any = None
        self.values: Any = b""
        self.width = 0


class Frame(Node):
    """The content of a pandas table or series.

    Attributes:
        axes: The indexes, nodes.
        columns: Values of each column by its place.
        layout: How the columns were joined, to name it where the two sides differ.
        labels: Names of the columns; None where they are not all text.
    """

    __slots__ = ("axes", "columns", "labels", "layout")

    def __init__(self, axes: list[Any], columns: dict[int, Any], layout: str) -> None:
        self.axes = axes
        self.columns = columns
        self.layout = layout
        self.labels: list[str] | None = None
