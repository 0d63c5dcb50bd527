"""Rows in another order: the same rows, whole, and the names stay on top."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimal import minimal_record
from reproof.model.artifact import Artifact
from reproof.workflow.rows import shuffle_tables, shuffled, tables_of

CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("C",)) | st.just("\n"), max_size=6)


@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"])
)
def test_rows_stay_whole_whatever_is_in_them(rows: list[list[str]], end: str) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    other = list(csv.reader(io.StringIO(shuffled(text.getvalue().encode()).decode(), newline="")))
    assert other[0] == rows[0]
    assert sorted(other) == sorted(rows)


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_order_is_another(end: str) -> None:
    table = "name\n" + "\n".join(str(number) for number in range(20)) + end
    other = shuffled(table.encode()).decode()
    assert other != table
    assert other.endswith("\n") == bool(end)
    assert other.split("\n")[0] == "name"
    assert shuffled(b"a\n1\n2\n") == b"a\n2\n1\n"
    assert shuffled(b"") == b""
    assert shuffled(b"a\n1\n") == b"a\n1\n"


def test_only_tables_below_the_project(tmp_path: Path) -> None:
    names = ("data/a.csv", "b.txt", "/c.csv", "${HOME}/d.csv", "e.tsv")
    record = minimal_record(
        materials=tuple(Artifact(name=name, digests={}, size=9, origin="git") for name in names),
    )
    assert tables_of(record) == ("data/a.csv", "e.tsv")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.csv").write_text("a\n1\n2\n")
    shuffle_tables(tmp_path, record)  # one of them is not there
    assert (tmp_path / "data/a.csv").read_text() == "a\n2\n1\n"
