"""What the demonstration project promises, each promise from the words that a user types to what they see.

One recorded demo is shared; each test gets a copy of it. They share one cache of environments too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from projects import Project, Result, user_environment
from reproof.base.files import remove_tree
from reproof.environment.uv import cache_folder

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bikes")]

RUN = ("run", "--offline", "-P", "conf_file=confs/training.yaml")
OBJECT = "files/md5/1f/1f83838d3b7effc906c90b845ca3e2"
MD5 = OBJECT.removeprefix("files/md5/").replace("/", "")
OURS = frozenset({".reproof", "mlruns", "mlflow.db", "__pycache__", "outputs"})


class Bikes(Project):
    """The demo's project, or a copy of it."""

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert text.count(old) == 1, text
        self.write(name, text.replace(old, new))

    def train_quickly(self) -> None:
        """Fewer trees, where the size of the forest does not matter."""
        self.edit("confs/training.yaml", "n_estimators: 150", "n_estimators: 12")

    def verdict(self) -> Any:
        """The newest verdict on the newest record."""
        record = self.records()[-1]
        kept = sorted(
            record.parent.glob(f"{record.stem}.verdict-*.json"), key=lambda path: path.stat().st_mtime_ns
        )
        return json.loads(kept[-1].read_text())

    def conditions(self) -> dict[str, str]:
        return {
            each["name"]: f"{each['value']} {each.get('note') or ''}" for each in self.verdict()["conditions"]
        }


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A user with an empty HOME, but with the packages of this machine."""
    base = tmp_path_factory.mktemp("user")
    (base / "home").mkdir()
    env = {
        **user_environment(base / "home"),
        "REPROOF_CACHE_DIR": str(base / "cache"),
        "REPROOF_CONFIG_DIR": str(base / "config"),
        "REPROOF_DATA_DIR": str(base / "data"),
        "UV_CACHE_DIR": str(cache_folder()),
        **{f"GIT_{role}_NAME": "Test" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "test@example.org" for role in ("AUTHOR", "COMMITTER")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_OPTIONAL_LOCKS": "0",  # asking Git for the status must not be what changes its folder
    }
    yield env
    remove_tree(base / "cache")


@pytest.fixture(scope="module")
def told(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Bikes, Result]:
    """The demo, run by a user who has set up MLflow for work of their own; and what it said."""
    place = tmp_path_factory.mktemp("demo")
    env = {
        **variables,
        "MLFLOW_TRACKING_URI": f"sqlite:///{place}/callers.db",
        "MLFLOW_EXPERIMENT_NAME": "callers",
        "MLFLOW_RUN_ID": "0" * 32,
    }
    result = Project(place, env).shell("reproof demo bikes -v", check=False)
    assert result.status == 0, result.err
    return Bikes(place / "bikes", variables), result


@pytest.fixture
def bikes(told: tuple[Bikes, Result], tmp_path: Path) -> Bikes:
    """A copy of the demo's project, as if it had been made here: MLflow keeps absolute addresses."""
    original = told[0]
    copy = Bikes(tmp_path / "bikes", original.env)
    shutil.copytree(original.folder, copy.folder, symlinks=True)
    move = (str(original.folder), str(copy.folder))
    for sidecar in (copy.folder / ".reproof/records").glob("*.mlflow.json"):
        sidecar.write_text(sidecar.read_text().replace(*move))
    relocate(copy.folder / "mlflow.db", *move)
    return copy


def relocate(database: Path, old: str, new: str) -> None:
    columns = {
        "experiments": "artifact_location",
        "runs": "artifact_uri",
        "logged_models": "artifact_location",
    }
    with closing(sqlite3.connect(database)) as store, store:
        for table, column in columns.items():
            store.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (old, new))


