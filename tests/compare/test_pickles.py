"""Pickles of every make: what is the same, what is set aside by name, and what differs where."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import FILES, POINTS, TARGETS, Plain, fitted, frame, joblib_bytes, plain_tree

from reproof.compare import compare
from reproof.compare.protocol import Limits, Source
from reproof.compare.registry import compare_sources
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import EXACT, Tolerance

Compare = Callable[..., Difference]


def both(one: bytes, two: bytes, name: str = "a.pkl", tolerance: Tolerance = EXACT) -> Difference:
    from reproof.compare import new_context

    sides = Source(name=name, data=one), Source(name=name, data=two)
    return compare_sources(*sides, name, new_context(*sides, tolerance=tolerance))


def dumped(one: Any, two: Any, protocol: int = 5, **options: Any) -> Difference:
    return both(pickle.dumps(one, protocol), pickle.dumps(two, protocol), **options)


def subjects(found: Difference) -> list[str]:
    return [part.subject for part in found.children]


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a: Any, b: Any) -> None:
        self.a = a
        self.b = b


class Outer:
    class Inner:
        def __init__(self) -> None:
            self.value = 1


class Listy(list[Any]):
    """A list with attributes."""


VALUES = {
    "tree": plain_tree(),
    "sklearn": None,
    "frame": frame(),
    "scalars": [np.float32(1.5), np.int64(3), np.bool_(True), np.str_("x"), np.datetime64("2020-01-01", "D")],
    "arrays": [
        np.zeros((0, 3)),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
        np.array(["ab", "c"]),
        np.array([b"x"]),
        np.array([1, "a", None], object),
        np.array([(1, 2.5)], [("i", "<i4"), ("f", "<f8", (1,))]),
        np.ma.array([1, 2], mask=[0, 1]),
        np.array([1, 2], ">i4"),
        np.array([1 + 2j]),
    ],
    "types": [Colour.RED, Outer.Inner(), Outer.Inner, int, len, np.float64, np.dtype("<M8[ns]")],
    "objects": [Slotted(1, [2]), Listy([1, 2]), dt.datetime(2020, 1, 2, tzinfo=dt.UTC)],
    "numbers": [decimal.Decimal("1.10"), fractions.Fraction(1, 3), 1 << 100, -1, 1e308, float("inf"), 3 + 4j],
    "containers": [
        {1, 2},
        frozenset("ab"),
        bytearray(b"xyz"),
        b"\xff\x00",
        range(3),
        slice(1, 2),
        (),
        [],
        {},
    ],
    "collections": [
        collections.Counter("aab"),
        collections.deque([1, 2]),
        collections.defaultdict(list, a=[1]),
    ],
    "paths": [pathlib.PurePosixPath("/a/b"), "text \ud800 half", "é" * 70_000, b"z" * 70_000],
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("protocol", range(5))
def test_protocols_are_one_content(name: str, protocol: int) -> None:
    value = fitted() if name == "sklearn" else VALUES[name]
    if protocol < 2 and name == "objects":
        pytest.skip("Python cannot write slots in these protocols")
    found = both(pickle.dumps(value, protocol), pickle.dumps(value, 5))
    assert found.outcome is Outcome.EQUIVALENT, found
    assert "pickle protocol" in found.canonicalisations


@pytest.mark.parametrize("compress", [0, 3, ("xz", 2), ("bz2", 1), ("gzip", 1), ("lzma", 1)])
@pytest.mark.parametrize("name", ["sklearn", "frame", "arrays"])
def test_joblib_holds_the_same_as_pickle(name: str, compress: Any) -> None:
    value = fitted() if name == "sklearn" else VALUES[name]
    found = both(joblib_bytes(value, compress), pickle.dumps(value, 5))
    assert found.outcome is Outcome.EQUIVALENT, found
    assert ("compression" in found.canonicalisations) is bool(compress)


def test_a_changed_parameter_is_named_by_its_attribute() -> None:
    found = dumped(fitted(trees=3), fitted(trees=4))
    assert found.outcome is Outcome.DIFFERENT
    assert found.summary.startswith("3 places differ: steps[1].regressor.n_estimators: 3 -> 4")
    assert "steps[1].regressor.estimators_" in subjects(found)


def test_another_seed_names_a_fitted_attribute_and_its_field() -> None:
    one, two = fitted(seed=1), fitted(seed=2)
    found = dumped(one, two)
    assert any(subject.startswith("steps[1].regressor.estimators_[0].tree_.") for subject in subjects(found))
    nodes = [part for part in found.children if part.subject.endswith("tree_.nodes") and part.children]
    assert any(child.subject == "threshold" for part in nodes for child in part.children)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        (b"a", bytearray(b"a")),
        (b"a", "a"),
        ([1], (1,)),
        ({1}, frozenset({1})),
        ({1: 2}, collections.OrderedDict({1: 2})),
        (np.float64(1), 1.0),
        (np.zeros(2), np.zeros((2, 1))),
        (np.zeros(2), np.zeros(2, "f4")),
        (np.zeros(1), -np.zeros(1)),
        (np.float64(1), np.array(1.0)),
        (Colour.RED, Colour.BLUE),
        (int, float),
        (Plain(a=1), Plain(b=1)),
        (Plain(a=1), Plain(a=1, b=2)),
        (Slotted(1, 2), Slotted(1, 3)),
        (Listy([1]), Listy([2])),
        ("0x7f33a0001000", "0x7f33a0002000"),
        ({"id": 140467729055632}, {"id": 140467729170480}),
        (np.dtype("<i4"), np.dtype(">i4")),
        ([None] * 3, [None] * 4),
        ({"a": 1}, {"b": 1}),
        ({1, 2}, {1, 3}),
        (range(3), range(4)),
        (collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1)),
    ],
)
@pytest.mark.parametrize("protocol", [2, 5])
def test_other_values_differ(one: Any, two: Any, protocol: int) -> None:
    there, back = dumped(one, two, protocol), dumped(two, one, protocol)
    assert there.outcome is back.outcome is Outcome.DIFFERENT


def test_not_a_number_equals_its_own_bits_only() -> None:
    quiet, other = struct.unpack(">dd", bytes.fromhex("7ff80000000000007ff8000000000001"))
    assert dumped([quiet], [other]).outcome is Outcome.DIFFERENT
    assert both(pickle.dumps([quiet], 4), pickle.dumps([quiet], 5)).outcome is Outcome.EQUIVALENT


def test_numbers_within_a_tolerance_are_close() -> None:
    one, two = Plain(a=1.0, b=np.array([1.0, 2.0])), Plain(a=1.0 + 1e-12, b=np.array([1.0, 2.0 + 1e-12]))
    assert dumped(one, two).outcome is Outcome.DIFFERENT
    found = dumped(one, two, tolerance=Tolerance(rtol=1e-9))
    assert found.outcome is Outcome.CLOSE
    assert subjects(found) == ["a", "b"]
    assert dumped([1], [1.0]).outcome is Outcome.DIFFERENT
    assert dumped([1], [1.0], tolerance=Tolerance(rtol=1e-9)).outcome is Outcome.CLOSE


def test_the_order_of_a_dict_is_set_aside_by_name() -> None:
    found = dumped({"a": 1, "b": [2]}, {"b": [2], "a": 1})
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, ("dict order",))
    assert dumped({"a": 1, "b": [2]}, {"b": [2], "a": 2}).outcome is Outcome.DIFFERENT


def test_the_order_of_a_set_is_set_aside_by_name() -> None:
    one = b"\x80\x04\x8f(K\x01K\x02K\x03\x90."
    found = both(one, b"\x80\x04\x8f(K\x03K\x01K\x02\x90.")
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, ("set order",))
    assert both(one, b"\x80\x04\x8f(K\x03K\x01K\x04\x90.").outcome is Outcome.DIFFERENT


def test_members_of_sets_are_compared_by_value() -> None:
    members = {(1, "a", 0.5), frozenset({1, (2, b"x")}), Colour.RED, None}
    assert both(pickle.dumps(members, 2), pickle.dumps(members, 5)).outcome is Outcome.EQUIVALENT
    changed = {(1, "a", 0.5), frozenset({1, (2, b"y")}), Colour.RED, None}
    assert dumped(members, changed).outcome is Outcome.DIFFERENT


def test_a_shared_list_is_not_two_equal_lists() -> None:
    shared: list[int] = [1]
    found = dumped({"a": shared, "b": shared}, {"a": [1], "b": [1]})
    assert found.outcome is Outcome.DIFFERENT
    assert "shared" in found.summary


def test_shared_text_is_content_only_by_value() -> None:
    text = "some text"
    copied = text[:4] + text[4:]
    assert dumped([text, text], [copied, text]).outcome <= Outcome.EQUIVALENT


def test_cycles_end() -> None:
    def ring(last: int) -> list[Any]:
        value: list[Any] = [1, {"last": last}]
        value.append(value)
        return value

    assert both(pickle.dumps(ring(1), 4), pickle.dumps(ring(1), 5)).outcome is Outcome.EQUIVALENT
    found = dumped(ring(1), ring(2))
    assert subjects(found) == ["[1]['last']"]


def searched(**changes: Any) -> Any:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV

    search = GridSearchCV(Ridge(), {"alpha": [0.5, 1.0]}, cv=3).fit(POINTS, TARGETS)
    for name, value in changes.items():
        if name in search.cv_results_:
            search.cv_results_[name] = value
        else:
            setattr(search, name, value)
    return search


TIMES = ("mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time")


def test_times_of_a_search_are_set_aside_by_name() -> None:
    first = searched(refit_time_=0.25, **{name: np.array([0.1, 0.2]) for name in TIMES})
    second = searched(refit_time_=0.5, **{name: np.array([0.3, 0.4]) for name in TIMES})
    found = dumped(first, second)
    assert found.outcome is Outcome.EQUIVALENT
    expected = {f"{name} of a scikit-learn search" for name in (*TIMES, "refit_time_")}
    assert set(found.canonicalisations) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean_test_score", np.array([0.1, 0.2])),
        ("best_score_", 0.75),
        ("mean_fit_time", np.array([0.1, 0.2, 0.3])),
        ("mean_fit_time", np.array([1, 2])),
        ("refit_time_", None),
    ],
)
def test_other_values_of_a_search_are_content(name: str, value: Any) -> None:
    found = dumped(searched(), searched(**{name: value}))
    assert found.outcome is Outcome.DIFFERENT
    assert any(name in subject for subject in subjects(found))


def test_times_by_the_same_names_elsewhere_are_content() -> None:
    for one, two in (
        (Plain(refit_time_=0.25), Plain(refit_time_=0.5)),
        ({"mean_fit_time": np.array([0.1])}, {"mean_fit_time": np.array([0.2])}),
        (Plain(cv_results_={"mean_fit_time": 0.1}), Plain(cv_results_={"mean_fit_time": 0.2})),
        (searched(best_params_={"refit_time_": 0.1}), searched(best_params_={"refit_time_": 0.2})),
    ):
        assert dumped(one, two).outcome is Outcome.DIFFERENT


def function_of(source: str, file: str, **names: Any) -> Any:
    scope: dict[str, Any] = {"__name__": "__main__", "__file__": file, **names}
    exec(compile(source, file, "exec"), scope)
    return scope["made"]


def test_where_code_lies_is_set_aside_and_what_it_does_is_not() -> None:
    source = "def made(value):\n    return value * factor + 1\n"
    one = cloudpickle.dumps(function_of(source, "/home/a/train.py", factor=2))
    two = cloudpickle.dumps(function_of("\n\n" + source, "/tmp/room/train.py", factor=2))
    found = both(one, two)
    assert found.outcome is Outcome.EQUIVALENT
    assert set(found.canonicalisations) == {"code file name", "code first line number"}
    other = cloudpickle.dumps(function_of(source, "/home/a/train.py", factor=3))
    assert subjects(both(one, other)) == ["(effect)[0](1)[0]['__globals__']['factor']"] or "factor" in str(
        subjects(both(one, other))
    )
    constant = cloudpickle.dumps(function_of(source.replace("+ 1", "+ 2"), "/home/a/train.py", factor=2))
    assert any("co_consts" in subject for subject in subjects(both(one, constant)))


def test_file_names_elsewhere_are_content() -> None:
    source = "def made(value):\n    return value, path, where\n"
    one = function_of(source, "/a.py", path="/home/a/x.csv", where={"__file__": "/home/a"})
    two = function_of(source, "/a.py", path="/home/b/x.csv", where={"__file__": "/home/b"})
    found = both(cloudpickle.dumps(one), cloudpickle.dumps(two))
    assert found.outcome is Outcome.DIFFERENT
    assert len(found.children) == 2


def test_the_tracker_id_of_a_dynamic_class_is_set_aside() -> None:
    source = "class made:\n    limit = {limit}\n    def run(self):\n        return self.limit\n"
    one, two, three = (
        cloudpickle.dumps(function_of(source.format(limit=limit), "/a.py")) for limit in (1, 1, 2)
    )
    assert one != two
    found = both(one, two)
    assert (found.outcome, found.canonicalisations) == (
        Outcome.EQUIVALENT,
        ("class tracker id of cloudpickle",),
    )
    assert both(one, three).outcome is Outcome.DIFFERENT


def test_columns_of_tables_are_named() -> None:
    found = dumped(frame(2.5), frame(2.75))
    assert subjects(found) == ["_mgr['c']"]
    assert "first at [1]" in found.summary


def test_how_pandas_joins_columns_is_set_aside() -> None:
    import pandas as pd

    joined = pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=["a", "b"])
    apart = pd.DataFrame({"a": joined["a"].copy()})
    apart["b"] = joined["b"].copy()
    found = dumped(joined, apart)
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, ("blocks of pandas columns",))
    apart.loc[2, "b"] = 7
    assert subjects(dumped(joined, apart)) == ["_mgr['b']"]


def test_null_and_offset_of_arrow_text() -> None:
    import pandas as pd

    whole = pd.Series(["w", "x", None, "z"], dtype="str")
    assert dumped(whole, whole.where(whole != "x", "y")).outcome is Outcome.DIFFERENT
    assert dumped(whole, whole.fillna("")).outcome is Outcome.DIFFERENT
    assert both(pickle.dumps(whole, 3), pickle.dumps(whole, 5)).outcome is Outcome.EQUIVALENT


def test_sparse_matrices_are_compared_by_their_arrays() -> None:
    import scipy.sparse

    one = scipy.sparse.random(30, 30, 0.2, "csr", random_state=1)
    two = one.copy()
    two.data[3] += 1e-9
    assert both(pickle.dumps(one, 2), joblib_bytes(one)).outcome is Outcome.EQUIVALENT
    found = dumped(one, two)
    assert subjects(found) == ["data"]
    fresh, asked = (pickle.loads(pickle.dumps(one)) for _ in range(2))
    for name in ("_has_canonical_format", "_has_sorted_indices"):
        fresh.__dict__.pop(name, None)
    assert asked.has_canonical_format
    found = dumped(fresh, asked)
    assert (found.outcome, found.canonicalisations) == (
        Outcome.EQUIVALENT,
        ("cached flags of sparse matrices",),
    )
    asked, denied = (pickle.loads(pickle.dumps(one)) for _ in range(2))
    asked.has_sorted_indices, denied.has_sorted_indices = True, False
    assert dumped(asked, denied).outcome is Outcome.DIFFERENT


def test_models_within_wrappers_are_compared_by_their_own_kind() -> None:
    found = compare(FILES / "lightgbm_a.pkl", FILES / "lightgbm_c.pkl")
    inner = [part for part in found.children if part.kind == "lightgbm"]
    assert inner
    assert inner[0].children[0].subject.startswith("$.trees[0].")


def test_storage_keys_of_a_module_are_set_aside() -> None:
    found = compare(FILES / "module_a.pkl", FILES / "module_b.pkl")
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, ("torch storage keys",))
    other = compare(FILES / "module_a.pkl", FILES / "module_c.pkl")
    assert "_modules['0']._parameters['weight']" in subjects(other)


def test_several_pickles_in_one_file() -> None:
    one = pickle.dumps([1], 5) + pickle.dumps({"a": 2}, 5)
    assert both(one, pickle.dumps([1], 4) + pickle.dumps({"a": 2}, 4)).outcome is Outcome.EQUIVALENT
    assert subjects(both(one, pickle.dumps([1], 5) + pickle.dumps({"a": 3}, 5))) == ["pickle 1['a']"]
    assert both(one, pickle.dumps([1], 5)).outcome is Outcome.DIFFERENT
    assert both(one, one + b"rest").outcome is Outcome.DIFFERENT


def test_buffers_outside_of_the_pickle_cannot_be_compared() -> None:
    array = np.arange(4)
    one, two = (pickle.dumps([number, array], 5, buffer_callback=lambda _: None) for number in (1, 1))
    assert one == two
    changed = pickle.dumps([2, array], 5, buffer_callback=lambda _: None)
    found = both(one, changed)
    outcomes = {part.outcome for part in found.children}
    assert outcomes == {Outcome.UNKNOWN, Outcome.DIFFERENT}


def test_persistent_ids_and_extensions_are_content() -> None:
    assert both(b"\x80\x02K\x01Q.", b"\x80\x02K\x02Q.").outcome is Outcome.DIFFERENT
    assert both(b"\x80\x02\x82\x01.", b"\x80\x02\x82\x02.").outcome is Outcome.DIFFERENT
    assert both(b"\x80\x02K\x01Q.", b"\x80\x03K\x01Q.").outcome is Outcome.EQUIVALENT


def test_padding_of_elements_is_no_value() -> None:
    layout = np.dtype([("a", "u1"), ("b", "<f8")], align=True)
    clear = np.zeros(3, layout)
    first, second = clear.copy(), clear.copy()
    first.view("u1")[3], second.view("u1")[4] = 7, 9
    found = dumped(first, second)
    assert (found.outcome, found.canonicalisations) == (
        Outcome.EQUIVALENT,
        ("padding bytes of structured elements",),
    )
    assert dumped(clear, first).outcome is Outcome.UNKNOWN
    first["b"][1] = 1e-300
    assert dumped(first, second).outcome is Outcome.DIFFERENT


def test_names_of_numpy_before_version_2_are_the_same() -> None:
    new = pickle.dumps(np.arange(3), 4)
    old = new.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
    old = old.replace(b"\x95" + struct.pack("<Q", len(new) - 11), b"\x95" + struct.pack("<Q", len(old) - 11))
    assert pickle.loads(new).tolist() == [0, 1, 2]
    found = both(old, new)
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, ("numpy module names",))


def test_an_encoding_that_no_pickler_writes_is_not_passed_over() -> None:
    data = pickle.dumps(["a", "b"], 2)
    position = data.index(b"q\x01")
    odd = data[: position + 1] + b"\x09" + data[position + 2 :]
    assert pickle.loads(odd) == ["a", "b"]
    found = both(data, odd)
    assert found.outcome is Outcome.UNKNOWN
    assert "no known pickler" in found.summary


def test_a_pickle_of_protocol_0_is_known_by_its_name() -> None:
    one, two = pickle.dumps({"a": 1}, 0), pickle.dumps({"a": 2}, 0)
    assert both(one, two, "model.pkl").kind == "pickle"
    assert both(one, two, "notes.txt").kind == "text"


def test_too_many_objects_are_a_stated_limit() -> None:
    from reproof.compare import new_context

    one, two = pickle.dumps([[n] for n in range(20_000)], 4), pickle.dumps([[n] for n in range(20_000)], 5)
    sides = Source(name="a.pkl", data=one), Source(name="a.pkl", data=two)
    found = compare_sources(*sides, "a.pkl", new_context(*sides, limits=Limits(max_values=1000)))
    assert found.outcome is Outcome.UNKNOWN
    assert "1,000 values" in found.summary


def test_a_large_file_is_mapped_and_not_read(tmp_path: Path) -> None:
    array = np.zeros(1 << 22)
    one, two = tmp_path / "one.pkl", tmp_path / "two.pkl"
    one.write_bytes(pickle.dumps(array, 4))
    array[-1] = 1
    two.write_bytes(pickle.dumps(array, 5))
    found = compare(one, two)
    assert found.summary.startswith("1 place differs: (root): 1 of 4,194,304 elements differ")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4)
        | st.frozensets(st.integers() | st.text(max_size=2), max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(PLAIN, st.sampled_from(range(6)), st.sampled_from(range(6)))
def test_any_value_is_the_same_in_two_protocols(value: Any, one: int, two: int) -> None:
    if one < 2 and two >= 2:  # text protocols lose the bits of NaN
        value = repr(value)
    found = both(pickle.dumps(value, one), pickle.dumps(value, two))
    assert found.outcome <= Outcome.EQUIVALENT, found


@settings(max_examples=150, deadline=None)
@given(PLAIN, PLAIN)
def test_two_values_are_the_same_only_if_python_says_so(one: Any, two: Any) -> None:
    found = dumped(one, two)
    if found.outcome <= Outcome.EQUIVALENT:
        assert sorted(map(str, [type(one), one])) == sorted(map(str, [type(two), two])) or one == two


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_flipped_bits_that_pass_load_as_the_same_value(protocol: int) -> None:
    value = {"list": [1, 2.5, "word", b"bytes"], "tuple": (None, True, 70_000), "deep": [[["x"]]], "n": -5}
    data = pickle.dumps(value, protocol)
    chance = random.Random(protocol)
    for _ in range(400):
        place, bit = chance.randrange(len(data)), chance.randrange(8)
        flipped = bytearray(data)
        flipped[place] ^= 1 << bit
        if both(data, bytes(flipped)).outcome <= Outcome.EQUIVALENT:
            assert repr(pickle.loads(bytes(flipped))) == repr(value)
