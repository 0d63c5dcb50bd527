"""YAML as DVC reads and writes it, compared with the library that DVC uses."""

from __future__ import annotations

import io
import math

import pytest

from reproof.project.yaml_core import read_core_yaml, write_core_yaml

ruamel = pytest.importorskip("ruamel.yaml")

TEXTS = [
    "a: 1e-5\nb: yes\nc: 010\nd: 0o10\ne: 0x1F\nf: 1:30\ng: ~\nh:\ni: .inf\nj: 1_000\nk: off\nl: 1.5E+3\nm: 0b11\n",
    "a: True\nb: null\nc: '1e3'\nd: 2020-01-01\ne: 3.\nf: .5\ng: +7\nh: -.inf\n",
    "base: &b {x: 1}\nmore: {<<: *b, y: 2}\nlist: [1, two, 3.0]\n",
]

VALUES = [
    {"schema": "2.0", "stages": {"a": {"cmd": "python x.py", "params": {"p": {"lr": 1e-05, "on": "yes", "n": None}}}}},
    {"cmd": "python -c \"import json; print(json.load(open('model.json')))\" > report.txt and more words here"},
    {"stages": {"x": {"cmd": ["echo one", "echo 'two: three' # four", "a" * 100 + " b" * 50]}}},
    {"a": {"b": True, "c": "true", "d": "1e3", "e": "", "f": "- x", "g": 1.0, "h": [], "i": {}}},
    {"text": "one  two   " + "word " * 40 + "end", "umlaut": "Größe", "multi": "one\ntwo\n"},
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_reads_what_dvc_reads(text: str) -> None:
    assert read_core_yaml(text.encode(), "x").value == ruamel.YAML(typ="safe").load(text)


def test_reads_nan() -> None:
    assert math.isnan(read_core_yaml(b"a: .nan", "x").value["a"])


@pytest.mark.parametrize("value", VALUES)
def test_writes_what_dvc_writes(value: object) -> None:
    writer = ruamel.YAML()
    writer.default_flow_style = False
    stream = io.StringIO()
    writer.dump(value, stream)
    assert write_core_yaml(value) == stream.getvalue()
    assert read_core_yaml(write_core_yaml(value).encode(), "x").value == value
