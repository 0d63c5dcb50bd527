from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import image_samples
import pytest
from samples import notebook

from reproof.compare import compare
from reproof.model.difference import Difference, Outcome

TEXT = "one\ntwo\n"


def compared(tmp_path: Path, one: bytes, two: bytes) -> Difference:
    for name, data in (("a", one), ("b", two)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "out.ipynb").write_bytes(data)
    return compare(tmp_path / "a/out.ipynb", tmp_path / "b/out.ipynb")


@pytest.mark.parametrize(
    ("varied", "name"),
    [
        ({"second": 7}, "execution times"),
        ({"cell": "zz"}, "cell ids"),
        ({"pieces": 3}, "pieces of output"),
        ({"address": "0x7fffffffffff"}, "memory addresses"),
    ],
)
def test_what_changes_with_each_execution_is_set_aside_by_name(
    tmp_path: Path, varied: dict[str, Any], name: str
) -> None:
    found = compared(tmp_path, notebook(TEXT), notebook(TEXT, **varied))
    assert found.outcome is Outcome.EQUIVALENT
    assert name in found.canonicalised
    assert found.kind == "notebook"


def test_an_output_that_differs_is_named(tmp_path: Path) -> None:
    found = compared(tmp_path, notebook("one\ntwo\n"), notebook("one\nzwei\n", second=3))
    assert found.outcome is Outcome.DIFFERENT
    assert found.children[0].subject == "$.cells[0].outputs[0].text[1]"


def test_paths_of_the_kernel(tmp_path: Path) -> None:
    one, two = (
        notebook(f"{path}:1: UserWarning\n") for path in ("/tmp/ipykernel_1/22.py", "/x/ipykernel_9/22.py")
    )
    found = compared(tmp_path, one, two)
    assert (found.outcome, "paths of the kernel" in found.canonicalised) == (Outcome.EQUIVALENT, True)


def altered(change: Any) -> bytes:
    tree = json.loads(notebook(TEXT))
    change(tree["cells"][0])
    return json.dumps(tree, indent=1).encode()


def _number_of_result(cell: Any) -> None:
    cell["outputs"][0]["text"] = [TEXT, 1]


def _no_image(cell: Any) -> None:
    cell["outputs"][1]["data"]["image/png"] = "an image"


def _address_in_a_result(cell: Any) -> None:
    cell["outputs"][0]["text"] = TEXT + "0x7f0000000000\n"


def _count(cell: Any) -> None:
    cell["execution_count"] = 2


def _error(cell: Any) -> None:
    cell["outputs"].append({"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["a"]})


def _times_that_are_none(cell: Any) -> None:
    cell["metadata"]["execution"] = {"result": 3}


@pytest.mark.parametrize(
    "change", [_number_of_result, _no_image, _address_in_a_result, _count, _error, _times_that_are_none]
)
def test_what_is_content_counts(tmp_path: Path, change: Any) -> None:
    assert compared(tmp_path, notebook(TEXT), altered(change)).outcome is Outcome.DIFFERENT


def test_an_image_is_compared_by_what_it_shows(tmp_path: Path) -> None:
    import base64

    def other(cell: Any) -> None:
        image = image_samples.png(image_samples.picture())
        cell["outputs"][1]["data"]["image/png"] = base64.encodebytes(image).decode()

    found = compared(tmp_path, notebook(TEXT), altered(other))
    assert found.outcome is Outcome.EQUIVALENT  # only the layout of base64


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"cells": 3}', b"not json", b""])
def test_what_is_no_notebook_is_compared_as_json_or_text(tmp_path: Path, text: bytes) -> None:
    assert compared(tmp_path, notebook(TEXT), text).outcome >= Outcome.UNKNOWN
