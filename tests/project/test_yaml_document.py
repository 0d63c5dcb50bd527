"""YAML with lines: hostile documents included."""

from __future__ import annotations

import pytest

from reproof.errors import ProjectError
from reproof.project.yaml_document import closest, describe, dotted, read_yaml


def test_lines_of_keys_and_items() -> None:
    document = read_yaml(b"a:\n  b: 1\n  c:\n  - x\n  - d: 2\n", "f")
    assert document.value == {"a": {"b": 1, "c": ["x", {"d": 2}]}}
    assert document.lines["a", "c", 1, "d"] == 5
    assert document.at("a", "b") == "`f`, line 2"
    assert document.at("zz") == "`f`"


def test_empty_document() -> None:
    document = read_yaml(b"# nothing\n", "f")
    assert document.value is None
    assert document.mapping("a") == {}
    assert document.items("a", 0, "b") == []


@pytest.mark.parametrize(
    "data",
    [
        b"a: [1, 2",
        b"a: b: c",
        b"\t- x",
        b"a: &x [*x, *y]",
        b"--- 1\n--- 2\n",
        b"a: !!python/object/apply:os.system [touch /tmp/evil]",
        b"\xff\xfe\x00",
        b"a: 1\na: 2\n",
        b"? [a, b]\n: 1\n? {c: d}\n: 2\n",
        b"a: 2025-13-45\n",
        b"[" * 200_000,
        b"{a: " * 200_000,
        b"- " * 200_000,
        b"".join(b" " * i + b"a:\n" for i in range(3000)),
        b"a: \x00",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_bad_documents_are_project_errors(data: bytes) -> None:
    with pytest.raises(ProjectError) as caught:
        read_yaml(data, "file.yaml")
    assert "`file.yaml`" in caught.value.message


def test_aliases_do_not_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    assert len(read_yaml("\n".join(lines).encode(), "f").value) == 40


def test_messages(golden) -> None:
    document = read_yaml(b"a:\n  b: 3.1\n  c: text\nd: [1]\n", "f.yaml")
    errors = []
    for check, key in (
        (document.text, ("a", "b")),
        (document.mapping, ("a", "c")),
        (document.items, ("a",)),
        (document.mapping, ("d",)),
    ):
        with pytest.raises(ProjectError) as caught:
            check(*key)
        errors.append(f"{caught.value.message} | {caught.value.hint}")
    golden("project/yaml_wrong_kinds", "\n".join(errors))


def test_words() -> None:
    assert dotted(("outs", 0, "path")) == "outs[0].path"
    assert closest("entrypoints", ["name", "entry_points"]) == "entry_points"
    assert closest("zzz", ["name"]) is None
    assert describe(True) == "the truth value `true`"
    assert describe("x" * 100).endswith("...`")
