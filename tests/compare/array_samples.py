"""Valid files of arrays: npy, npz, safetensors; see samples.py."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

GRID = np.arange(60, dtype="<f8").reshape(5, 12) / 7
SPECIAL = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.5], "<f4")
RECORDS = np.array([(1, 2.5, b"x"), (2, -0.0, b"y")], [("id", "<i4"), ("value", "<f8"), ("tag", "S3")])

NUMPY_OF = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "U8": "|u1",
    "BOOL": "|b1",
    "BF16": "<u2",
}
Tensors = dict[str, tuple[str, np.ndarray]]


def npy(array: Any, version: tuple[int, int] | None = None) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asanyarray(array), version=version)
    return buffer.getvalue()


def npz(compressed: bool = False, **arrays: Any) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def safetensors(
    tensors: Tensors, metadata: dict[str, str] | None = None, *, pad: int = 0, indent: int | None = None
) -> bytes:
    """A file as the library writes it: each name with the name of its type there and its elements."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    data = b""
    for name, (dtype, array) in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header, indent=indent).encode() + b" " * pad
    return struct.pack("<Q", len(text)) + text + data


TENSORS: Tensors = {
    "layer.weight": ("F32", np.arange(12, dtype="<f4").reshape(3, 4) / 3),
    "layer.bias": ("BF16", np.array([0x3F80, 0xBF80, 0x8000], "<u2")),
    "step": ("I64", np.array(7, "<i8")),
    "empty": ("F16", np.zeros((0, 3), "<f2")),
}


def _written(folder: Path, files: dict[str, bytes]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def _npy(folder: Path) -> list[Path]:
    return _written(
        folder,
        {
            "a.npy": npy(GRID),
            "b.npy": npy(np.asfortranarray(GRID)),
            "c.npy": npy(GRID.astype(">f8")),
            "d.npy": npy(GRID, (2, 0)),
            "e.npy": npy(GRID + 1e-12),
            "f.npy": npy(SPECIAL),
            "g.npy": npy(RECORDS),
            "h.npy": npy(np.array([{"a": 1}, None], object)),
            "i.npy": npy(np.array("text")),
            "j.npy": npy(GRID) + npy(SPECIAL),
            "k.npy": npy(np.zeros((0, 4))),
            "l.npy": npy(np.array(["2020-01-01", "NaT"], "<M8[D]")),
        },
    )


def _npz(folder: Path) -> list[Path]:
    return _written(
        folder,
        {
            "a.npz": npz(grid=GRID, special=SPECIAL),
            "b.npz": npz(compressed=True, special=SPECIAL, grid=GRID),
            "c.npz": npz(grid=GRID * (1 + 1e-15), special=SPECIAL),
            "d.npz": npz(grid=GRID),
        },
    )


def _safetensors(folder: Path) -> list[Path]:
    turned = dict(reversed(TENSORS.items()))
    changed = {**TENSORS, "layer.weight": ("F32", TENSORS["layer.weight"][1] + np.float32(1e-6))}
    return _written(
        folder,
        {
            "a.safetensors": safetensors(TENSORS, {"format": "pt"}),
            "b.safetensors": safetensors(turned, {"format": "pt"}, pad=5),
            "c.safetensors": safetensors(TENSORS, {"format": "np"}, indent=1),
            "d.safetensors": safetensors(changed, {"format": "pt"}),
            "e.safetensors": safetensors({}),
            "f.safetensors": safetensors({"new": ("F7_E9", np.zeros(3, "u1"))}),
        },
    )


def _content(name: str, data: bytes, *pieces: bytes) -> Callable[[Path], tuple[Path, list[int]]]:
    def build(folder: Path) -> tuple[Path, list[int]]:
        (path,) = _written(folder, {name: data})
        return path, [data.index(piece) + number for piece in pieces for number in range(len(piece))]

    return build


_HEADER = b'"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]'

SAMPLES: dict[str, Callable[[Path], list[Path]]] = {"npy": _npy, "npz": _npz, "safetensors": _safetensors}

CONTENT: dict[str, Callable[[Path], tuple[Path, list[int]]]] = {
    "npy": _content("a.npy", npy(GRID), GRID.tobytes(), b"f8", b"False", b"(5, 12)", b"descr"),
    "npz": _content("a.npz", npz(grid=GRID), GRID.tobytes()),
    "safetensors": _content(
        "a.safetensors",
        safetensors(TENSORS, {"format": "pt"}),
        *(array.tobytes() for _, array in TENSORS.values() if array.size),
        _HEADER,
        b'"format": "pt"',
        b"layer.weight",
    ),
}
