"""skops files: object ids are set aside, what they stand for is not."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_samples import POINTS, TARGETS, fitted, skops_bytes

from reproof.compare import compare
from reproof.model.difference import Difference, Outcome


def both(folder: Path, one: bytes, two: bytes) -> Difference:
    (folder / "one.skops").write_bytes(one)
    (folder / "two.skops").write_bytes(two)
    return compare(folder / "one.skops", folder / "two.skops")


def rewritten(data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The same file with changed members."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def schema_of(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return json.loads(archive.read("schema.json"))


def with_schema(data: bytes, change: Callable[[Any], None]) -> bytes:
    schema = schema_of(data)
    change(schema)

    def put(members: dict[str, bytes]) -> None:
        members["schema.json"] = json.dumps(schema).encode()

    return rewritten(data, put)


def ridge(alpha: float = 1.0) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(alpha).fit(POINTS, TARGETS)


def test_the_same_model_twice_is_equivalent(tmp_path: Path) -> None:
    found = both(tmp_path, skops_bytes(fitted()), skops_bytes(fitted()))
    assert found.outcome is Outcome.EQUIVALENT
    assert "skops object ids" in found.canonicalisations


def test_parameters_and_arrays_are_named(tmp_path: Path) -> None:
    found = both(tmp_path, skops_bytes(ridge(1.0)), skops_bytes(ridge(2.0)))
    assert found.outcome is Outcome.DIFFERENT
    assert [part.subject for part in found.children] == ["alpha", "coef_", "intercept_"]
    assert found.children[0].summary == "1.0 -> 2.0"
    forest = both(tmp_path, skops_bytes(fitted(seed=1)), skops_bytes(fitted(seed=2)))
    assert forest.children[0].subject == "steps[1].regressor.random_state"


@pytest.mark.parametrize(
    "value", [{1: "a", 2: "b"}, {"a": {1, 2}}, [b"x", bytearray(b"y")], (1, 2.5, None, True)]
)
def test_plain_values(tmp_path: Path, value: Any) -> None:
    assert both(tmp_path, skops_bytes(value), skops_bytes(value)).outcome <= Outcome.EQUIVALENT


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({1: "a"}, {"1": "a"}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": True}, {"a": 1}),
        ([1], (1,)),
        ([b"x"], [b"y"]),
        ([0.0], [-0.0]),
        (np.float64(1.0), np.array(1.0)),
        (np.array(["a", 1], object), np.array(["a", 2], object)),
        (int, float),
    ],
)
def test_other_plain_values(tmp_path: Path, one: Any, two: Any) -> None:
    assert both(tmp_path, skops_bytes(one), skops_bytes(two)).outcome is Outcome.DIFFERENT


def test_sparse_matrices(tmp_path: Path) -> None:
    import scipy.sparse

    one = scipy.sparse.random(20, 20, 0.2, "csr", random_state=1)
    two = one.copy()
    two.data[3] *= 2
    assert both(tmp_path, skops_bytes([one]), skops_bytes([one.copy()])).outcome is Outcome.EQUIVALENT
    found = both(tmp_path, skops_bytes([one]), skops_bytes([two]))
    assert [part.subject for part in found.children] == ["[0].data"]


def test_times_of_a_search_are_set_aside_by_name(tmp_path: Path) -> None:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV

    sides = [GridSearchCV(Ridge(), {"alpha": [0.5, 1.0]}, cv=3).fit(POINTS, TARGETS) for _ in range(2)]
    sides[0].refit_time_, sides[1].refit_time_ = 0.25, 0.5
    found = both(tmp_path, *map(skops_bytes, sides))
    assert found.outcome is Outcome.EQUIVALENT
    assert "refit_time_ of a scikit-learn search" in found.canonicalisations
    sides[1].best_score_ = 0.5
    assert both(tmp_path, *map(skops_bytes, sides)).outcome is Outcome.DIFFERENT


def test_ids_elsewhere_are_content(tmp_path: Path) -> None:
    one, two = {"__id__": 140467729055632}, {"__id__": 140467729170480}
    assert both(tmp_path, skops_bytes(one), skops_bytes(two)).outcome is Outcome.DIFFERENT
    assert both(
        tmp_path, skops_bytes(["140467729055632.npy"]), skops_bytes(["140467729170480.npy"])
    ).outcome is (Outcome.DIFFERENT)


def test_objects_of_one_id_are_one_object(tmp_path: Path) -> None:
    shared = [1, 2]
    found = both(tmp_path, skops_bytes([shared, shared]), skops_bytes([[1, 2], [1, 2]]))
    assert found.outcome is Outcome.DIFFERENT
    assert "shared" in found.summary


def test_the_version_of_skops_is_set_aside_and_the_protocol_is_not(tmp_path: Path) -> None:
    data = skops_bytes(ridge())
    newer = with_schema(data, lambda schema: schema.update(_skops_version="99.0"))
    assert "version of skops" in both(tmp_path, data, newer).canonicalisations
    other = with_schema(data, lambda schema: schema.update(protocol=99))
    assert both(tmp_path, data, other).outcome is Outcome.DIFFERENT


def test_members_that_the_schema_does_not_name_are_content(tmp_path: Path) -> None:
    data = skops_bytes(ridge())
    more = rewritten(data, lambda members: members.update({"extra.bin": b"hidden"}))
    assert both(tmp_path, data, more).outcome is Outcome.DIFFERENT


@pytest.mark.parametrize(
    "change",
    [
        lambda schema: schema["content"]["content"]["coef_"].update(file="missing.npy"),
        lambda schema: schema["content"]["content"]["coef_"].update(file=7),
        lambda schema: schema["content"]["content"]["alpha"].update(content="{"),
        lambda schema: schema.pop("__loader__"),
    ],
)
def test_a_broken_schema_is_unknown(tmp_path: Path, change: Callable[[Any], None]) -> None:
    data = skops_bytes(ridge())
    found = both(tmp_path, data, with_schema(data, change))
    assert found.outcome in (Outcome.UNKNOWN, Outcome.DIFFERENT)


def test_a_deep_schema_is_unknown(tmp_path: Path) -> None:
    data = skops_bytes(ridge())

    def deep(members: dict[str, bytes]) -> None:
        members["schema.json"] = b'{"__loader__":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    assert both(tmp_path, data, rewritten(data, deep)).outcome is Outcome.UNKNOWN


def test_a_schema_that_expands_without_end_is_unknown(tmp_path: Path) -> None:
    data = skops_bytes(ridge())
    bomb = b'{"__loader__": ' + b" " * (80 << 20)
    with zipfile.ZipFile(tmp_path / "two.skops", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("schema.json", bomb)
    found = both(tmp_path, data, (tmp_path / "two.skops").read_bytes())
    assert found.outcome is Outcome.UNKNOWN
    assert "its schema has more than" in found.summary


def test_a_pickled_array_within_is_not_loaded(tmp_path: Path) -> None:
    data = skops_bytes(ridge())

    def swap(members: dict[str, bytes]) -> None:
        buffer = io.BytesIO()
        np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)
        name = next(name for name in members if name.endswith(".npy"))
        members[name] = buffer.getvalue()

    assert both(tmp_path, data, rewritten(data, swap)).outcome is Outcome.UNKNOWN
