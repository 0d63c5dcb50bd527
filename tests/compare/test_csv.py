"""CSV and its kin, cell by cell."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof.compare import compare
from reproof.compare.csv_reading import (
    NotTabular,
    choose_delimiters,
    count_records,
    split_cells,
    split_records,
)
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import EXACT, Tolerance

Pair = Callable[..., Difference]
ROWS = [f'{row},"name, {row}",{row / 7!r}' for row in range(1, 41)]
TABLE = "\n".join(["id,name,rmse", *ROWS]) + "\n"


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    def run(
        one: str | bytes, two: str | bytes, tolerance: Tolerance = EXACT, name: str = "a.csv"
    ) -> Difference:
        paths = [tmp_path / side / name for side in "ab"]
        for path, data in zip(paths, (one, two), strict=True):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        there = compare(*paths, tolerance=tolerance)
        assert compare(paths[1], paths[0], tolerance=tolerance).outcome is there.outcome
        return there

    return run


def subjects(found: Difference) -> list[str]:
    return [child.subject for child in found.children]


def test_a_differing_cell_is_named(pair: Pair) -> None:
    other = TABLE.replace(repr(17 / 7), repr(17 / 7 + 1e-9))
    found = pair(TABLE, other)
    assert found.outcome is Outcome.DIFFERENT
    assert subjects(found) == ['column "rmse"']
    column = found.children[0]
    assert column.evidence["differing"] == 1
    assert column.evidence["max_abs"] == pytest.approx(1e-9, rel=1e-3)
    assert column.evidence["max_ulp"] > 0
    assert [child.subject for child in column.children] == ['row 17, column "rmse"']
    assert column.children[0].expected == repr(17 / 7)
    assert found.evidence["delimiter"] == "comma"
    assert found.evidence["header"] is True
    assert pair(TABLE, other, Tolerance(rtol=1e-8)).outcome is Outcome.CLOSE
    assert pair(TABLE, other, Tolerance(rtol=1e-12)).outcome is Outcome.DIFFERENT


def test_cells_are_counted_for_each_column(pair: Pair) -> None:
    other = TABLE.replace("name, 3", "NAME, 3").replace(repr(1 / 7), "0.5").replace(repr(2 / 7), "nan")
    found = pair(TABLE, other)
    assert {child.subject: child.evidence["differing"] for child in found.children} == {
        'column "name"': 11,
        'column "rmse"': 2,
    }
    assert found.children[1].evidence["without_number"] == 1
    assert len(found.children[0].children) == 5
    assert found.evidence["first_row"] == 1


def quoted(text: str) -> str:
    return (
        "\n".join(",".join(f'"{cell}"' for cell in split_cells(line, ",")) for line in text.splitlines())
        + "\n"
    )


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (TABLE.replace("\n", "\r\n"), "line endings"),
        (TABLE.replace("\n", "\r"), "line endings"),
        (TABLE.replace("\n", "\r\n", 3), "line endings"),
        (TABLE[:-1], "final newline"),
        ("\ufeff" + TABLE, "text encoding"),
        (TABLE.encode("utf-16"), "text encoding"),
        (quoted(TABLE), "quoting of cells"),
        (TABLE.replace("2.0", "2.00"), "notation of numbers"),
        (TABLE.replace("2.0", "2"), "notation of numbers"),
        (TABLE.replace("\n5,", "\n5e0,"), "notation of numbers"),
    ],
)
def test_sets_aside_by_name(pair: Pair, other: str | bytes, name: str) -> None:
    found = pair(TABLE, other)
    assert found.outcome is Outcome.EQUIVALENT
    assert found.canonicalisations == (name,)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ('a,b\n"x\n1",2\n', 'a,b\n"x\r\n1",2\n'),  # a line ending within a cell
        ("a,b\nx,\n", 'a,b\nx,""\n'),  # empty, and empty but quoted
        ("a,b\n01,2\n", "a,b\n1,2\n"),  # an identifier, no number
        ("a,b\n1,2\n", "a,b\n1 ,2\n"),
        ("a,b\n1_0,2\n", "a,b\n10,2\n"),
        ("a,b\n0.0,2\n", "a,b\n-0.0,2\n"),
        ("a,b\nnan,2\n", "a,b\nNaN,2\n"),
        ("a,b\n12345678901234567890,2\n", "a,b\n12345678901234567891,2\n"),
        ("a,b\n0.1,2\n", "a,b\n0.1000000000000000055511151231257827,2\n"),
        ("a,b\n1,2\n", "a,b\n1,2\n\n"),
        ("a,b\n1,2\n", "a,b\n1,2,\n"),
        ("a,b\n1,2\n", "a,b\n1\n"),
        ("a,b\n1,2\n", "a,c\n1,2\n"),
        ("a,b\n1,2\n", "a;b\n1;2\n"),
        ("a,b\n1,2\n", ""),
        ("a,b\n1,\xe9\n".encode("latin-1"), "a,b\n1,\xe8\n".encode("latin-1")),
        ("a,b\n1,\xe9\n".encode("latin-1"), "a,b\n1,\xe9\n"),
        ("a,b\n1,x\0y\n" + "2,3\n" * 5000, "a,b\n1,x\0z\n" + "2,3\n" * 5000),
        ('a,b\n1,"x', 'a,b\n1,"y'),
        ('a,b\n1,5" pipe\n', 'a,b\n1,6" pipe\n'),
        ('a,b\n1,"x"y\n', 'a,b\n1,"x"z\n'),
    ],
)
def test_differs(pair: Pair, one: str | bytes, two: str | bytes) -> None:
    assert pair(one, two).outcome is Outcome.DIFFERENT


def test_the_same_rows_in_another_order(pair: Pair) -> None:
    turned = "\n".join(["id,name,rmse", *reversed(ROWS)]) + "\n"
    found = pair(TABLE, turned)
    assert found.outcome is Outcome.DIFFERENT
    assert found.summary == "same rows, other order"
    assert subjects(found) == ["rows"]
    other = turned.replace(repr(3 / 7), "0.1")
    found = pair(TABLE, other)
    assert "1 gone, 1 new, the others are the same rows" in found.summary


def test_rows_that_came_and_went(pair: Pair) -> None:
    found = pair(TABLE, "\n".join(["id,name,rmse", *ROWS[:9], *ROWS[10:]]) + "\n")
    assert found.summary.startswith("row count 40 -> 39: 1 gone, 0 new, the others are the same rows")
    assert subjects(found) == ["rows"]
    assert found.children[0].evidence["first_row"] == 10
    found = pair(TABLE, TABLE + "99,x,1\n")
    assert found.children[0].evidence == {
        "counts": [40, 41],
        "only_expected": 0,
        "only_actual": 1,
        "first_row": 41,
    }


def test_columns_in_another_order_are_named_and_their_cells_compared(pair: Pair) -> None:
    turned = "\n".join(",".join(line.split(",")[::-1]) for line in ("a,b,c", "1,2,3", "4,5,6"))
    found = pair("a,b,c\n1,2,3\n4,5,6", turned)
    assert found.outcome is Outcome.DIFFERENT
    assert found.summary == "the same columns in another order"
    assert subjects(found) == ["columns"]
    found = pair("a,b,c\n1,2,3\n4,5,6", turned.replace("5", "7"))
    assert subjects(found) == ["columns", 'column "b"']


def test_columns_that_came_and_went(pair: Pair) -> None:
    found = pair("a,b,c\n1,2,3\n", "a,c,d\n1,3,9\n")
    assert subjects(found) == ["columns"]
    assert [part.summary for part in found.children[0].children] == ["is gone", "is new"]


def test_without_a_header(pair: Pair) -> None:
    found = pair("1,2\n3,4\n", "1,2\n3,5\n")
    assert found.children[0].children[0].subject == 'row 2, column "2"'


@pytest.mark.parametrize(
    ("text", "name", "mark"),
    [
        ("a,b\n1,2\n", "a.csv", ","),
        ("a;b\n1,5;2,5\n", "a.csv", ";"),
        ("a\tb c\n1\t2,3\n", "a.csv", "\t"),
        ("a|b\n1|2\n", "a.csv", "|"),
        ('"a,b";c\n"1;2";3\n', "a.csv", ";"),
        ("a\n1\n", "a.csv", ","),
        ("a\n1\n", "a.tsv", "\t"),
        ("", "a.psv", "|"),
    ],
)
def test_delimiters(text: str, name: str, mark: str) -> None:
    assert choose_delimiters((text, text), name) == (mark, mark)


def test_one_delimiter_for_both_sides_where_there_is_one() -> None:
    assert choose_delimiters(("a;b,c\n1;2,3\n", "a;b,c\n1;2,3\n2;3,4\n"), "a.csv") == (",", ",")
    assert choose_delimiters(("a,b\n1,2\n", "a;b\n1;2\n"), "a.csv") == (",", ";")
    assert choose_delimiters((None, "a;b\n1;2\n"), "a.csv") == (";", ";")


def test_cells_and_records() -> None:
    assert split_cells('1,"a ""b"", c",,""', ",") == ["1", 'a "b", c', "", None]
    assert split_cells("", ",") == [""]
    assert split_cells('"x",', ",") == ["x", ""]
    assert split_records('a,"x\r\ny"\r\nb\r') == ['a,"x\r\ny"', "b"]
    assert split_records("a\r\rb") == ["a", "", "b"]
    assert count_records("a\nb\n\n") == 3
    for broken in ('"a', '"a"b', 'a"b'):
        with pytest.raises(NotTabular):
            split_cells(broken, ",")


@given(st.lists(st.lists(st.text('ab", \n\r', max_size=4), min_size=1, max_size=4), min_size=1, max_size=6))
def test_records_that_were_quoted_are_read_back(rows: list[list[str]]) -> None:
    records = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    found = split_records("\r\n".join(records) + "\r\n")
    assert found == records
    assert [[cell or "" for cell in split_cells(record, ",")] for record in found] == rows


def test_blocks_do_not_matter(pair: Pair) -> None:
    """A difference far beyond the first block, with records that cross the blocks, is found by its row."""
    rows = [f'{row},"{"x" * (row % 97)}\n""{row}""",{row / 3!r}' for row in range(60_000)]
    text = "id,text,value\n" + "\n".join(rows)
    rows[54_321] = rows[54_321].replace(repr(54_321 / 3), "0.5")
    found = pair(text, "id,text,value\n" + "\n".join(rows))
    assert found.evidence["rows"] == [60_000, 60_000]
    assert found.children[0].children[0].subject == 'row 54,322, column "value"'
    del rows[100]
    found = pair(text, "id,text,value\n" + "\n".join(rows))
    assert "row count 60,000 -> 59,999: 2 gone, 1 new" in found.summary


