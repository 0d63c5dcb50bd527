"""Parts of files: what is taken from either side adds up to the whole, whatever is chosen."""

from __future__ import annotations

import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof.workflow.explain.blocks import (
    MOST,
    Block,
    hunks,
    line_blocks,
    mix_lines,
    mix_tables,
    place,
    show,
    table_blocks,
)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("ab")), max_size=40), st.data())
def test_lines_add_up(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    before = "".join(f"{one}\n" for one, _ in pairs).encode()
    after = "".join(f"{two}\n" for _, two in pairs).encode()
    blocks = line_blocks(before, after)
    assert blocks is not None
    every = set(range(len(blocks)))
    assert mix_lines(before, after, blocks, set()) == before
    assert mix_lines(before, after, blocks, every) == after
    chosen = data.draw(st.sets(st.sampled_from(sorted(every)))) if every else set()
    mixed = mix_lines(before, after, blocks, chosen).decode().splitlines()
    assert all(line in pair for line, pair in zip(mixed, pairs, strict=True))


def test_many_rows_become_few_blocks() -> None:
    before = b"".join(b"%d\n" % n for n in range(5000))
    after = b"".join(b"%d\n" % -n for n in range(1, 5001))
    blocks = line_blocks(before, after)
    assert blocks is not None
    assert 200 <= len(blocks) <= MOST
    assert (blocks[0].start, blocks[-1].end) == (0, 5000)


def test_other_numbers_of_lines_are_not_divided_by_rows() -> None:
    assert line_blocks(b"1\n2\n", b"1\n") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"@@ -3 +3 @@\n-a\n+b\n", Block(2, 3, 2, 3)),
        (b"@@ -3,0 +4,2 @@\n+a\n+b\n", Block(3, 3, 3, 5)),
        (b"@@ -3,2 +2,0 @@ def f():\n-a\n-b\n", Block(2, 4, 2, 2)),
    ],
)
def test_hunks(text: bytes, expected: Block) -> None:
    assert hunks(text) == [expected]


def test_insertions_and_deletions_add_up() -> None:
    before, after = b"a\nb\nc\nd\n", b"a\nx\nb\nd\ny"
    blocks = [Block(1, 1, 1, 2), Block(2, 3, 3, 3), Block(4, 4, 4, 5)]
    assert mix_lines(before, after, blocks, {0, 1, 2}) == after
    assert mix_lines(before, after, blocks, {1}) == b"a\nb\nd\n"


def _parquet(values: list[float]) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table({"x": values}), target, row_group_size=100)
    return target.getvalue()


def test_blocks_of_a_table() -> None:
    one = [random.Random(n).random() for n in range(1000)]
    two = [*one[:500], 7.0, *one[501:-1], 8.0]
    before, after = _parquet(one), _parquet(two)
    blocks = table_blocks(before, after)
    assert blocks is not None
    assert [(block.start <= row < block.end) for block, row in zip(blocks, (500, 999), strict=True)] == [
        True,
        True,
    ]
    mixed = pq.read_table(io.BytesIO(mix_tables(before, after, blocks, {1}))).column("x").to_pylist()
    assert mixed == [*one[:-1], 8.0]


@pytest.mark.parametrize("other", [b"no table", _parquet([1.0]), b""])
def test_tables_that_do_not_face_each_other_are_not_divided(other: bytes) -> None:
    assert table_blocks(_parquet([1.0, 2.0]), other) is None


@pytest.mark.parametrize(
    ("start", "end", "where", "said"),
    [
        (1, 2, "d.csv:2", "b"),
        (0, 2, "d.csv:1-2", "lines 1-2"),
        (5, 6, "d.csv:6", "line 6"),
        (1, 1, "d.csv:2", "nothing"),
    ],
)
def test_lines_for_people(start: int, end: int, where: str, said: str) -> None:
    assert place("d.csv", start, end) == where
    assert show(start, end, [b"a", b" b "]) == said


def test_rows_of_a_table_for_people() -> None:
    assert (show(4, 5, None), show(4, 9, None)) == ("row 5", "rows 5-9")
