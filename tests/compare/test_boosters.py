"""Models of XGBoost, LightGBM and CatBoost in their own formats."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from model_samples import FILES

from reproof.compare import compare, new_context
from reproof.compare.boosters.flatbuffer import FlatBuffer
from reproof.compare.protocol import ContentError, Source
from reproof.compare.registry import compare_sources
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import Tolerance


def both(one: bytes, two: bytes, name: str = "model.ubj") -> Difference:
    sides = Source(name=name, data=one), Source(name=name, data=two)
    return compare_sources(*sides, name, new_context(*sides))


def subjects(found: Difference) -> list[str]:
    return [part.subject for part in found.children]


def file(name: str) -> bytes:
    return (FILES / name).read_bytes()


@pytest.mark.parametrize(
    ("kind", "same", "named"),
    [
        ("xgboost_{}.ubj", Outcome.IDENTICAL, "learner.gradient_booster.model.trees[0].base_weights"),
        ("lightgbm_{}.txt", Outcome.IDENTICAL, "$.trees[0].leaf_value[0]"),
        ("lightgbm_{}.pkl", Outcome.IDENTICAL, "random_state"),
        ("catboost_{}.cbm", Outcome.EQUIVALENT, "ModelTrees.trees[0].LeafValues"),
        ("catboost_{}.json", Outcome.EQUIVALENT, "$.oblivious_trees[0].leaf_values[0]"),
    ],
)
def test_one_seed_twice_and_another_seed(kind: str, same: Outcome, named: str) -> None:
    one, two, other = (FILES / kind.format(name) for name in "abc")
    assert compare(one, two).outcome is same
    found = compare(one, other)
    assert found.outcome is Outcome.DIFFERENT
    assert named in subjects(found)


# UBJSON


def text(value: str, width: bytes = b"L") -> bytes:
    forms = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q"}
    return width + struct.pack(forms[width], len(value.encode())) + value.encode()


def test_widths_of_integers_are_set_aside() -> None:
    one = b"{" + text("a") + b"i\x05" + text("b") + b"[i\x01U\x02]}"
    two = b"{" + text("a", b"U") + b"L" + struct.pack(">q", 5) + text("b") + b"[#i\x02l\0\0\0\x01I\0\x02}"
    assert both(one, two).outcome is Outcome.EQUIVALENT
    assert both(one, two.replace(b"I\0\x02", b"I\0\x03")).outcome is Outcome.DIFFERENT


def test_values_of_all_types() -> None:
    body = (
        text("z")
        + b"Z"
        + text("t")
        + b"T"
        + text("f")
        + b"F"
        + text("c")
        + b"Cx"
        + text("s")
        + b"S"
        + text("é")
    )
    body += (
        text("h")
        + b"H"
        + text("1.5")
        + text("d")
        + b"d"
        + struct.pack(">f", 1.5)
        + text("n")
        + b"N"[:0]
        + b"Z"
    )
    body += text("D") + b"D" + struct.pack(">d", 0.1) + text("a") + b"[$d#i\x02" + struct.pack(">2f", 1, 2)
    one, two = b"{" + body + b"}", b"{#i\x0a" + body
    assert both(one, two).outcome is Outcome.EQUIVALENT
    for place in range(len(body)):
        flipped = bytearray(one)
        flipped[1 + place] ^= 1
        assert both(one, bytes(flipped)).outcome in (Outcome.DIFFERENT, Outcome.UNKNOWN), place


@pytest.mark.parametrize(
    "data",
    [
        b"{L",
        b"{i\x01a",
        b"{i\x01a?}",
        b"{i\xffa",
        b"{i\x01a[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"{i\x01a[#L\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"{i\x01a[$d",
        b"{i\x01aZ}x",
        b"{i\x01a" + b"[" * 100_000,
    ],
)
def test_what_is_no_ubjson_is_unknown(data: bytes) -> None:
    assert both(b"{i\x01aZ}", data).outcome in (Outcome.UNKNOWN, Outcome.DIFFERENT)


def test_deep_ubjson_is_compared() -> None:
    deep = b"{i\x01a" + b"[" * 200_000 + b"%s" + b"]" * 200_000 + b"}"
    assert both(deep % b"T", deep % b"F").outcome is Outcome.DIFFERENT


# LightGBM


def test_numbers_in_another_notation_are_set_aside_by_name() -> None:
    one = file("lightgbm_a.txt")
    found = both(one, one.replace(b"shrinkage=1\n", b"shrinkage=1.0\n"), "model.txt")
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, ("number notation",))


@pytest.mark.parametrize(
    ("before", "after", "subject"),
    [
        (b"[learning_rate: 0.1]", b"[learning_rate: 0.2]", "$.parameters.learning_rate"),
        (b"max_feature_idx=2", b"max_feature_idx=3", "$.header.max_feature_idx"),
        (b"objective=regression", b"objective=huber", "$.header.objective"),
        (b"num_leaves=4", b"num_leaves=5", "$.trees[0].num_leaves"),
        (b"pandas_categorical:null", b"pandas_categorical:[]", "$.rest[4]"),
    ],
)
def test_values_of_all_sections_are_named(before: bytes, after: bytes, subject: str) -> None:
    one = file("lightgbm_a.txt")
    assert before in one
    found = both(one, one.replace(before, after, 1), "model.txt")
    assert (found.outcome, subjects(found)) == (Outcome.DIFFERENT, [subject])


def test_leaves_within_a_tolerance_are_close(tmp_path: Path) -> None:
    import re

    one = file("lightgbm_a.txt")
    found = re.search(rb"leaf_value=(\S+) ", one)
    assert found is not None
    value = float(found[1])
    (tmp_path / "one.txt").write_bytes(one)
    (tmp_path / "two.txt").write_bytes(one.replace(found[1], repr(value * (1 + 1e-12)).encode(), 1))
    sides = tmp_path / "one.txt", tmp_path / "two.txt"
    assert compare(*sides).outcome is Outcome.DIFFERENT
    assert compare(*sides, tolerance=Tolerance(rtol=1e-9)).outcome is Outcome.CLOSE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Tree=1", b"Tree=2"),
        (b"num_cat=0\n", b"num_cat=0\nnum_cat=0\n"),
        (b"[alpha: 0.9]", b"alpha"),
        (b"is_linear=0", b"what"),
    ],
)
def test_what_is_no_model_of_lightgbm_is_unknown(before: bytes, after: bytes) -> None:
    one = file("lightgbm_a.txt")
    assert before in one
    assert both(one, one.replace(before, after, 1), "model.txt").outcome is Outcome.UNKNOWN


def test_line_endings_and_tree_counts() -> None:
    one = file("lightgbm_a.txt")
    found = both(one, one.replace(b"\n", b"\r\n"), "model.txt")
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, ("line endings",))
    first, _, rest = one.partition(b"Tree=1\n")
    fewer = first + rest[rest.index(b"end of trees") :]
    found = both(one, fewer, "model.txt")
    assert (found.outcome, subjects(found)) == (Outcome.DIFFERENT, ["$.trees"])
    assert found.children[0].summary == "2 trees -> 1 trees"


# CatBoost


def test_guid_and_time_are_set_aside_by_name() -> None:
    for kind in ("cbm", "json"):
        found = compare(FILES / f"catboost_a.{kind}", FILES / f"catboost_b.{kind}")
        assert found.canonicalisations == ("model_guid of CatBoost", "train_finish_time of CatBoost")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model_info", "model_guid"), "none"),
        (("model_info", "train_finish_time"), 7),
        (("model_info", "params", "flat_params", "random_seed"), 3),
        (("features_info", "model_guid"), "204a3c81-ae2b4cb-8d2dd035-e3f87ede"),
    ],
)
def test_other_values_of_the_model_in_json_are_content(path: tuple[str, ...], value: Any) -> None:
    def changed(what: Any) -> bytes:
        model = json.loads(file("catboost_a.json"))
        node = model
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = what
        return json.dumps(model).encode()

    found = both(changed(value), changed("11111111-1111111-11111111-11111111"), "model.json")
    assert found.outcome is Outcome.DIFFERENT


def test_parameters_in_the_binary_model_are_named() -> None:
    one = file("catboost_a.cbm")
    found = both(one, one.replace(b'"depth":2', b'"depth":3', 1), "model.cbm")
    assert found.outcome is Outcome.DIFFERENT
    assert any(part.subject.endswith("depth") for part in found.walk())


def test_bytes_behind_the_trees_are_content() -> None:
    one = file("catboost_a.cbm")
    assert both(one, one + b"parts", "model.cbm").outcome is Outcome.DIFFERENT


@pytest.mark.parametrize("cut", [4, 7, 8, 12, 100, 3000, 6000])
def test_binary_models_that_are_cut_are_unknown(cut: int) -> None:
    one = file("catboost_a.cbm")
    assert both(one, one[:cut], "model.cbm").outcome is Outcome.UNKNOWN


def test_a_flatbuffer_says_what_it_cannot_read() -> None:
    # root at 12; its table says -(-8) back to the vtable at 4: 8 bytes long, one field of 4 bytes at 4
    data = struct.pack("<I4HiI", 12, 6, 8, 4, 0, 8, 7)
    schema = {"root": {"number": "u32"}}
    root = FlatBuffer(memoryview(data), schema).root("root")
    assert [name for name, _ in root.pairs] == ["number"]
    with pytest.raises(ContentError, match="not known here"):
        FlatBuffer(memoryview(data), {"root": {}}).root("root")
    with pytest.raises(ContentError, match="leads out"):
        FlatBuffer(memoryview(data[:-2]), schema).root("root")
    with pytest.raises(ContentError):
        FlatBuffer(memoryview(b""), schema).root("root")


TRAIN = """\
import sys
import numpy as np
folder, seed, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
points = np.random.RandomState(0).rand(80, 3)
values = points.sum(1)
if kind == "xgboost":
    import xgboost
    model = xgboost.XGBRegressor(n_estimators=3, subsample=0.6, random_state=seed).fit(points, values)
    model.save_model(f"{folder}/model.ubj")
    model.save_model(f"{folder}/model.json")
elif kind == "lightgbm":
    import lightgbm
    model = lightgbm.LGBMRegressor(n_estimators=3, subsample=0.6, subsample_freq=1, random_state=seed, verbose=-1)
    model.fit(points, values).booster_.save_model(f"{folder}/model.txt")
else:
    from catboost import CatBoostRegressor
    model = CatBoostRegressor(iterations=3, depth=3, random_seed=seed, verbose=0, allow_writing_files=False)
    model.fit(points, values).save_model(f"{folder}/model.cbm")
"""


@pytest.mark.frameworks
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.needs(kind)) for kind in ("xgboost", "lightgbm", "catboost")],
)
def test_trainings_in_two_processes(tmp_path: Path, kind: str) -> None:
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder, seed in zip(folders, (1, 1, 2), strict=True):
        folder.mkdir()
        subprocess.run([sys.executable, "-c", TRAIN, str(folder), str(seed), kind], check=True)
    assert compare(folders[0], folders[1]).outcome <= Outcome.EQUIVALENT
    other = compare(folders[0], folders[2])
    assert other.outcome is Outcome.DIFFERENT
    assert any("trees[0]" in part.subject for part in other.walk())
