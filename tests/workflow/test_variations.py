"""Variations: chosen by name and group, small pure values, and told apart by halving."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from minimal import minimal_record
from reproof.errors import UsageError
from reproof.execute.locales import OtherLocale
from reproof.execute.shims import Loaded, provide
from reproof.model.recipe import Recipe
from reproof.model.record import (
    EnvironmentSection,
    NativeLibrary,
    RandomnessSection,
)
from reproof.model.stress import Exercise, StressOutcome, StressReport
from reproof.workflow.altering import Setting, Variation, apply_all, ineffective
from reproof.workflow.budget import SpentError
from reproof.workflow.exercises import culprits, exercise_group, exercised
from reproof.workflow.stress import _level, exit_status_of
from reproof.workflow.variations import GROUPS, VARIATIONS, select


def setting(**native: str) -> Setting:
    record = minimal_record(
        randomness=RandomnessSection(seed=7),
        environment=EnvironmentSection(
            native=tuple(NativeLibrary(path=path) for path in native.values()), variables={"TZ": "NPT-5:45"}
        ),
    )
    return Setting(record=record, home=Path("/room/home"))


def run(*names: str, script: str) -> str:
    recipe = Recipe(
        argv=("sh", "-c", script), env={"PATH": os.environ["PATH"], "A": "1", "B": "x y"}, cwd="/"
    )
    chosen = [each for each in VARIATIONS if each.name in names]
    shims = provide()
    chosen = [each for each in chosen if each.shim is None or each.shim[0] in shims.built]
    locale = OtherLocale(name="de_DE.UTF-8", folder=Path("/room/locales"))
    prepared = msgspec.structs.replace(setting(), locale=locale, shims=shims, libraries=shims.built)
    varied = apply_all(recipe, chosen, prepared)
    return subprocess.run(
        varied.argv, env={**varied.env, "OURS": "set later"}, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_control_gets_all_its_variables_and_ours() -> None:
    assert run(script='echo "$A,$B,$OURS"') == "1,x y,set later"


def test_each_variation_reaches_the_command() -> None:
    assert run("umask", script="umask") == "0077"
    assert run("time-zone", script="echo $TZ") == "HST10"  # another one than the recorded
    assert run("hash-seed", script="echo $PYTHONHASHSEED") == str(1_000_010)
    assert run("home", script="echo $HOME") == "/room/home/elsewhere"
    assert run("locale", script="echo $LC_ALL $LOCPATH") == "de_DE.UTF-8 /room/locales"
    assert run("user", script="echo $USER $LOGNAME") == "somebody somebody"
    assert run("environment-size", script="echo ${#PADDING}") == "3500"
    assert run("malloc-fill", script="echo $MALLOC_PERTURB_") == "165"
    assert run("threads", script="echo $OMP_NUM_THREADS") == "1"
    assert run("isa", script="echo $OPENBLAS_CORETYPE $ATEN_CPU_CAPABILITY") == "Nehalem default"


def test_other_processes_come_and_go_before_the_command_starts() -> None:
    def gap(*names: str) -> int:
        return int(run(*names, script="echo $(($$ - $PPID))"))

    assert gap("process-ids") > 30


@pytest.mark.needs("taskset")
def test_one_cpu_is_one_cpu() -> None:
    assert run("one-cpu", script="nproc") == "1"


def test_all_at_once_undo_nothing_of_each_other() -> None:
    every = [each.name for each in VARIATIONS if each.group == "circumstances"]
    said = run(*every, script='echo "$TZ $HOME $USER $PYTHONHASHSEED ${#PADDING} $(umask) $A"')
    assert said == "HST10 /room/home/elsewhere somebody 1000010 3500 0077 1"


def test_the_order_of_the_variables_is_turned_round() -> None:
    def order(*names: str) -> list[str]:
        lines = run(*names, script="exec env").splitlines()
        found = [line.partition("=")[0] for line in lines]
        return [name for name in found if name in ("A", "B", "PATH")]

    script = "import os; print(*[n for n in os.environ if n in ('A', 'B', 'PATH')])"
    recipe = Recipe(
        argv=(sys.executable, "-c", script), env={"PATH": os.environ["PATH"], "A": "1", "B": "2"}, cwd="/"
    )
    chosen = [each for each in VARIATIONS if each.name == "environment-order"]
    said = [
        subprocess.run(varied.argv, env=varied.env, capture_output=True, text=True, check=True).stdout.split()
        for varied in (apply_all(recipe, some, setting()) for some in ([], chosen))
    ]
    assert said == [["A", "B", "PATH"], ["PATH", "B", "A"]]
    assert sorted(order()) == ["A", "B", "PATH"]


def test_what_is_chosen() -> None:
    assert select("all") == tuple(each for each in VARIATIONS if each.group != "informative")
    assert [each.name for each in select("informative")] == ["seed", "row-order"]
    assert [each.name for each in select("repeat,umask")] == ["repeat", "umask"]
    assert {each.group for each in select("circumstances")} == {"circumstances"}
    assert {each.group for each in select("-circumstances")} == set(GROUPS) - {"circumstances", "informative"}
    assert [each.name for each in select("+umask, +path,-umask")] == ["path"]
    with pytest.raises(UsageError, match="no variation `colour`"):
        select("colour")


def test_what_no_library_reacts_to_is_notexercised() -> None:
    (threads,) = select("threads")
    assert threads.obstacle(setting()) == "the run loads no library with a pool of threads"
    assert threads.obstacle(setting(a="${ENV}/lib/libscipy_openblas64_-1.so")) is None


@pytest.mark.needs("cc", "setarch")
def test_shims_reach_the_command() -> None:
    assert run("host-name", script="uname -n") == "another-machine"
    half, whole = (int(run(name, script="getconf _PHYS_PAGES")) for name in ("memory-size", "umask"))
    assert half == whole // 2
    drawn = "od -An -tx1 -N8 /dev/urandom"
    assert run("entropy", script=drawn) == run("entropy", script=drawn)
    assert run("host-name", "clock", script="uname -n; date +%Y").splitlines()[0] == "another-machine"
    if select("aslr")[0].obstacle(msgspec.structs.replace(setting(), shims=provide())) is None:
        assert int(run("aslr", script="cat /proc/self/personality"), 16) & 0x0040000


def test_what_loads_no_shim_is_notexercised() -> None:
    (clock,), (aslr,) = select("clock"), select("aslr")
    assert clock.obstacle(setting()) == "there is no shim `clock`"
    reason = ineffective(clock, [], [7])
    assert reason == "the program did not load shim `clock`"
    same = Exercise(name="clock", group="circumstances", outcome="same")
    assert exercised(same, {"clock": reason}).outcome == "not exercised"
    assert exercised(same, {"clock": reason}).reason == reason
    assert exercised(msgspec.structs.replace(same, outcome="differs"), {"clock": reason}).outcome == "differs"
    told = Loaded(shim="witness", process=7, personality=0, state="on", program="/usr/bin/python3")
    assert "does not let" in (ineffective(aslr, [told], [7]) or "")
    assert ineffective(aslr, [msgspec.structs.replace(told, personality=0x0040000)], [7]) is None
    assert ineffective(select("umask")[0], [], [7]) is None


class Program:
    """A program whose result depends on some sets of variations; counts how often it is run, within a budget."""

    def __init__(self, *causes: set[str], budget: int = 99) -> None:
        self.causes = causes
        self.budget = budget
        self.runs = 0

    def __call__(self, variations: tuple[Variation, ...]) -> dict[str, str]:
        self.runs += 1
        if self.runs > self.budget:
            raise SpentError
        names = {each.name for each in variations}
        return {"loss": "other"} if any(cause <= names for cause in self.causes) else {}


MEMBERS = tuple(each for each in VARIATIONS if each.group == "circumstances" and each.remedy)


def found(program: Program) -> list[set[str]]:
    return [{each.name for each in group} for group, _ in culprits(program, MEMBERS)]


@pytest.mark.parametrize("name", [each.name for each in MEMBERS])
def test_one_cause_is_found_in_few_runs(name: str) -> None:
    program = Program({name})
    assert found(program) == [{name}]
    assert program.runs <= 2 * 5 + 1


def test_two_causes_and_causes_that_work_only_together_are_found() -> None:
    assert found(Program({"umask"}, {"malloc-fill"})) == [{"umask"}, {"malloc-fill"}]
    together = found(Program({"hash-seed", "malloc-fill"}))
    assert len(together) == 1
    assert {"hash-seed", "malloc-fill"} <= together[0]


def test_none_is_found_with_one_run() -> None:
    program = Program()
    assert found(program) == []
    assert program.runs == 1


def test_a_spent_budget_is_told_not_guessed() -> None:
    result = exercise_group(Program({"umask"}, budget=2), setting(), MEMBERS)
    unresolved = [each for each in result if each.outcome == "unresolved"]
    assert "umask" in {each.name for each in unresolved}
    assert all("the budget is spent" in each.reason for each in unresolved)
    assert not [each for each in result if each.outcome == "differs"]
    untried = exercise_group(Program({"umask"}, budget=0), setting(), MEMBERS)
    assert {each.outcome for each in untried} == {"not exercised"}  # nothing was seen to change


@pytest.mark.parametrize(
    ("outcomes", "vary", "status"),
    [
        ({"repeat": "same", "clock": "not exercised"}, "clock", 3),
        ({"repeat": "same", "clock": "not exercised"}, "all", 0),
        ({"repeat": "same", "clock": "same"}, "clock", 0),
        ({"repeat": "same", "clock": "unresolved"}, "clock", 1),
        ({"repeat": "same", "clock": "fails"}, "clock", 1),
        ({"repeat": "same", "seed": "differs"}, "seed", 0),
        ({"repeat": "differs", "clock": "not exercised"}, "clock", 1),
        ({"repeat": "not exercised"}, "all", 3),
    ],
)
def test_exit_status(outcomes: dict[str, StressOutcome], vary: str, status: int) -> None:
    exercises = tuple(
        Exercise(name=name, group=select(name)[0].group, outcome=outcome)
        for name, outcome in outcomes.items()
    )
    assert exit_status_of(StressReport(record="a", exercises=exercises), vary) == status


def level(**outcomes: str) -> str | None:
    names = {"repeat": "same", "circumstances": "same", "one-cpu": "same", "threads": "same", "isa": "same"}
    names |= {name.replace("_", "-"): outcome for name, outcome in outcomes.items()}
    return _level([Exercise(name=name, group=name, outcome=outcome) for name, outcome in names.items()])  # type: ignore[arg-type]


def test_levels() -> None:
    assert level() == "independent of CPU type"
    assert level(isa="not exercised") == "independent of threads"
    assert level(isa="differs") == "independent of threads"
    assert level(threads="not exercised") == "independent of circumstances"
    assert level(one_cpu="fails") == "independent of circumstances"
    assert level(circumstances="unresolved") == "repeats"
    assert level(circumstances="not exercised") == "repeats"
    assert level(repeat="differs") == "varies by itself"
    assert level(repeat="not exercised") is None