def tree(folder: Path, leave_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Every file below a folder: mode, time and content."""
    found = {}
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in leave_out)
        for name in files:
            path = Path(place, name)
            if name not in leave_out:
                state = path.lstat()
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path.relative_to(folder))] = (oct(state.st_mode), state.st_mtime_ns, digest)
    return found


def rows(database: Path) -> dict[str, int]:
    """Rows of each table of an MLflow store."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
        names = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: store.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def flat(text: str) -> str:
    """Text without its line breaks: long lines are wrapped."""
    return " ".join(text.split())


def lines_with(text: str, *words: str) -> list[str]:
    return [line for line in text.splitlines() if all(word in line for word in words)]


# --- the demo itself -------------------------------------------------------------------------------------------


def test_the_demo_says_reproduced_and_shows_each_result(told: tuple[Bikes, Result]) -> None:
    bikes, result = told
    assert result.out.startswith("reproduced: ")
    record = bikes.record()
    for key in {metric["key"] for metric in record["metrics"]}:
        assert lines_with(result.out, "identical", f"  {key}  "), key
    assert len(record["products"]) == 9
    for artifact in record["products"]:
        (line,) = [
            line
            for line in result.out.splitlines()
            if re.match(rf"  (identical|equivalent) +{artifact['name']} ", line)
        ]
        assert "bytes" in line or "KiB" in line or "MiB" in line
    for part in (
        "conditions under which this holds",
        "isolation",
        "host         same",
        "path         another",
        "seed         42",
    ):
        assert part in result.out
    assert "not checked" in result.out


def test_the_demo_names_three_commands_and_shows_progress_apart(told: tuple[Bikes, Result]) -> None:
    _, result = told
    assert "Next, after `cd bikes`:" in result.out
    assert len(next_commands(result)) == 3
    for stage in (
        "running the command",
        "making the environment",
        "re-running the recorded command",
        "comparing",
    ):
        assert f"{stage} ..." in result.err or f"{stage} with" in result.err
        assert f"{stage} ..." not in result.out


def test_the_demo_leaves_the_callers_mlflow_alone(told: tuple[Bikes, Result]) -> None:
    bikes, _ = told
    assert sorted(path.name for path in bikes.folder.parent.iterdir()) == ["bikes"]
    with closing(sqlite3.connect(bikes.folder / "mlflow.db")) as store:
        assert store.execute("SELECT name FROM experiments ORDER BY experiment_id").fetchall() == [
            ("Default",),
            ("bikes",),
        ]
        assert store.execute("SELECT name, status FROM runs").fetchall() == [("Training", "FINISHED")]


def test_the_demo_leaves_a_clean_work_tree(told: tuple[Bikes, Result]) -> None:
    assert told[0].status() == ""


@pytest.mark.needs("bwrap")
def test_the_demo_is_confined_where_it_can_be(told: tuple[Bikes, Result]) -> None:
    assert "bubblewrap (no network; only the room could be written)" in told[1].out


def test_a_second_demo_into_the_same_folder_changes_nothing(told: tuple[Bikes, Result]) -> None:
    bikes, _ = told
    before = tree(bikes.folder)
    again = Project(bikes.folder.parent, bikes.env).reproof("demo", "bikes", expect=2)
    assert again.out == ""
    assert again.err.startswith("error: cannot write the demo into `bikes`: it is not empty\n")
    assert again.hint == "reproof demo bikes-2"
    assert tree(bikes.folder) == before
    assert not (bikes.folder.parent / "bikes-2").exists()


def next_commands(result: Result) -> list[str]:
    """The commands that the demo ends with."""
    _, _, end = result.out.partition("Next, after")
    return [line.strip() for line in end.splitlines()[1:] if re.match(r"  \S", line)]


def test_the_third_command_shows_what_a_hyper_parameter_moves(
    bikes: Bikes, told: tuple[Bikes, Result]
) -> None:
    result = bikes.shell(next_commands(told[1])[2], check=False)
    assert result.status == 1, result.err
    assert lines_with(result.out, "forest.min_samples_leaf", "6", "3")
    before, after = (
        {metric["key"]: float.fromhex(metric["value"]) for metric in json.loads(path.read_text())["metrics"]}
        for path in bikes.records()
    )
    for key in ("train_rmse", "test_rmse", "test_r2"):
        assert f"{key}: {before[key]} -> {after[key]} " in flat(result.out), key
    assert "n_estimators" not in result.out


def test_the_first_command_shows_what_was_recorded(bikes: Bikes, told: tuple[Bikes, Result]) -> None:
    shown = bikes.shell(next_commands(told[1])[0]).out
    assert "forest.min_samples_leaf" in shown
    assert "data/Bikeshare.csv" in shown


# --- a run that does not come out the same -----------------------------------------------------------------------


def test_without_its_seed_the_training_varies(bikes: Bikes) -> None:
    bikes.train_quickly()
    bikes.edit("src/bikes/pipeline.py", "        random_state=settings.random_state,\n", "")
    before = bikes.status()
    bikes.reproof(*RUN, "--seed", "none", ".", expect=0)
    result = bikes.reproof("verify", "--offline", expect=1)
    assert result.out.startswith("not reproduced")
    assert "varies" in result.out
    verdict = bikes.verdict()
    assert (verdict["word"], verdict["stability"]) == ("not reproduced", "varies")
    recorded = {metric["key"]: float.fromhex(metric["value"]) for metric in bikes.record()["metrics"]}
    for key in ("train_rmse", "test_rmse", "test_r2"):
        (difference,) = [each for each in verdict["differences"] if each["subject"] == f"metric:{key}"]
        assert float(difference["expected"]) == recorded[key] != float(difference["actual"])
        assert f"{key} {difference['expected']} -> {difference['actual']} " in flat(result.out)
    assert bikes.status() == before
    assert "seed" not in bikes.record()["randomness"]


# --- data ----------------------------------------------------------------------------------------------------------


def damage(path: Path) -> None:
    """Change one byte, as a bad disk would: size, mode and time stay."""
    state = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)[0]
        file.seek(1000)
        file.write(bytes([byte ^ 1]))
    path.chmod(state.st_mode & 0o7777)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_a_damaged_object_is_named_and_restored_from_the_remote(
    bikes: Bikes, told: tuple[Bikes, Result]
) -> None:
    """With the second command that the demo names."""
    cached, remote = bikes.folder / ".dvc/cache" / OBJECT, bikes.folder / ".dvc-remote" / OBJECT
    damage(cached)
    parts = [bikes.folder / name for name in (".dvc", ".dvc-remote", "data")]
    before = [tree(part) for part in parts]
    found = hashlib.md5(cached.read_bytes()).hexdigest()
    result = bikes.shell(next_commands(told[1])[1], check=False)
    assert result.status == 0, result.err
    assert lines_with(result.err, "warning:", str(cached), MD5, found)
    condition = bikes.conditions()["corrupted object"]
    assert all(word in condition for word in (str(cached), MD5[:8], found[:8], "remote"))
    assert bikes.verdict()["word"] == "reproduced"
    page = (bikes.folder / "verdict.html").read_text()
    assert all(word in page for word in ("reproduced", "test_rmse", "corrupted object", MD5[:8]))
    assert [tree(part) for part in parts] == before

    damage(remote)
    refused = bikes.reproof("verify", "--offline", "--no-log", expect=2)
    assert refused.out == ""
    assert refused.err.startswith(
        "error: cannot restore `data/Bikeshare.csv`: no sound copy of its content is left\n"
    )
    assert MD5 in refused.err
    for place in (cached, remote):
        assert lines_with(refused.err, str(place), found)
    assert not list(Path(bikes.env["REPROOF_CACHE_DIR"], "rooms").iterdir())


