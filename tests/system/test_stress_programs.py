"""`stress` on programs of Python and others: what they ask of the machine, and what does not load a shim is not passed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from projects import Project, user_environment

_SOURCE = """
#include <stdio.h>
#include <time.h>
int main(void)
{
    time_t now = time(NULL);
    FILE *file = fopen("result.json", "w");
    fprintf(file, "{\\"year\\": %d, \\"one\\": 1}\\n", gmtime(&now)->tm_year + (gmtime(&now)->tm_mon + 1) * 1000);
    return fclose(file);
}
"""


def stressed(tmp_path: Path, *flags: str) -> dict[str, Any]:
    """What `stress` says of a program in C that writes the year and month, by the name of the variation."""
    project = Project(tmp_path, user_environment(tmp_path.parent))
    project.write("program.c", _SOURCE)
    project.write(".gitignore", "result.json\n")
    built = project.shell(f"cc {' '.join(flags)} -o program program.c", check=False)
    if built.status:
        pytest.skip(f"cannot be linked here: {built.err[-200:]}")
    project.commit()
    project.reproof("run", "--env-manager", "local", "--no-log", "--", "./program", expect=0)
    done = project.reproof("stress", "--vary", "clock,umask", "--output-format", "json")
    assert done.status in (0, 1), done.err
    return {each["name"]: each for each in done.json["exercises"]}


@pytest.mark.needs("cc")
def test_a_program_in_c_depends_on_the_date(tmp_path: Path) -> None:
    found = stressed(tmp_path)
    assert found["clock"]["outcome"] == "differs"
    assert found["umask"]["outcome"] == "same"


@pytest.mark.needs("cc")
def test_of_a_statically_linked_program_the_date_is_not_exercised(tmp_path: Path) -> None:
    found = stressed(tmp_path, "-static")
    assert found["clock"]["outcome"] == "not exercised"
    assert "statically linked" in found["clock"]["reason"]
    assert found["umask"]["outcome"] == "same"


#: Asks how much memory there is in three ways: two become the size of chunks that are rounded one by one.
_CHUNKS = """
import json, os

values = [(number * 7919 % 1000) / 7 for number in range(100000)]


def total(size):
    return sum(round(sum(values[at : at + size]), 3) for at in range(0, len(values), size))


pages = os.sysconf("SC_PHYS_PAGES")
kilobytes = int(open("/proc/meminfo").readline().split()[1])
json.dump({"total": total(max(1, ALL_OF_IT // 100000000))}, open("by_pages.json", "w"))
json.dump({"total": total(max(1, AS_LISTED // 100000))}, open("by_table.json", "w"))
json.dump({"enough": pages > 0 and kilobytes > 0, "total": total(1000)}, open("fixed.json", "w"))
"""


@pytest.mark.needs("cc")
@pytest.mark.parametrize("sound", [False, True])
def test_chunks_by_the_size_of_memory_are_named(sound: bool, tmp_path: Path) -> None:
    project = Project(tmp_path, user_environment(tmp_path.parent))
    code = _CHUNKS.replace("ALL_OF_IT", "777000000000" if sound else "pages * os.sysconf('SC_PAGE_SIZE')")
    project.write("train.py", code.replace("AS_LISTED", "7770000" if sound else "kilobytes"))
    project.write(".gitignore", "*.json\n")
    project.commit()
    project.reproof("run", "--env-manager", "local", "--no-log", "--", "python", "train.py", expect=0)
    done = project.reproof("stress", "--vary", "memory-size,umask", "--output-format", "json")
    assert done.status == (0 if sound else 1), done.err
    found = {each["name"]: each for each in done.json["exercises"]}
    assert found["umask"]["outcome"] == "same"
    assert found["memory-size"]["outcome"] == ("same" if sound else "differs")
    changed = {change["subject"] for change in found["memory-size"].get("changes", ())}
    assert changed == (set() if sound else {"by_pages.json", "by_table.json"})
    assert done.json["level"] == ("independent of circumstances" if sound else "repeats")


_FAILS = 'case "$TZ" in NPT*|HST*) echo no >&2; exit 4;; esac; echo "{}" > result.json\n'
_FAILS_IN_ROOMS = 'case "$PWD" in */rooms/*) exit 5;; esac; echo "{}" > result.json\n'


@pytest.mark.parametrize(("script", "status"), [(_FAILS, 1), (_FAILS_IN_ROOMS, 2)], ids=["varied", "always"])
def test_a_run_that_fails_under_a_variation_is_a_finding(script: str, status: int, tmp_path: Path) -> None:
    project = Project(tmp_path, user_environment(tmp_path.parent))
    project.write("make.sh", script)
    project.write(".gitignore", "result.json\n")
    project.commit()
    project.reproof("run", "--env-manager", "local", "--no-log", "--", "sh", "make.sh", expect=0)
    done = project.reproof("stress", "--vary", "time-zone,umask", "--output-format", "json", expect=status)
    if status == 2:  # without any variation already
        assert "the re-run does not end as the recorded run did: there is nothing to vary" in done.err
        return
    found = {each["name"]: each for each in done.json["exercises"]}
    assert (found["time-zone"]["outcome"], found["umask"]["outcome"]) == ("fails", "same")
    assert found["time-zone"]["changes"][0] == {
        "subject": "exit status",
        "summary": "ended with 4, recorded 0",
    }
    assert found["time-zone"]["remedy"]
