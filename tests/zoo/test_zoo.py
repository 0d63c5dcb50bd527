"""The zoo: what is said of each project is true, with plain Python and with reproof. README.md says more."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from projects import Project, user_environment

ZOO = Path(__file__).parent
TRUTH: dict[str, dict[str, Any]] = json.loads((ZOO / "truth.json").read_text())
CAUSES, SOUND = TRUTH["causes"], TRUTH["sound"]

#: Whether two runs differ is certain up to `equal_by_chance` of truth.json, at most 2^-26 for a pair. The plain runs
#: take two pairs, the verdict two (record and re-run, re-run and control): below 1e-7 for a project, 1e-6 for the zoo.
PLAIN_RUNS = 2

#: What would change the results of a project before it even starts is not the project's own cause.
_FOREIGN = ("PYTHON", "MALLOC_", "GLIBC_TUNABLES", "LC_", "LANGUAGE", "OMP_", "OPENBLAS_", "MKL_")


def projects(group: dict[str, dict[str, Any]], *further: Any) -> list[Any]:
    """Parameters for tests, marked by what each project needs."""
    found = []
    for name, truth in group.items():
        needs = truth.get("needs", [])
        marks = [pytest.mark.needs(*needs)] if needs else []
        marks += [pytest.mark.frameworks] if "torch" in needs else []
        found.append(pytest.param(name, *further, marks=marks, id=name))
    return found


def isolations() -> list[Any]:
    """Each project once, and once for each isolation if it matters."""
    found = []
    for parameter in projects(CAUSES):
        (name,) = parameter.values
        if "any" in CAUSES[name]["verify"]:
            found.append(pytest.param(name, "auto", marks=parameter.marks, id=name))
            continue
        for isolation in CAUSES[name]["verify"]:
            needs = [pytest.mark.needs("bwrap")] if isolation == "bubblewrap" else []
            marks = [*parameter.marks, *needs]
            found.append(pytest.param(name, isolation, marks=marks, id=f"{name}-{isolation}"))
    return found


def copy_of(source: Path, target: Path, *, backwards: bool = False) -> Path:
    """Copy a project; its files are made in the order of their names, as Git makes them."""
    for path in sorted(source.rglob("*"), reverse=backwards):
        if path.is_file() and "__pycache__" not in path.parts:
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    return target


def folder_of(name: str) -> Path:
    return ZOO / ("causes" if name in CAUSES else "sound") / name


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One HOME for all: what reproof learned about the installed packages is kept there, as it is for a user."""
    return tmp_path_factory.mktemp("home")


def environment(home_folder: Path) -> dict[str, str]:
    """The variables of a user, in an order that no run of reproof makes by itself."""
    home = user_environment(home_folder) | {"REPROOF_DATA_DIR": str(home_folder / "data")}
    first = {"PATH": home["PATH"], "LANG": "C.UTF-8", "HOME": home["HOME"], "TZ": "JST-9"}
    return first | {
        key: value for key, value in home.items() if key not in first and not key.startswith(_FOREIGN)
    }


@pytest.fixture
def project(name: str, tmp_path: Path, home: Path) -> Project:
    """A copy of the project called `name`."""
    if CAUSES.get(name, {}).get("rests_on") == "address randomisation" and not _addresses_are_random():
        pytest.skip("this process runs without address randomisation")
    return Project(copy_of(folder_of(name), tmp_path / "project"), environment(home))


def _addresses_are_random() -> bool:
    try:
        personality = int(Path("/proc/self/personality").read_text(), 16)
        return (
            Path("/proc/sys/kernel/randomize_va_space").read_text().strip() != "0"
            and not personality & 0x0040000
        )
    except OSError:
        return True  # not Linux: always on, or not told


def result(project: Project, *, prefix: tuple[str, ...] = (), **env: str) -> str:
    """The result of one run with plain Python."""
    subprocess.run(
        [*prefix, sys.executable, "train.py"],
        cwd=project.folder,
        env={**project.env, **env},
        check=True,
        capture_output=True,
        timeout=120,
    )
    text = (project.folder / "result.json").read_text()
    assert len(json.loads(text)) >= 2  # a metric, and something that a small change cannot slip through
    return text