# --- nothing of the user's is touched --------------------------------------------------------------------------------

FIXED = 'STEP = "bikes.step"\n'


def test_a_re_run_reaches_no_store_of_the_user(bikes: Bikes, tmp_path: Path) -> None:
    """Also where the code names a store itself, and registers its model there."""
    users = tmp_path / "users.db"
    shutil.copy(bikes.folder / "mlflow.db", users)
    relocate(users, str(bikes.folder / "mlruns"), str(tmp_path / "artifacts"))
    bikes.train_quickly()
    bikes.edit("src/bikes/tracking.py", FIXED, f'{FIXED}mlflow.set_tracking_uri("sqlite:///{users}")\n')
    bikes.edit(
        "src/bikes/tracking.py", 'name="model",', 'name="model",\n        registered_model_name="hourly",'
    )
    status, own = bikes.status(), rows(bikes.folder / "mlflow.db")
    files = tree(bikes.folder, OURS | {".git"})
    bikes.reproof(*RUN, "--experiment-name", "bikes", ".", expect=0)
    assert bikes.status() == status
    assert tree(bikes.folder, OURS | {".git"}) == files
    recorded, logged = rows(users), tree(tmp_path / "artifacts")
    assert (recorded["runs"], recorded["registered_models"], recorded["model_versions"]) == (2, 1, 1)
    assert rows(bikes.folder / "mlflow.db") == own
    repository = tree(bikes.folder / ".git")

    bikes.reproof("verify", "--offline", expect=0)

    assert tree(bikes.folder / ".git") == repository
    assert bikes.status() == status
    assert tree(bikes.folder, OURS | {".git"}) == files
    assert rows(bikes.folder / "mlflow.db") == own
    gained = {name: count - recorded[name] for name, count in rows(users).items() if count != recorded[name]}
    assert set(gained) <= {"tags"}, gained  # the verdict, on the recorded run
    new = set(tree(tmp_path / "artifacts")) - set(logged)
    assert new
    assert all("/artifacts/reproof/" in name for name in new), new
    assert str(users) in bikes.conditions()["MLflow store"]


