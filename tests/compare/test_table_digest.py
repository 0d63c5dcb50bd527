"""The same table has the same digest, however it was written; another one says where it differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import feather

from reproof.compare import table_digest
from reproof.compare.protocol import ContentError
from reproof.compare.table_digest import digest_batches, digest_table
from reproof.model.table import BLOCK, BlockedColumn, TableDigest, changed_blocks, changes_in_words

ROWS = 2 * BLOCK + 1000


def table(rows: int = ROWS) -> pa.Table:
    chance = np.random.default_rng(0)
    number = np.arange(rows)
    return pa.table(
        {
            "id": number,
            "value": pa.array(chance.random(rows), mask=number % 20 == 0),
            "flag": chance.random(rows) > 0.5,
            "when": pa.array(number, pa.timestamp("ns", "UTC")),
            "city": pa.array([f"city {each % 7}" if each % 11 else None for each in range(rows)]),
            "parts": pa.array([[each % 3] * (each % 4) for each in range(rows)]),
        }
    )


def digest(data: pa.Table, chunk: int | None = None) -> Any:
    return digest_batches(data.schema, data.to_batches(max_chunksize=chunk))


@pytest.fixture(scope="module")
def data() -> pa.Table:
    return table()


def test_every_encoding_of_a_table_has_one_digest(data: pa.Table, tmp_path: Path) -> None:
    expected = digest(data)
    pq.write_table(data, tmp_path / "a.parquet", compression="snappy")
    pq.write_table(
        data, tmp_path / "b.parquet", compression="zstd", row_group_size=9_999, use_dictionary=False
    )
    feather.write_feather(data, tmp_path / "c.feather", compression="lz4", chunksize=1_234)
    feather.write_feather(data, tmp_path / "d.arrow", compression="uncompressed")
    with pa.ipc.new_stream(tmp_path / "e.arrow", data.schema) as stream:
        stream.write_table(data, max_chunksize=777)
    for name in ("a.parquet", "b.parquet", "c.feather", "d.arrow", "e.arrow"):
        assert digest_table(tmp_path / name) == expected, name
    coded = data.set_column(4, "city", data["city"].dictionary_encode())
    large = data.set_column(4, "city", data["city"].cast(pa.large_string()))
    assert digest(coded) == digest(large) == digest(data.replace_schema_metadata({"a": "b"})) == expected


def test_texts_that_repeat_are_read_by_their_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = BLOCK + 5_000
    words = [f"word {each % 7}" if each % 11 else None for each in range(rows)]
    data = pa.table(
        {
            "text": words,
            "bytes": pa.array(words, pa.string()).cast(pa.large_binary()),
            "turns unique": [f"word {each if each > 60_000 else each % 5}" for each in range(rows)],
            "absent": pa.nulls(rows, pa.string()),
            "inner": pa.StructArray.from_arrays([pa.array(words)], ["text"]),
        }
    )
    expected = digest(data)
    monkeypatch.setattr(table_digest, "_WORTH", 0)
    pq.write_table(data, tmp_path / "a.parquet", row_group_size=40_001, dictionary_pagesize_limit=1_000)
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert {"text", "bytes"} <= set(table_digest._repeating(file.schema_arrow, file.metadata))
    assert digest_table(tmp_path / "a.parquet") == expected
    monkeypatch.setattr(table_digest, "_DECODED", 1_000)
    assert digest_table(tmp_path / "a.parquet") == expected
    monkeypatch.setattr(table_digest, "_NUMBERS", 0)
    assert digest_table(tmp_path / "a.parquet") == expected


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a.b"), ("", "x"), (".a", ""), ("a.b", "a.c"), ()])
def test_any_names_of_columns(tmp_path: Path, names: tuple[str, ...]) -> None:
    columns = [pa.array([{"b": 1}, {"b": 2}]), pa.array([3, 4])][: len(names)]
    data = pa.Table.from_arrays(columns, names=list(names))
    pq.write_table(data, tmp_path / "a.parquet")
    assert digest_table(tmp_path / "a.parquet") == digest(data)


def test_rows_that_are_promised_and_not_there(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": range(100)}), tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    # the number of rows in the footer, before the list of one row group
    assert content.count(b"\x16\xc8\x01\x19\x1c") == 1
    (tmp_path / "a.parquet").write_bytes(content.replace(b"\x16\xc8\x01\x19\x1c", b"\x16\xca\x01\x19\x1c"))
    with pytest.raises(ContentError, match="101 rows are promised and 100 are there"):
        digest_table(tmp_path / "a.parquet")


@pytest.mark.parametrize("codes", [[0, 2], [0, -1], [None, 2]])
def test_an_entry_that_a_dictionary_does_not_have_is_refused(codes: list[int | None]) -> None:
    array = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(["a", "b"]), safe=False)
    with pytest.raises(ContentError, match="names an entry"):
        digest(pa.table({"a": array}))


def test_what_nulls_hide_is_no_entry() -> None:
    codes = pa.Array.from_buffers(pa.int8(), 3, [pa.py_buffer(b"\x05"), pa.py_buffer(b"\x00\x7f\x01")])
    array = pa.DictionaryArray.from_arrays(codes, pa.array(["a", "b"]), safe=False)
    assert digest(pa.table({"a": array})) == digest(pa.table({"a": ["a", None, "b"]}))


@settings(max_examples=15, deadline=None)
@given(chunk=st.integers(1, 3000), start=st.integers(0, 500))
def test_chunks_and_offsets_leave_no_trace(chunk: int, start: int) -> None:
    small = table(4000)
    part = small.slice(start)
    again = pa.Table.from_pylist(part.to_pylist(), schema=part.schema)
    assert digest(part, chunk) == digest(again)


def test_a_change_is_found_from_the_digests_alone(data: pa.Table) -> None:
    values = data["id"].to_numpy().copy()
    values[BLOCK + 5] += 1
    values[-1] = 0
    before, after = digest(data), digest(data.set_column(0, "id", pa.array(values)))
    assert before.digest != after.digest
    assert changed_blocks(before, after) == {"id": [(BLOCK + 1, 2 * BLOCK), (2 * BLOCK + 1, ROWS)]}
    assert changed_blocks(before, before) == {}
    assert changed_blocks(before.shortened(), after.shortened()) == changed_blocks(before, after)
    said = changes_in_words(before.shortened(), after.shortened())
    assert said == f"column `id`, rows {BLOCK + 1:,}-{2 * BLOCK:,}, {2 * BLOCK + 1:,}-{ROWS:,}"
    assert changes_in_words(before, before) == "the same table"


def test_very_many_blocks_leave_the_columns() -> None:
    columns = tuple(
        BlockedColumn(name=name, type="int64", digest=digits * 64, blocks=(digits * 64,) * 9_000)
        for name, digits in (("a", "1"), ("b", "2"))
    )
    one = TableDigest(digest="1", rows=9_000 * BLOCK, columns=columns).shortened()
    assert [column.blocks for column in one.columns] == [(), ()]
    other = msgspec.structs.replace(columns[1], digest="3" * 64)
    two = TableDigest(digest="2", rows=9_000 * BLOCK, columns=(columns[0], other)).shortened()
    assert changed_blocks(one, two) == {"b": [(1, 9_000 * BLOCK)]}


CHANGES = {
    "rows after 10,000": lambda data: data.set_column(
        1, "value", pa.array(np.r_[data["value"].to_numpy()[:10_000], np.zeros(ROWS - 10_000)])
    ),
    "bool": lambda data: data.set_column(2, "flag", pa.array(~data["flag"].to_numpy())),
    "datetime": lambda data: data.set_column(
        3, "when", pa.array(np.arange(1, ROWS + 1), pa.timestamp("ns", "UTC"))
    ),
    "object columns": lambda data: data.set_column(
        5, "parts", pa.array([[9] * (each % 4) for each in range(ROWS)])
    ),
    "dtype": lambda data: data.set_column(0, "id", data["id"].cast(pa.int32())),
    "permutation": lambda data: data.take(np.arange(ROWS)[::-1]),
    "a null": lambda data: data.set_column(0, "id", pa.array(np.arange(ROWS), mask=np.arange(ROWS) == 7)),
    "a name": lambda data: data.rename_columns(["ID", *data.schema.names[1:]]),
    "order of columns": lambda data: data.select(data.schema.names[::-1]),
    "time zone": lambda data: data.set_column(3, "when", data["when"].cast(pa.timestamp("ns"))),
    "a row less": lambda data: data.slice(0, ROWS - 1),
    "no rows": lambda data: data.slice(0, 0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_another_table_has_another_digest(data: pa.Table, name: str) -> None:
    assert digest(CHANGES[name](data)).digest != digest(data).digest


@pytest.mark.parametrize(
    ("one", "two"), [([0.0], [-0.0]), ([float("nan")], [None]), ([""], [None]), (["ab", ""], ["a", "b"])]
)
def test_bits_count(one: list[Any], two: list[Any]) -> None:
    kind = pa.float64() if isinstance(one[0], float) else pa.string()
    assert (
        digest(pa.table({"a": pa.array(one, kind)})).digest
        != digest(pa.table({"a": pa.array(two, kind)})).digest
    )


def test_csv_is_text_between_delimiters(tmp_path: Path) -> None:
    texts = {
        "plain": 'id,name\n1,x\n2,"a,b"\n',
        "quoted": '"id","name"\n"1","x"\n"2","a,b"\n',
        "ends": 'id,name\r\n1,x\r\n2,"a,b"\r\n',
        "other": 'id,name\n1.0,x\n2,"a,b"\n',
    }
    found = {}
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_bytes(text.encode())
        found[name] = digest_table(tmp_path / f"{name}.csv").digest
    assert found["plain"] == found["quoted"] == found["ends"] != found["other"]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.csv", "a.txt", "a"])
def test_what_is_no_table_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\x00 no table")
    with pytest.raises(ContentError):
        digest_table(tmp_path / name)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ContentError):
        digest_table(tmp_path / name)


def test_a_damaged_file_is_refused(data: pa.Table, tmp_path: Path) -> None:
    pq.write_table(data, tmp_path / "a.parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[1000:3000] = b"x" * 2000
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(ContentError):
        digest_table(tmp_path / "a.parquet")


def test_what_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        digest_table(tmp_path / "absent.parquet")


def test_digests_are_those_of_earlier_versions() -> None:
    # Records hold them: whoever changes how they are taken must give their form another name.
    rows = 9_001
    part = np.arange(rows) * 2_654_435_761 % 2**32 / 2**32  # as good as random, and always the same
    hidden = part < 0.03
    columns = {
        "sparse": pa.array(np.arange(rows), mask=part > 0.999),
        "flag": pa.array(part % 0.01 > 0.004, mask=hidden),
        "half": pa.array(part.astype(np.float16), mask=part % 0.1 < 0.09),
        "name": pa.array([f"n{each % 13}" for each in range(rows)], mask=hidden).dictionary_encode(),
        "raw": pa.array([b"\0" * (each % 3) for each in range(rows)], pa.large_binary(), mask=hidden),
        "pair": pa.array([{"a": each, "b": None} for each in range(rows)], mask=hidden),
        "lists": pa.array([[each, None] * (each % 2) for each in range(rows)], mask=hidden),
        "none": pa.nulls(rows),
    }
    found = digest(pa.table(columns).slice(5), 1_003)
    assert found.digest == "65465b28e634acb8c2f154afabba6efe5292c5f6bfa495d4e2a17cecff410f84"
    assert digest(pa.table(columns).slice(5)) == found