def several(project: Project, **env: str) -> str:
    return "varies" if len({result(project, **env) for _ in range(PLAIN_RUNS)}) > 1 else "equal"


# -- the truth, with plain Python --------------------------------------------------------------------------------------


def test_the_zoo_is_whole() -> None:
    for kind, group in (("causes", CAUSES), ("sound", SOUND)):
        assert {path.parent.name for path in (ZOO / kind).glob("*/train.py")} == set(group)
    assert len({truth["cause"] for truth in CAUSES.values()}) == len(CAUSES) >= 14
    assert len(SOUND) >= 6


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_is_where_the_truth_says(name: str) -> None:
    file, line = CAUSES[name]["where"].split(":")
    lines = (folder_of(name) / file).read_text().splitlines()
    assert lines[int(line) - 1].strip() == CAUSES[name]["code"]


@pytest.mark.parametrize("name", projects(CAUSES))
def test_runs_vary_or_repeat_as_told(name: str, project: Project) -> None:
    truth = CAUSES[name]
    assert several(project) == truth["plain"]
    assert several(project, PYTHONHASHSEED="0") == truth["hash_seed_fixed"]


@pytest.mark.parametrize("name", projects({k: v for k, v in CAUSES.items() if v["plain"] == "equal"}))
def test_what_repeats_in_place_changes_with_its_circumstance(
    name: str, project: Project, tmp_path: Path
) -> None:
    before, after = _CIRCUMSTANCES[CAUSES[name]["changes_with"]](project, tmp_path)
    assert before != after


def _time_zone(project: Project, _: Path) -> tuple[str, str]:
    return result(project, TZ="UTC0"), result(project, TZ="EST5")


def _processors(project: Project, _: Path) -> tuple[str, str]:
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        pytest.skip("this process may use one processor only")
    return result(project), result(project, prefix=("taskset", "--cpu-list", str(available[0])))


def _environment_order(project: Project, _: Path) -> tuple[str, str]:
    before = result(project)
    project.env = dict(reversed(project.env.items()))
    return before, result(project)


def _file_time(project: Project, _: Path) -> tuple[str, str]:
    before = result(project)
    for path in project.folder.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return before, result(project)


def _path(project: Project, tmp_path: Path) -> tuple[str, str]:
    return result(project), result(Project(copy_of(project.folder, tmp_path / "another"), project.env))


def _listing_order(project: Project, _: Path) -> tuple[str, str]:
    shared_memory = Path("/dev/shm")
    if not os.access(shared_memory, os.W_OK):
        pytest.skip("no file system here that lists by the order of creation")
    with tempfile.TemporaryDirectory(dir=shared_memory) as name:
        forwards = copy_of(project.folder, Path(name) / "forwards")
        backwards = copy_of(project.folder, Path(name) / "backwards", backwards=True)
        return result(Project(forwards, project.env)), result(Project(backwards, project.env))


_CIRCUMSTANCES: dict[str, Callable[[Project, Path], tuple[str, str]]] = {
    "time zone": _time_zone,
    "processors": _processors,
    "environment order": _environment_order,
    "file time": _file_time,
    "path": _path,
    "listing order": _listing_order,
}