@pytest.mark.needs("docker")
def test_the_demo_is_re_created_in_a_container_too(bikes: Bikes) -> None:
    out = bikes.reproof("verify", "--offline", "--no-log", "--isolation", "docker", expect=0).out
    assert out.startswith("reproduced: ")
    assert re.search(r"isolation +docker \(no network", out)


POISON = "\nPOISONED = True\n"


@pytest.fixture
def small(variables: dict[str, str], tmp_path: Path) -> Project:
    """A project with one package, and package and environment caches of its own."""
    env = {**variables, "UV_CACHE_DIR": str(tmp_path / "uv"), "REPROOF_CACHE_DIR": str(tmp_path / "cache")}
    project = Project(tmp_path / "project", env)
    project.folder.mkdir()
    project.write("requirements.in", "idna==3.10\n")
    project.shell(
        "uv pip compile -q --generate-hashes --no-annotate --no-header requirements.in -o requirements.txt"
    )
    project.write(
        "train.py",
        'import idna, idna.core\nopen("out.txt", "w").write(str(hasattr(idna.core, "POISONED")))\n',
    )
    project.write(".gitignore", "out.txt\n")
    project.commit()
    return project


def another_environment(project: Project, name: str) -> Path:
    """An environment of somebody else's, whose files are hard links into uv's cache; returns one of them."""
    place = project.folder.parent / name
    project.shell(f"uv venv -q --no-project --python {shlex.quote(sys.executable)} {place}")
    project.shell(
        f"uv pip install -q --python {place}/bin/python --link-mode hardlink --require-hashes -r requirements.txt"
    )
    (file,) = place.glob("lib/python*/site-packages/idna/core.py")
    assert file.stat().st_nlink > 1
    return file


def test_a_poisoned_package_does_not_reach_the_run(small: Project) -> None:
    with another_environment(small, "other").open("a") as file:
        file.write(POISON)
    result = small.reproof("run", "--", "python", "train.py", expect=0)
    assert lines_with(result.err, "warning:", "idna/core.py"), result.err
    assert (small.folder / "out.txt").read_text() == "False"


