"""Many kinds of files: tables, archives with fixed dates, a database, folders."""

import csv
import gzip
import json
import sqlite3
import zipfile
from pathlib import Path

rows = [(number, number**2 / 7, f"name {number}") for number in range(200)]
top = Path("outputs")
(top / "parts" / "deep").mkdir(parents=True, exist_ok=True)
with open(top / "table.csv", "w", newline="") as file:
    csv.writer(file).writerows(rows)
with open(top / "table.csv.gz", "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
    file.write((top / "table.csv").read_bytes())
with zipfile.ZipFile(top / "all.zip", "w") as archive:
    for number in range(5):
        archive.writestr(zipfile.ZipInfo(f"part{number}.txt"), f"{number}\n" * 50)
for number in range(5):
    (top / "parts" / "deep" / f"{number}.json").write_text(json.dumps(rows[number]))
(top / "rows.db").unlink(missing_ok=True)
with sqlite3.connect(top / "rows.db") as base:
    base.execute("create table rows (number integer primary key, value real, name text)")
    base.executemany("insert into rows values (?, ?, ?)", rows)
