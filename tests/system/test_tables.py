"""Tables among the materials: what they hold has a digest of its own, and a change can be placed by it."""

from __future__ import annotations

from typing import Any

import pytest

from projects import Project

RUN = ("run", "--env-manager", "local", "--", "python", "train.py")
READS = "import glob\nfor name in sorted(glob.glob('data.*')):\n    open(name, 'rb').read()\nopen('result.txt', 'w').write('1')\n"


@pytest.fixture
def reader(plain: Project) -> Project:
    plain.write("train.py", READS)
    plain.shell("rm data.txt")
    plain.commit()
    return plain


def run(project: Project) -> Any:
    """Runs it; its record."""
    project.commit()
    project.reproof(*RUN, expect=0)
    return project.record()


def factor(project: Project, name: str) -> Any:
    first, second = (path.stem for path in project.records())
    found = project.reproof("diff", first, second, "--output-format", "json").json
    pending = [found["difference"]]
    while pending:
        node = pending.pop()
        if node["subject"] == name:
            return node
        pending += node.get("children", [])
    return None


def test_a_change_is_placed_from_the_records_alone(reader: Project) -> None:
    rows = [f"{number},{number % 7}" for number in range(150_000)]
    reader.write("data.csv", "id,kind\n" + "\n".join(rows) + "\n")
    (material,) = [each for each in run(reader)["materials"] if each["name"] == "data.csv"]
    table = material["table"]
    assert (table["rows"], [each["name"] for each in table["columns"]]) == (150_000, ["id", "kind"])
    assert [len(each["blocks"]) for each in table["columns"]] == [3, 3]
    rows[70_000] = "70000,9"
    reader.write("data.csv", "id,kind\n" + "\n".join(rows) + "\n")
    run(reader)
    for kept in (reader.folder / ".reproof/tables").iterdir():
        kept.unlink()  # what is compared stands in the records
    found = factor(reader, "data.csv")
    assert found["outcome"] == 4
    assert found["summary"].endswith(": column `kind`, rows 65,537-131,072")


@pytest.mark.needs("pandas")
def test_the_same_table_in_other_bytes_is_said_to_be_that(reader: Project) -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": range(1000), "b": [str(number) for number in range(1000)]})
    frame.to_parquet(reader.folder / "data.parquet", compression="snappy")
    run(reader)
    frame.to_parquet(reader.folder / "data.parquet", compression="zstd", row_group_size=100)
    run(reader)
    found = factor(reader, "data.parquet")
    assert (found["outcome"], found["summary"]) == (
        1,
        "data.parquet: the same table, other bytes",
    )


def test_what_is_no_table_stops_nothing_and_what_is_known_is_not_read_again(reader: Project) -> None:
    reader.write("data.parquet", "PAR1 and no more")
    reader.write("data.csv", "a\n1\n")
    materials = {each["name"]: each for each in run(reader)["materials"]}
    assert "table" not in materials["data.parquet"]
    (kept,) = (reader.folder / ".reproof/tables").iterdir()
    before = kept.stat().st_mtime_ns
    again = {each["name"]: each for each in run(reader)["materials"]}
    assert again["data.csv"]["table"] == materials["data.csv"]["table"]
    assert kept.stat().st_mtime_ns == before
