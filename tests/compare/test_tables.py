"""Parquet and Arrow tables: values are content, how they are written is not."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_samples import arrow, parquet, table

from reproof.compare import compare, new_context
from reproof.compare.arrow_values import ColumnDigest, row_hashes, unequal_rows
from reproof.compare.elements import Distance
from reproof.compare.isolated import compare_apart
from reproof.compare.protocol import ContentError, Context, Limits, Source
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import EXACT, Tolerance

Pair = Callable[..., Difference]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    def run(one: bytes, two: bytes, tolerance: Tolerance = EXACT, name: str = "a.arrow") -> Difference:
        paths = [tmp_path / side / name for side in "ab"]
        for path, data in zip(paths, (one, two), strict=True):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        there = compare(*paths, tolerance=tolerance)
        assert compare(paths[1], paths[0], tolerance=tolerance).outcome is there.outcome
        return there

    return run


WRITERS: dict[str, Callable[[pa.Table], bytes]] = {"parquet": parquet, "arrow": arrow}
both = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
Write = Callable[[pa.Table], bytes]


def column(values: list[Any], kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"a": pa.array(values, kind)})


def subjects(found: Difference) -> list[str]:
    return [child.subject for child in found.children]


@both
def test_a_differing_cell_is_named(pair: Pair, write: Write) -> None:
    values = [row / 7 for row in range(50)]
    values[16] += 1e-9
    other = write(table(rmse=pa.array(values)))
    found = pair(write(table()), other)
    assert found.outcome is Outcome.DIFFERENT
    assert subjects(found) == ['column "rmse"']
    facts = found.children[0].evidence
    assert (facts["differing"], facts["first_row"]) == (1, 17)
    assert facts["max_abs"] == pytest.approx(1e-9, rel=1e-4)
    assert facts["max_ulp"] > 0
    assert facts["digests"][0] != facts["digests"][1]
    (cell,) = found.children[0].children
    assert (cell.subject, cell.expected) == ('row 17, column "rmse"', repr(16 / 7))
    assert pair(write(table()), other, Tolerance(rtol=1e-8)).outcome is Outcome.CLOSE
    assert pair(write(table()), other, Tolerance(rtol=1e-12)).outcome is Outcome.DIFFERENT


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"row_group_size": 7}, {"row groups"}),
        ({"compression": "zstd"}, {"compression codec"}),
        ({"use_dictionary": False}, {"dictionary encoding"}),
        ({"write_statistics": False}, {"parquet page layout"}),
        ({"sorting_columns": [pq.SortingColumn(0)]}, {"statistics and other entries of the footer"}),
        ({"data_page_size": 64, "write_batch_size": 8}, {"parquet page layout"}),
        ({"data_page_version": "2.0"}, {"parquet page layout"}),
        ({"version": "1.0"}, {"parquet format version"}),
        ({"store_schema": False}, {"statistics and other entries of the footer"}),
        (
            {"use_dictionary": False, "column_encoding": {"id": "DELTA_BINARY_PACKED"}},
            {"dictionary encoding"},
        ),
    ],
)
def test_parquet_encodings_are_set_aside_by_name(
    pair: Pair, options: dict[str, Any], names: set[str]
) -> None:
    plain = table().drop_columns(["when"]) if "version" in options or "store_schema" in options else table()
    plain = plain.select(["id", "rmse", "name", "list"])
    found = pair(parquet(plain), parquet(plain, **options))
    assert found.outcome is Outcome.EQUIVALENT
    assert names <= set(found.canonicalisations)
    changed = plain.set_column(1, "rmse", pa.array([0.5] * 50))
    assert pair(parquet(plain), parquet(changed, **options)).outcome is Outcome.DIFFERENT


def test_page_encodings_are_set_aside_by_name(pair: Pair) -> None:
    one = parquet(table(), use_dictionary=False)
    two = parquet(table(), use_dictionary=False, column_encoding={"id": "DELTA_BINARY_PACKED"})
    assert pair(one, two).canonicalisations == ("page encodings",)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"stream": True}, ("arrow file or stream",)),
        ({"rows": 7}, ("record batches",)),
        ({"codec": "zstd"}, ("arrow buffer layout",)),
        ({"stream": True, "rows": 11, "codec": "lz4"}, ("arrow file or stream", "record batches")),
    ],
)
def test_arrow_layouts_are_set_aside_by_name(
    pair: Pair, options: dict[str, Any], names: tuple[str, ...]
) -> None:
    found = pair(arrow(table()), arrow(table(), **options))
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, names)


@both
def test_offsets_views_and_item_names_are_set_aside_by_name(pair: Pair, write: Write) -> None:
    plain = table()
    wide = plain.set_column(3, "name", plain["name"].cast(pa.large_string()))
    wide = wide.set_column(9, "raw", wide["raw"].cast(pa.large_binary()))
    wide = wide.set_column(7, "list", wide["list"].cast(pa.large_list(pa.field("other", pa.float64()))))
    found = pair(write(plain), write(wide))
    assert found.outcome is Outcome.EQUIVALENT
    assert "widths of offsets and indexes" in found.canonicalisations
    changed = wide.set_column(3, "name", pa.array(["x"] * 50, pa.large_string()))
    assert pair(write(plain), write(changed)).outcome is Outcome.DIFFERENT


def test_what_nulls_hide_and_slices_leave_out_does_not_count(pair: Pair) -> None:
    values = np.arange(20.0)
    mask = np.arange(20) % 3 == 0
    one = pa.array(values, mask=mask)
    values[mask] = -1
    texts = pa.array([f"long text {number}" for number in range(20)])
    hidden = pa.Array.from_buffers(texts.type, 20, [one.buffers()[0], *texts.buffers()[1:]])
    shown = pa.array([None if mask[number] else f"long text {number}" for number in range(20)])
    first = pa.table({"a": one, "b": hidden})
    second = pa.table({"a": pa.array(values, mask=mask), "b": shown})
    assert pair(arrow(first), arrow(second)).outcome is Outcome.EQUIVALENT
    assert pair(arrow(first.slice(5, 9)), arrow(second.slice(5, 9))).outcome is Outcome.EQUIVALENT


NAN = np.array([0x7FF8000000000000, 0x7FF8000000000001, 0xFFF8000000000000], "<u8").view("<f8")
DAY1, DAY2 = (datetime.fromisoformat(f"2026-01-0{number}") for number in (1, 2))


@both
@pytest.mark.parametrize(
    ("one", "two"),
    [
        (column([0.0]), column([-0.0])),
        (pa.table({"a": NAN[:1]}), pa.table({"a": NAN[1:2]})),
        (pa.table({"a": NAN[:1]}), pa.table({"a": NAN[2:]})),
        (pa.table({"a": NAN[:1]}), column([None], pa.float64())),
        (column([""]), column([None], pa.string())),
        (column([b""]), column([None], pa.binary())),
        (column(["a", "bc"]), column(["ab", "c"])),
        (column(["a"]), column([b"a"])),
        (column([1], pa.int32()), column([1], pa.int64())),
        (column([True]), column([1], pa.int8())),
        (column([True, False]), column([False, True])),
        (column([Decimal("1.10")]), column([Decimal("1.20")])),
        (column([Decimal("1.1")], pa.decimal128(5, 1)), column([Decimal("1.1")], pa.decimal128(5, 2))),
        (
            column([DAY1], pa.timestamp("ms")),
            column([DAY1], pa.timestamp("us")),
        ),
        (
            column([DAY1], pa.timestamp("us")),
            column([DAY1], pa.timestamp("us", "UTC")),
        ),
        (
            column([DAY1], pa.timestamp("us", "UTC")),
            column([DAY1], pa.timestamp("us", "Europe/Paris")),
        ),
        (column([date(2026, 1, 1)]), column([date(2026, 1, 2)])),
        (column([[]], pa.list_(pa.int64())), column([None], pa.list_(pa.int64()))),
        (column([[1], [2, 3]]), column([[1, 2], [3]])),
        (column([[1, None]]), column([[1, 2]])),
        (column([[[1.0], []]]), column([[[], [1.0]]])),
        (column([{"x": 1}]), column([{"x": 2}])),
        (
            column([{"x": None}], pa.struct([("x", pa.int64())])),
            column([None], pa.struct([("x", pa.int64())])),
        ),
        (column([{"x": 1}]), column([{"y": 1}])),
        (
            column([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            column([[("k", 2)]], pa.map_(pa.string(), pa.int64())),
        ),
        (column([[1, 2]], pa.list_(pa.int8(), 2)), column([[1, 3]], pa.list_(pa.int8(), 2))),
        (column([b"ab"], pa.binary(2)), column([b"ac"], pa.binary(2))),
        (column(["x"]), pa.table({"a": pa.array(["x"]).dictionary_encode()})),
        (
            pa.table({"a": pa.array(["x", "y"]).dictionary_encode()}),
            pa.table({"a": pa.array(["y", "x"]).dictionary_encode()}),
        ),
        (column([None]), column([None], pa.int64())),
        (column([1]), pa.table({"b": [1]})),
        (column([1]), pa.table({"a": [1], "b": [1]})),
        (pa.table({"a": [1], "b": [1]}), pa.table({"b": [1], "a": [1]})),
        (column([1]), pa.table({"a": [1]}, pa.schema([pa.field("a", pa.int64(), nullable=False)]))),
        (column([1]), column([1]).replace_schema_metadata({"a": "b"})),
        (column([1]), pa.table({"a": [1]}, pa.schema([pa.field("a", pa.int64(), metadata={"unit": "m"})]))),
        (column([1]), column([1, 1])),
        (column([], pa.int64()), column([1])),
    ],
)
def test_differs(pair: Pair, write: Write, one: pa.Table, two: pa.Table) -> None:
    found = pair(write(one), write(two))
    assert found.outcome is Outcome.DIFFERENT
    assert found.children


@both
def test_float16_intervals_and_extension_types(pair: Pair, write: Write) -> None:
    halves = [pa.table({"a": pa.array(np.array([1.0, value], np.float16))}) for value in (2.0, 2.002)]
    found = pair(write(halves[0]), write(halves[1]))
    assert found.children[0].evidence["max_ulp"] == 1
    if write is arrow:
        spans = [column([(1, 2, days)], pa.month_day_nano_interval()) for days in (3, 4)]
        assert pair(write(spans[0]), write(spans[1])).outcome is Outcome.DIFFERENT
    kind = pa.uuid() if hasattr(pa, "uuid") else None
    if kind is not None:
        named = [
            pa.table(
                {"a": pa.ExtensionArray.from_storage(kind, pa.array([bytes([last] * 16)], pa.binary(16)))}
            )
            for last in (1, 2)
        ]
        assert pair(write(named[0]), write(named[1])).outcome is Outcome.DIFFERENT
        assert (
            pair(write(named[0]), write(column([bytes([1] * 16)], pa.binary(16)))).outcome
            is Outcome.DIFFERENT
        )


def test_tolerance_holds_for_numbers_and_for_nothing_else(pair: Pair) -> None:
    wide = Tolerance(rtol=0.5, atol=1e9, ulp=1 << 40)
    for one, two, outcome in (
        (column([1]), column([2]), Outcome.CLOSE),
        (column([[1.0, 2.0]]), column([[1.0, 2.1]]), Outcome.CLOSE),
        (column([{"x": 1.0}]), column([{"x": 1.1}]), Outcome.CLOSE),
        (column([Decimal("1.10")]), column([Decimal("1.20")]), Outcome.CLOSE),
        (column([1.0, None]), column([1.1, 2.0]), Outcome.DIFFERENT),
        (column([float("inf")]), column([1.0]), Outcome.DIFFERENT),
        (column([DAY1]), column([DAY2]), Outcome.DIFFERENT),
        (column([True]), column([False]), Outcome.DIFFERENT),
        (column(["1"]), column(["2"]), Outcome.DIFFERENT),
        (column([[1.0]]), column([[1.0, 1.0]]), Outcome.DIFFERENT),
    ):
        assert pair(parquet(one), parquet(two), wide).outcome is outcome
    assert (
        pair(
            parquet(column([Decimal("1.10")])), parquet(column([Decimal("1.20")])), Tolerance(ulp=1 << 60)
        ).outcome
        is Outcome.DIFFERENT
    )


@both
def test_the_same_rows_in_another_order(pair: Pair, write: Write) -> None:
    turned = table().take(list(range(49, -1, -1)))
    found = pair(write(table()), write(turned))
    assert (found.outcome, found.summary) == (Outcome.DIFFERENT, "same rows, other order")
    assert subjects(found) == ["rows"]
    # each column has the same values as before, but not the same rows
    mixed = table().set_column(1, "rmse", turned["rmse"])
    found = pair(write(table()), write(mixed))
    assert subjects(found) == ['column "rmse"']


@both
def test_rows_that_came_and_went(pair: Pair, write: Write) -> None:
    whole = table()
    found = pair(write(whole), write(pa.concat_tables([whole.slice(0, 9), whole.slice(10)])))
    assert found.summary == "row count 50 -> 49: 1 gone, 0 new, the others are the same rows"
    assert found.children[0].evidence["first_row"] == 10
    found = pair(write(whole), write(pa.concat_tables([whole, whole.slice(7, 1)])))
    assert found.children[0].evidence == {
        "counts": [50, 51],
        "only_expected": 0,
        "only_actual": 1,
        "first_row": 51,
    }


def test_schema_is_told_by_column(pair: Pair) -> None:
    one = pa.table({"a": [1], "b": [2.0], "c": ["x"]})
    two = pa.table({"a": pa.array([1], pa.int32()), "c": ["x"], "d": [1]})
    found = pair(parquet(one), parquet(two))
    assert [part.subject for part in found.children[0].children] == ['column "b"', 'column "d"', 'column "a"']
    assert found.children[0].children[2].summary == "type int64 -> int32"


def test_versions_in_the_metadata_of_pandas(pair: Pair) -> None:
    def noted(**changes: object) -> bytes:
        note = {
            "index_columns": ["i"],
            "pandas_version": "2.0",
            "creator": {"library": "pyarrow", "version": "1"},
            **changes,
        }
        return parquet(column([1]).replace_schema_metadata({"pandas": json.dumps(note)}))

    found = pair(noted(), noted(pandas_version="3.0", creator={"library": "pyarrow", "version": "2"}))
    assert found.canonicalisations == ("versions in the metadata of pandas",)
    assert pair(noted(), noted(index_columns=["j"])).outcome is Outcome.DIFFERENT
    assert pair(noted(), noted(version="3.0")).outcome is Outcome.DIFFERENT


def test_levels_of_categories(pair: Pair) -> None:
    def levels(names: list[str], codes: list[int], *, ordered: bool = False) -> bytes:
        return arrow(
            pa.table({"a": pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names), ordered=ordered)})
        )

    found = pair(levels(["x", "y"], [0, 1]), levels(["y", "x", "z"], [1, 0]))
    assert found.canonicalisations == ("unused levels and order of levels",)
    assert (
        pair(levels(["x", "y"], [0, 1], ordered=True), levels(["y", "x"], [1, 0], ordered=True)).outcome
        is Outcome.DIFFERENT
    )
    assert (
        pair(levels(["x", "y"], [0, 1], ordered=True), levels(["x", "y"], [0, 1])).outcome
        is Outcome.DIFFERENT
    )


def test_metadata_of_record_batches(pair: Pair) -> None:
    def noted(note: dict[str, str]) -> bytes:
        sink = pa.BufferOutputStream()
        batch = pa.record_batch({"a": [1]})
        with pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch, custom_metadata=note)
        return sink.getvalue().to_pybytes()

    assert pair(noted({"k": "v"}), noted({"k": "w"})).outcome is Outcome.DIFFERENT


def test_digests_do_not_depend_on_chunks_and_encoding() -> None:
    whole = table()
    for name in whole.column_names:
        values = whole[name].chunk(0)
        digests = set()
        for pieces in (
            [values],
            [values.slice(0, 7), values.slice(7)],
            [values.slice(number, 1) for number in range(50)],
        ):
            digest = ColumnDigest("type")
            for piece in pieces:
                digest.update(piece)
            digests.add(digest.value())
        assert len(digests) == 1
        digest = ColumnDigest("type")
        digest.update(values.slice(1))
        assert digest.value() not in digests
    encoded = ColumnDigest("type")
    encoded.update(whole["name"].chunk(0).dictionary_encode())
    plain = ColumnDigest("type")
    plain.update(whole["name"].chunk(0))
    assert encoded.value() == plain.value()


def test_hashes_of_rows_tell_values_apart() -> None:
    for values in (
        pa.array([[1, 2], [2, 1], [], None, [1], [1, 2, 0]]),
        pa.array(["ab", "ba", "", None, "a", "abc", "ab\0"]),
        pa.array([{"a": 1, "b": 2}, {"a": 2, "b": 1}, None, {"a": None, "b": 1}]),
        pa.array([0.0, -0.0, 1.0, None]),
        pa.array([Decimal(1), Decimal(2), None]),
    ):
        hashes = row_hashes(values)
        assert len(set(hashes.tolist())) == len(values)
        assert (
            row_hashes(pa.concat_arrays([values, values]).slice(2, len(values)))[: len(values) - 2]
            == hashes[2:]
        ).all()


def test_every_row_is_compared_on_its_own() -> None:
    chance = random.Random(2)
    rows = [
        None
        if chance.random() < 0.2
        else [None if chance.random() < 0.2 else chance.choice("ab") for _ in range(chance.randrange(3))]
        for _ in range(200)
    ]
    other = [row if chance.random() < 0.5 else rows[chance.randrange(200)] for row in rows]
    pairs = [
        [None if row is None else [(item or "z", item) for item in row] for row in side]
        for side in (rows, other)
    ]
    maps = [pa.array(side, pa.map_(pa.string(), pa.string())) for side in pairs]
    found = unequal_rows(maps[0].slice(3, 190), maps[1].slice(3, 190), EXACT, Distance())
    assert found.tolist() == [one != two for one, two in zip(rows[3:193], other[3:193], strict=True)]
    mask = unequal_rows(
        pa.array(rows, pa.list_(pa.string())), pa.array(other, pa.list_(pa.string())), EXACT, Distance()
    )
    assert mask.tolist() == [one != two for one, two in zip(rows, other, strict=True)]


def test_many_row_groups_and_batches_in_other_places(pair: Pair) -> None:
    rows = 150_000
    whole = pa.table(
        {"id": np.arange(rows), "value": np.arange(rows) / 7, "text": [f"t{row % 91}" for row in range(rows)]}
    )
    changed = np.arange(rows) / 7
    changed[123_456] += 1
    other = whole.set_column(1, "value", pa.array(changed))
    for one, two in (
        (parquet(whole, row_group_size=40_000), parquet(other, row_group_size=40_000)),
        (parquet(whole, row_group_size=40_000), parquet(other, row_group_size=33_333)),
        (arrow(whole, rows=10_000), arrow(other, rows=7_777)),
    ):
        found = pair(one, two)
        assert found.summary.endswith(
            'first at row 123,457, column "value": 17636.571428571428 -> 17637.571428571428'
        )
        assert subjects(found) == ['column "value"']


def test_a_column_that_cannot_be_compared_is_unknown(pair: Pair) -> None:
    def union(last: int) -> bytes:
        kinds = pa.array([0, 1, 0], pa.int8())
        items = pa.UnionArray.from_sparse(kinds, [pa.array([1, 2, last]), pa.array(["a", "b", "c"])])
        return arrow(pa.table({"u": items, "a": [1, 2, 3]}))

    found = pair(union(3), union(4))
    assert found.outcome is Outcome.UNKNOWN
    assert 'column "u"' in found.summary


@pytest.mark.parametrize(
    "write", [parquet, arrow, lambda content: arrow(content, stream=True)], ids=["parquet", "file", "stream"]
)
def test_damaged_files_are_unknown(pair: Pair, write: Write) -> None:
    whole = write(table())
    for cut in (9, 100, len(whole) // 2, len(whole) - 1):
        assert pair(whole, whole[:cut]).outcome >= Outcome.UNKNOWN
    chance = random.Random(9)
    for _ in range(60):
        broken = bytearray(whole)
        for _ in range(4):
            broken[chance.randrange(8, len(broken))] = chance.randrange(256)
        found = pair(whole, bytes(broken))
        assert found.outcome >= Outcome.UNKNOWN or found.canonicalisations


def test_a_small_file_that_unfolds_to_more_than_there_is_memory_is_unknown(tmp_path: Path) -> None:
    """One large text in the dictionary, and every row says it."""
    codes = pa.array(np.zeros(60_000, np.int32))
    tables = [
        pa.table({"a": pa.DictionaryArray.from_arrays(codes, pa.array([last * (8 << 20)]))}) for last in "xy"
    ]
    bombs = [parquet(each, compression="zstd", store_schema=False) for each in tables]
    assert max(map(len, bombs)) < 1 << 20
    for name, data in zip("ab", bombs, strict=True):
        (tmp_path / name).write_bytes(data)
    assert compare(tmp_path / "a", tmp_path / "b").outcome >= Outcome.UNKNOWN


def test_two_columns_of_one_name_are_unknown(pair: Pair) -> None:
    def twins(last: int) -> pa.Table:
        return pa.Table.from_arrays([pa.array([1]), pa.array([last])], ["a", "a"])

    for write in (parquet, arrow):
        assert pair(write(twins(1)), write(twins(2))).outcome is Outcome.UNKNOWN


def test_names_with_dots_and_nested_names(pair: Pair) -> None:
    def dotted(last: int) -> bytes:
        return parquet(pa.table({"a": [{"b": 1, "c": 2}], "a.b": [3], "x.y": [last]}))

    found = pair(dotted(1), dotted(2))
    assert subjects(found) == ['column "x.y"']


def test_encrypted_parquet_is_unknown(pair: Pair) -> None:
    whole = parquet(table())
    assert pair(whole, whole[:-4] + b"PARE").outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_within_archives_and_under_any_name(pair: Pair, tmp_path: Path, method: int) -> None:
    def packed(last: int) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            archive.writestr("before.txt", "text")
            archive.writestr("table.parquet", parquet(table(id=pa.array([*range(49), last]))))
        return buffer.getvalue()

    found = pair(packed(1), packed(2), name="a.zip")
    assert found.children[0].children[0].subject == 'column "id"'
    place = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9 "))
    for side, last in (("a", 1), ("b", 2)):
        (place / side).mkdir(parents=True)
        (place / side / "t.parquet").write_bytes(parquet(column([last])))
    assert compare(place / "a/t.parquet", place / "b/t.parquet").kind == "parquet"


# the worker ---------------------------------------------------------------------------------------


def sides() -> tuple[Source, Source]:
    return Source(name="a", data=b"1"), Source(name="b", data=b"2")


def dies(expected: Source, actual: Source, subject: str, context: Context) -> Difference:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError((expected, actual, subject, context))


def sleeps(expected: Source, actual: Source, subject: str, context: Context) -> Difference:
    signal.pause()
    raise AssertionError((expected, actual, subject, context))


def tells(expected: Source, actual: Source, subject: str, context: Context) -> Difference:
    text = f"{expected.read(9)!r} {actual.read(9)!r} {context.tolerance.rtol} {context.limits.max_depth}"
    return Difference(
        subject=subject,
        outcome=Outcome.DIFFERENT,
        summary=text,
        evidence={"pid": os.getpid(), "inf": float("inf")},
    )


def fails(expected: Source, actual: Source, subject: str, context: Context) -> Difference:
    raise RuntimeError("of its own")


@pytest.fixture
def targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with the functions above that the worker can import."""
    from reproof.compare import isolated

    lines = (
        Path(__file__).read_text(encoding="utf-8").split("# the worker ---")[1].split("@pytest.fixture")[0]
    )
    header = "from __future__ import annotations\nimport os, signal\nfrom reproof.model.difference import Difference, Outcome\n"
    (tmp_path / "own_targets.py").write_text(header + "#" + lines, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    isolated._WORKER.stop()
    return "own_targets"


def test_the_worker_is_told_everything_and_stays(targets: str) -> None:
    one, two = sides()
    context = new_context(one, two, tolerance=Tolerance(rtol=float("inf")), limits=Limits(max_depth=7))
    found = [compare_apart(f"{targets}:tells", (one, two), "it", context) for _ in range(2)]
    assert found[0].summary == "b'1' b'2' inf 7"
    assert found[0].evidence["inf"] == float("inf")
    assert found[0].evidence["pid"] == found[1].evidence["pid"] != os.getpid()


def test_a_worker_that_dies_is_a_reason_and_the_next_one_answers(targets: str) -> None:
    context = new_context(*sides())
    with pytest.raises(ContentError, match="its reader ended by signal SIGKILL"):
        compare_apart(f"{targets}:dies", sides(), "it", context)
    with pytest.raises(ContentError, match="RuntimeError: of its own"):
        compare_apart(f"{targets}:fails", sides(), "it", context)
    assert compare_apart(f"{targets}:tells", sides(), "it", context).outcome is Outcome.DIFFERENT


def test_a_worker_that_does_not_answer_is_ended(targets: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reproof.compare.isolated._GRACE", 0.5)
    with pytest.raises(ContentError, match="longer than its time limit"):
        compare_apart(f"{targets}:sleeps", sides(), "it", new_context(*sides(), limits=Limits(seconds=0.5)))
    assert (
        compare_apart(f"{targets}:tells", sides(), "it", new_context(*sides())).outcome is Outcome.DIFFERENT
    )


def test_no_worker_outlives_the_process(tmp_path: Path) -> None:
    for name, last in (("a", 1), ("b", 2)):
        pq.write_table(column([last]), tmp_path / f"{name}.parquet")
    code = (
        "import sys; from pathlib import Path; from reproof.compare import compare, isolated\n"
        "print(compare(*map(Path, sys.argv[1:])).outcome.word, isolated._WORKER._process.pid, 'pyarrow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")],
        capture_output=True,
        text=True,
        check=True,
    )
    word, pid, imported = done.stdout.split()
    assert (word, imported, done.stderr) == ("different", "False", "")
    assert not Path(f"/proc/{pid}").exists()
