"""Conditions: each factor changes one thing, and what it changes is what a build sees."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from reproof.build.conditions import (
    AMBIENT,
    FACTORS,
    HELD,
    LIKELY,
    available,
    control,
    faketime,
    varied,
)

EPOCH = 1_767_225_600


def test_every_factor_is_either_held_or_not() -> None:
    assert sorted(LIKELY) == sorted(FACTORS) == sorted([*AMBIENT, *HELD])
    assert not set(AMBIENT) & set(HELD)


@pytest.mark.parametrize("factor", FACTORS)
def test_a_factor_changes_one_condition(factor: str) -> None:
    base = control(EPOCH)
    other = varied(base, [factor])
    changed = [name for name in base.__struct_fields__ if getattr(base, name) != getattr(other, name)]
    assert len(changed) == 1


def test_times_before_zip_are_lifted() -> None:
    assert control(12).epoch == 315532800


def test_the_environment_is_all_there_is() -> None:
    env = control(EPOCH).environment(Path("/room/source"), Path("/room/tmp"))
    assert env["SOURCE_DATE_EPOCH"] == str(EPOCH)
    assert (env["TZ"], env["LC_ALL"], env["PYTHONHASHSEED"]) == ("UTC", "C.UTF-8", "0")
    assert "-ffile-prefix-map=/room/source=." in env["CFLAGS"]
    assert not {"PATH", "HOME", "LD_PRELOAD"} & set(env)


@pytest.mark.skipif(faketime() is None, reason="needs libfaketime")
@pytest.mark.parametrize("factors", [[], ["time zone"]])
def test_a_stopped_clock_stands_at_the_same_time_in_every_zone(factors: list[str]) -> None:
    import subprocess
    import sys

    conditions = msgspec.structs.replace(varied(control(EPOCH), factors), stopped=EPOCH)
    env = conditions.environment(Path("/"), Path("/"))
    done = subprocess.run(
        [sys.executable, "-I", "-c", "import time; print(time.time())"],
        env=env,
        capture_output=True,
        text=True,
    )
    assert float(done.stdout) == EPOCH


def test_what_cannot_be_varied_has_a_reason() -> None:
    exercised, missing = available(sandboxed=False)
    assert {each.name for each in missing} >= {"user", "host name"}
    assert not {each.name for each in missing} & set(exercised)
    assert all(each.reason for each in missing)