def test_memory_is_bounded(tmp_path: Path) -> None:
    line = b",".join(b"%d.25" % number for number in range(20)) + b"\n"
    with (tmp_path / "a.csv").open("wb") as one, (tmp_path / "b.csv").open("wb") as two:
        for _ in range(40):
            one.write(line * 5000)
            two.write(line * 5000)
        two.write(line)
        one.write(line.replace(b"1.25", b"1.5"))
    tracemalloc.start()
    found = compare(tmp_path / "a.csv", tmp_path / "b.csv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.evidence["differing_rows"] == 1
    assert peak < 40 << 20


@pytest.mark.parametrize(
    "hostile",
    [
        b'a,b\n1,"' + b"x" * (20 << 20),
        b'"' * 100_001,
        b"," * (17 << 20),
        b"a,b\n" + b"\n" * 200_000,
        b"a,b\n" + b"\0\r" * 100_000,
        b"\xff\xfea\0,\0b\0\n\0\x00\xd8",
        random.Random(1).randbytes(100_000),
    ],
    ids=["no end", "quotes", "one record", "empty lines", "nul", "broken utf-16", "random"],
)
def test_hostile_text(pair: Pair, hostile: bytes) -> None:
    assert pair(TABLE, hostile).outcome >= Outcome.UNKNOWN
    assert pair(hostile + b"1", hostile + b"2").outcome >= Outcome.UNKNOWN


def test_other_text_is_no_table(pair: Pair) -> None:
    assert pair("a,b\n1.0,2\n", "a,b\n1.00,2\n", name="a.txt").outcome is Outcome.DIFFERENT


def test_random_flips_in_a_large_table_are_found(pair: Pair) -> None:
    chance = random.Random(5)
    data = TABLE.encode()
    missed = []
    for _ in range(200):
        place, bit = chance.randrange(len(data)), chance.randrange(8)
        flipped = bytearray(data)
        flipped[place] ^= 1 << bit
        if pair(data, bytes(flipped)).outcome < Outcome.UNKNOWN:
            missed.append((place, bit))
    assert missed == []