@pytest.mark.parametrize("name", projects(SOUND))
def test_sound_projects_repeat_whatever_changes(name: str, project: Project, tmp_path: Path) -> None:
    before = result(project)
    other = Project(copy_of(project.folder, tmp_path / "another", backwards=True), project.env)
    (other.folder / "result.json").unlink()
    other.env = dict(reversed(other.env.items()))
    for path in other.folder.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    prefix = ("taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))) if shutil.which("taskset") else ()
    assert result(other, prefix=prefix, PYTHONHASHSEED=str(random.randrange(1, 2**32)), TZ="EST5") == before


# -- what reproof says -------------------------------------------------------------------------------------------------


def run_with_reproof(project: Project) -> Any:
    """Record one run, nothing seeded; return how the record says that chance was controlled."""
    project.write(".gitignore", "result.json\n")
    project.commit()
    project.reproof(
        "run", "--env-manager", "local", "--no-log", "--seed", "none", "--", "python", "train.py", expect=0
    )
    record = project.record()
    assert "seed" not in record["randomness"]
    assert [product["name"] for product in record["products"]] == ["result.json"]
    return record["randomness"]


def places_seen(randomness: Any) -> set[str]:
    """Where the record saw uncontrolled chance. What the user's code seeded, and names of scratch files, are not that."""
    draws = [
        draw
        for draw in randomness.get("unseeded", [])
        if draw.get("control", "uncontrolled") == "uncontrolled"
    ]
    return {draw["where"].removeprefix("${PROJECT}/") for draw in draws}


@pytest.mark.parametrize(("name", "isolation"), isolations())
def test_reproof_tells_what_varies(name: str, isolation: str, project: Project) -> None:
    truth = CAUSES[name]
    seen = places_seen(run_with_reproof(project))
    assert bool(seen & {truth["where"], *truth.get("also", [])}) == truth["seen"], (
        f"`seen` of {name} in truth.json is not what the record says: {seen or 'nothing'}"
    )
    expected = truth["verify"].get(isolation) or truth["verify"]["any"]
    verdict = project.verify("--isolation", isolation, expect=expected["exit_status"])
    assert verdict["stability"] == expected["stability"]
    assert verdict["by_itself"] == {"varies": "no", "not tried": "yes"}.get(
        expected["stability"], "not tried"
    )
    if truth["seen"]:  # what may be why stands first, uncontrolled draws before all others
        place = verdict["draws"][0]["where"].removeprefix("${PROJECT}/")
        assert place in {truth["where"], *truth.get("also", [])}
    assert verdict["reproduced"] == (expected["exit_status"] == 0)
    worst = max(verdict["differences"], key=lambda each: each["outcome"])
    assert worst["outcome"] == 0 or worst["subject"] == "result.json"


@pytest.mark.parametrize("name", projects(SOUND))
def test_reproof_raises_nothing_about_sound_projects(name: str, project: Project) -> None:
    assert places_seen(run_with_reproof(project)) == set()
    verdict = project.verify(expect=0)
    assert verdict["word"] in ("reproduced", "repeated")
    assert verdict["stability"] == "not tried"  # nothing differed, so nothing had to be repeated
    assert verdict["by_itself"] == "yes"  # nothing was seeded


# -- the README --------------------------------------------------------------------------------------------------------


def table() -> str:
    """Truth.json, for people."""
    rows = [
        "| project | cause | where | two runs | hash seed fixed | changes with | verify | seen |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, truth in CAUSES.items():
        verify = "; ".join(
            f"{each['exit_status']}, {each['stability']}" + (f" ({isolation})" if isolation != "any" else "")
            for isolation, each in truth["verify"].items()
        )
        cells = [f"`{name}`", truth["cause"], f"`{truth['where']}`", truth["plain"], truth["hash_seed_fixed"]]
        cells += [truth.get("changes_with", "each run"), verify, "yes" if truth["seen"] else "no"]
        rows.append("| " + " | ".join(cells) + " |")
    rows += ["", "| sound project | what it does |", "|---|---|"]
    rows += [f"| `{name}` | {truth['is']} |" for name, truth in SOUND.items()]
    rows += ["", "| project | chance that two runs agree all the same |", "|---|---|"]
    rows += [
        f"| `{name}` | {truth['equal_by_chance']} |"
        for name, truth in CAUSES.items()
        if "equal_by_chance" in truth
    ]
    rows += ["", "| project | why `verify` says what it says |", "|---|---|"]
    rows += [f"| `{name}` | {truth['why']} |" for name, truth in CAUSES.items() if "why" in truth]
    return "\n".join(rows)


def test_the_readme_holds_the_truth() -> None:
    readme = ZOO / "README.md"
    start, end = "<!-- truth.json -->\n", "\n<!-- end -->"
    text = readme.read_text()
    head, rest = text.split(start)
    if os.environ.get("REPROOF_UPDATE_GOLDEN"):
        readme.write_text(head + start + table() + end + rest.split(end)[1])
    assert readme.read_text().split(start)[1].split(end)[0] == table()
