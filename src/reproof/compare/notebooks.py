"""Jupyter notebooks: cells and what they put out; when a cell ran and what it was called by set aside, each by name.

Format 4 (nbformat's description of the notebook format, 4.0 to 4.5). Content is source, output, metadata and the
numbers of executed cells. An output that was written in pieces is one text: where it is cut is a matter of time.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from reproof.compare.documents import SyntaxProblem, read_json
from reproof.compare.protocol import Context, Source
from reproof.compare.structured import JsonComparator
from reproof.compare.text import looks_like_text
from reproof.compare.trees import Tagged, Walk, compare_trees
from reproof.model.difference import Difference, Outcome

_TIMES = ("start_time", "end_time", "duration")
_ADDRESS = re.compile(r"(?<= at )0x[0-9a-fA-F]{6,16}\b")  # as in the repr of an object
_KERNEL = re.compile(r"[^\s\"'(<]*/ipykernel_\d+/(\d+)\.py")
_IMAGES = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/svg+xml": "svg",
    "application/pdf": "pdf",
}


class NotebookComparator:
    """Notebooks by cells and outputs; images in them by what they show."""

    name = "notebook"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Text that is called so."""
        return all(
            side.name.lower().endswith(".ipynb") and looks_like_text(side.head())
            for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children are named by path: ``$.cells[3].outputs[0].text[1]``. What is no notebook is compared as JSON."""
        limit = context.limits.max_bytes_in_memory
        try:
            trees = [read_json(side.read(limit), context) for side in (expected, actual)]
        except SyntaxProblem:
            trees = []
        if not trees or not all(map(_is_notebook, trees)):
            return JsonComparator().compare(expected, actual, subject, context)
        one, two = (_Notebook(tree) for tree in trees)
        walk = Walk(context)
        compare_trees(one.tree, two.tree, context, walk)
        for path in sorted(one.images.keys() & two.images.keys()):
            if one.images[path] != two.images[path]:
                sides = [Source(name=path.rpartition(" ")[2], data=each.images[path]) for each in (one, two)]
                walk.parts.add(context.compare(sides[0], sides[1], path.partition(" ")[0]))
        walk.names.update(name for name in one.aside if one.aside[name] != two.aside[name])
        if walk.parts.outcome <= Outcome.EQUIVALENT and not walk.names and not any(walk.parts.children()):
            walk.names.add("layout")
        return _finish(walk, subject, len(one.tree["cells"]))


def _finish(walk: Walk, subject: str, cells: int) -> Difference:
    names = tuple(sorted(walk.names))
    if walk.parts.outcome >= Outcome.CLOSE:
        first = next(part for part in walk.parts.children() if part.outcome is walk.parts.outcome)
        count = walk.parts.differing
        summary = f"{count:,} values differ" if count > 1 else "1 value differs"
        summary += f": {first.subject} {first.summary}"
    else:
        summary = "same cells and outputs" + (f", other {' and '.join(names)}" if names else "")
    return walk.parts.difference(
        subject, kind="notebook", summary=summary, canonicalised=names, evidence={"cells": cells}
    )


def _is_notebook(tree: Any) -> bool:
    return isinstance(tree, dict) and isinstance(tree.get("cells"), list) and "nbformat" in tree


class _Notebook:
    """One side, taken apart.

    Attributes:
        tree: What is compared value by value.
        images: Path and file name of each image to its bytes; the tree says only that it is there.
        aside: Name of each canonicalisation to all that it took away.
    """

    def __init__(self, tree: dict[str, Any]) -> None:
        self.images: dict[str, bytes] = {}
        self.aside: dict[str, list[Any]] = {
            "execution times": [],
            "cell ids": [],
            "pieces of output": [],
            "splitting of texts": [],
            "memory addresses": [],
            "paths of the kernel": [],
        }
        metadata = tree.get("metadata")
        if isinstance(metadata, dict):
            self._take_times(metadata)
        tree["cells"] = [self._cell(cell, number) for number, cell in enumerate(tree["cells"])]
        self.tree = tree

    def _cell(self, cell: Any, number: int) -> Any:
        if not isinstance(cell, dict):
            return cell
        if "id" in cell:
            self.aside["cell ids"].append(cell.pop("id"))
        metadata = cell.get("metadata")
        if isinstance(metadata, dict):
            self._take_times(metadata)
        if "source" in cell:
            cell["source"] = self._lines(cell["source"])
        if isinstance(cell.get("outputs"), list):
            cell["outputs"] = [
                self._output(output, f"$.cells[{number}].outputs[{place}]")
                for place, output in enumerate(self._joined(cell["outputs"]))
            ]
        return cell

    def _take_times(self, metadata: dict[str, Any]) -> None:
        for name in ("execution", "ExecuteTime"):
            if _holds_texts(metadata.get(name)):
                self.aside["execution times"].append(metadata.pop(name))
        papermill = metadata.get("papermill")
        if isinstance(papermill, dict):
            taken = [papermill.pop(name) for name in _TIMES if name in papermill]
            self.aside["execution times"].extend(taken)

    def _joined(self, outputs: list[Any]) -> list[Any]:
        """Outputs with what was written to one stream without another output between as one."""
        found: list[Any] = []
        streams: dict[str, dict[str, Any]] = {}
        for output in outputs:
            name = output.get("name") if _is_stream(output) else None
            if name is None:
                found += [*(streams[each] for each in sorted(streams)), output]
                streams = {}
                continue
            text = _text(output.get("text"))
            self.aside["pieces of output"].append((name, len(text)))
            if name in streams:
                streams[name]["text"] += text
            else:
                streams[name] = {**output, "text": text}
        return [*found, *(streams[each] for each in sorted(streams))]

    def _output(self, output: Any, path: str) -> Any:
        if not isinstance(output, dict):
            return output
        for name in ("text", "traceback", "evalue"):
            if name in output:
                output[name] = self._settled(output[name])
        data = output.get("data")
        if not isinstance(data, dict):
            return output
        for kind in list(data):
            content = self._image(kind, data[kind])
            if content is not None:
                self.images[f"{path}.data['{kind}'] output.{_IMAGES[kind]}"] = content
                data[kind] = Tagged("image", "")
            elif isinstance(kind, str) and kind.startswith("text/"):
                data[kind] = self._settled(data[kind])
        return output

    def _image(self, kind: Any, value: Any) -> bytes | None:
        if kind not in _IMAGES or not _is_text(value):
            return None
        text = _text(value)
        if kind == "image/svg+xml":
            return text.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(text.replace("\n", ""), validate=True)
        except (binascii.Error, ValueError):
            return None

    def _settled(self, value: Any) -> Any:
        """Lines of an output, without what is new in each process."""
        if not _is_text(value):
            return value
        text = _text(value)
        for name, pattern, instead in (
            ("paths of the kernel", _KERNEL, r"ipykernel/\1.py"),
            ("memory addresses", _ADDRESS, "0x..."),
        ):
            self.aside[name].extend(found[0] for found in pattern.finditer(text))
            text = pattern.sub(instead, text)
        return self._lines(text, value)

    def _lines(self, value: Any, given: Any = None) -> Any:
        """The lines of a text, however it was split up."""
        if not _is_text(value):
            return value
        given = value if given is None else given
        lines = _text(value).splitlines(keepends=True)
        if not isinstance(given, list) or len(given) != len(lines):
            self.aside["splitting of texts"].append(len(given) if isinstance(given, list) else "whole")
        return lines


def _is_stream(output: Any) -> bool:
    return (
        isinstance(output, dict)
        and output.keys() == {"output_type", "name", "text"}
        and output["output_type"] == "stream"
        and isinstance(output["name"], str)
        and _is_text(output["text"])
    )


def _holds_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(type(each) is str for each in value.values())


def _is_text(value: Any) -> bool:
    """Whether it is a text of the format: a string, or a list of strings; numbers are strings of another type."""
    parts = value if isinstance(value, list) else [value]
    return all(type(each) is str for each in parts)


def _text(value: str | list[str]) -> str:
    return "".join(value) if isinstance(value, list) else value