def test_a_poisoned_package_does_not_reach_the_room(small: Project) -> None:
    file = another_environment(small, "other")
    small.reproof("run", "--", "python", "train.py", expect=0)
    with file.open("a") as other:
        other.write(POISON)
    result = small.reproof("verify", expect=0)
    assert lines_with(result.err, "warning:", "idna/core.py"), result.err
    assert result.out.startswith("reproduced: ")


def test_a_poisoned_environment_of_runs_is_made_anew(small: Project) -> None:
    small.reproof("run", "--", "python", "train.py", expect=0)
    (file,) = (small.folder.parent / "cache/environments").glob("*/lib/python*/site-packages/idna/core.py")
    with file.open("a") as cached:
        cached.write(POISON)
    result = small.reproof("run", "--", "python", "train.py", expect=0)
    assert lines_with(result.err, "warning:", "`idna`", "changed"), result.err
    assert (small.folder / "out.txt").read_text() == "False"


# --- other ways in ---------------------------------------------------------------------------------------------------


def test_a_record_file_can_be_verified_from_elsewhere_and_without_bubblewrap(
    bikes: Bikes, tmp_path: Path
) -> None:
    (record,) = bikes.records()
    elsewhere = Project(tmp_path / "elsewhere", bikes.env)
    elsewhere.folder.mkdir()
    words = ("verify", "--offline", "--no-log", "--isolation", "process")
    result = elsewhere.reproof(*words, os.path.relpath(record, elsewhere.folder), expect=0)
    assert result.out.startswith("reproduced: ")
    assert "process (network and writes outside the room were not prevented" in flat(result.out)
    assert not list(elsewhere.folder.iterdir())


def test_another_clone_takes_the_lock_from_the_commit(small: Project, tmp_path: Path) -> None:
    """Of the run nothing is handed over but the record file."""
    small.reproof("run", "--", "python", "train.py", expect=0)
    shutil.copy(small.records()[-1], tmp_path / "record.json")
    small.shell(f"git clone -q . {tmp_path}/clone")
    result = Project(tmp_path / "clone", small.env).reproof("verify", "--offline", "../record.json", expect=0)
    assert result.out.startswith("reproduced: ")


LIBRARY = """
import reproof, sys
record = reproof.run(sys.argv[1], parameters={"conf_file": "confs/training.yaml"}, offline=True)
verdict = reproof.verify(record, offline=True)
print(record.exit_status, verdict.word, verdict.reproduced, verdict.record == record.id)
"""


def test_the_library(bikes: Bikes, tmp_path: Path) -> None:
    bikes.train_quickly()
    words = [sys.executable, "-c", LIBRARY, str(bikes.folder)]
    done = subprocess.run(words, cwd=tmp_path, env=bikes.env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("0 reproduced True True\n", "", 0)


@pytest.mark.needs("mlflow", "sklearn", "pandas", "pydantic")
def test_mlflow_runs_the_project_without_reproof(bikes: Bikes, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("python", "mlflow"):
        program = Path(sys.executable).with_name(name)
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.quote(str(program))} "$@"\n')
        (programs / name).chmod(0o755)
    rest = [folder for folder in bikes.env["PATH"].split(os.pathsep) if not Path(folder, "reproof").exists()]
    bikes.env = {**bikes.env, "PATH": os.pathsep.join([str(programs), *rest])}
    assert shutil.which("reproof", path=bikes.env["PATH"]) is None
    bikes.train_quickly()
    bikes.shell(
        "mlflow run --env-manager local --experiment-name=bikes --run-name=Training -P conf_file=confs/training.yaml ."
    )
    with closing(sqlite3.connect(bikes.folder / "mlflow.db")) as store:
        assert store.execute("SELECT name, status FROM runs").fetchall() == [("Training", "FINISHED")] * 2
        (metrics,) = store.execute("SELECT count(DISTINCT key) FROM latest_metrics").fetchone()
    assert metrics == 9
