"""What `run` and `verify` write to MLflow stores, and what they must never write; read back with MLflow itself."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from projects import LIGHT, Project, user_environment
from reproof.environment.uv import cache_folder
from reproof.tracking.installation import find_installation
from reproof.tracking.template import prepare

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("mlflow"),
    pytest.mark.xdist_group("tracking"),
    pytest.mark.usefixtures("warm"),
]

LOCAL = ("--env-manager", "local")
IGNORED = "mlflow.db*\nmlruns/\nstore/\nmodel.txt\n"
MAIN = """name: small
entry_points:
  main:
    parameters:
      rate: {type: float, default: 0.5}
    command: "python train.py {rate}"
"""

#: Everything at once: parameters, exact numbers, tags, artifacts, a nested run, a metric of the machine.
FULL = (
    LIGHT
    + """
import random
import mlflow

mlflow.log_param("depth", 3)
for step, value in enumerate([float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 0.1 + 0.2]):
    mlflow.log_metric("odd", value, step=step)
mlflow.log_metric("system/cpu_utilization_percentage", random.SystemRandom().random())
mlflow.set_tag("team", "a")
open("model.txt", "w").write("weights")
mlflow.log_artifact("model.txt")
with mlflow.start_run(nested=True, run_name="inner"):
    mlflow.log_metric("inner", 1.0)
"""
)
ODD = ["nan", "inf", "-inf", "-0x0.0p+0", "0x0.0000000000001p-1022", "0x1.3333333333334p-2"]

#: Prints all that a store holds, as MLflow's own client reads it.
READ = (
    LIGHT
    + """
import json, sys
from mlflow import MlflowClient

client = MlflowClient(tracking_uri=sys.argv[1])
found = []
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id]):
        paths = [item.path for item in client.list_artifacts(run.info.run_id, "reproof")]
        found.append({
            "id": run.info.run_id,
            "experiment": experiment.name,
            "name": run.info.run_name,
            "status": run.info.status,
            "params": run.data.params,
            "tags": run.data.tags,
            "metrics": sorted(run.data.metrics),
            "artifacts": {path: open(client.download_artifacts(run.info.run_id, path)).read() for path in paths},
        })
print(json.dumps(found))
"""
)


def runs_in(project: Project, uri: str, python: Path | str = sys.executable) -> list[dict[str, Any]]:
    """The runs of a store, those of the code's own first run before nested ones."""
    words = [str(python), "-c", READ, uri]
    runs = json.loads(project.shell(" ".join(map(shlex.quote, words))).out.splitlines()[-1])
    return sorted(runs, key=lambda run: "mlflow.parentRunId" in run["tags"])


def counts(store: Path) -> dict[str, int]:
    """Rows of the tables that a re-run must not add to."""
    tables = ("experiments", "runs", "metrics", "params", "registered_models", "model_versions")
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        return {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


def schema(store: Path) -> str:
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        return str(database.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, by the digest of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def store(tmp_path: Path, warm: None) -> Path:
    """An empty database of this MLflow, outside of the project, made in no time."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    prepare(Path(sys.executable), version("mlflow"), folder / "mlflow.db")
    return folder / "mlflow.db"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Project:
    """A run of an entry point in the store that MLflow takes when nobody names one."""
    folder = tmp_path_factory.mktemp("recorded")
    env = user_environment(folder)
    env.update({f"GIT_{role}_{what}": "x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")})
    env.update(
        GIT_CONFIG_GLOBAL=os.devnull,
        REPROOF_CACHE_DIR=str(shared_cache),
        REPROOF_CONFIG_DIR=str(folder / "config"),
        UV_CACHE_DIR=str(cache_folder()),
    )
    project = Project(folder / "project", env)
    for name, text in {"MLproject": MAIN, "train.py": FULL, ".gitignore": IGNORED}.items():
        project.write(name, text)
    project.commit()
    names = ("--experiment-name", "bikes", "--run-name", "Training")
    done = project.reproof("run", *LOCAL, *names, "-P", "rate=0.25", "--seed", "7", expect=0)
    project.write("said", done.err)
    return project


def default_store(project: Project) -> str:
    return f"sqlite:///{project.folder}/mlflow.db"


def test_a_run_is_in_the_default_store(recorded: Project) -> None:
    outer, inner = runs_in(recorded, default_store(recorded))
    (place,) = recorded.records()
    assert (outer["experiment"], outer["name"], outer["status"]) == ("bikes", "Training", "FINISHED")
    assert outer["params"] == {"rate": "0.25", "depth": "3"}
    assert (
        outer["tags"].items()
        >= {
            "team": "a",
            "reproof.record": place.stem,
            "reproof.exit_status": "0",
            "reproof.seed": "7",
            "reproof.dirty": "false",
            "mlflow.project.entryPoint": "main",
            "mlflow.source.type": "PROJECT",
            "mlflow.source.git.commit": recorded.shell("git rev-parse HEAD").out.strip(),
        }.items()
    )
    assert outer["artifacts"]["reproof/record.json"] == place.read_text()
    assert (inner["experiment"], inner["name"], inner["status"]) == ("bikes", "inner", "FINISHED")
    assert inner["tags"]["mlflow.parentRunId"] == outer["id"]
    # Where reproof is installed beside MLflow, each run within a recorded one is known as such; the rest is the first's.
    assert {name for name in inner["tags"] if name.startswith("reproof.")} <= {"reproof.within"}
    assert (
        f"MLflow: run {outer['id']} in `{default_store(recorded)}`" in (recorded.folder / "said").read_text()
    )
    runs = recorded.record()["runs"]
    assert [(run.get("name"), run.get("parent")) for run in runs] == [(None, None), ("inner", 0)]
    assert recorded.status() == "?? said\n"


def test_numbers_are_in_the_record_as_they_were_given(recorded: Project) -> None:
    record = recorded.record()
    odd = [(each.get("step", 0), each["value"]) for each in record["metrics"] if each["key"] == "odd"]
    assert odd == list(enumerate(ODD))
    assert {each["key"] for each in record["metrics"]} == {"odd", "inner"}
    assert {
        "subject": "metric:system/cpu_utilization_percentage",
        "reason": "measures the machine",
    } in record["omissions"]


def test_the_sign_of_zero_is_a_difference(recorded: Project) -> None:
    (place,) = recorded.records()
    data = place.read_bytes()
    assert data.count(b'"-0x0.0p+0"') == 1
    other = data.replace(b'"-0x0.0p+0"', b'"0x0.0p+0"')
    altered = recorded.write(f"other/records/{hashlib.sha256(other).hexdigest()}.json", other.decode())
    result = recorded.reproof("diff", str(place), str(altered), expect=1)
    assert "odd" in result.out
    assert "inner" not in result.out
    recorded.reproof("diff", str(place), str(place), expect=0)


def test_verdicts_are_added_and_nothing_is_overwritten(recorded: Project) -> None:
    record, database = recorded.records()[0].read_bytes(), recorded.folder / "mlflow.db"
    before, stored = counts(database), contents(recorded.folder / "mlruns")
    for _ in range(2):
        verdict = recorded.verify(expect=0)
        assert verdict["word"] == "repeated"
        assert {each["outcome"] for each in verdict["differences"]} == {0}
        assert "odd" in str(verdict["differences"])
        assert "system/cpu_utilization_percentage" in str(verdict["not_checked"])
        now = contents(recorded.folder / "mlruns")
        assert now.items() >= stored.items()
        assert len(now.keys() - stored.keys()) == 2
        stored = now
    assert counts(database) == before
    outer, inner = runs_in(recorded, default_store(recorded))
    assert outer["tags"]["reproof.verdict"] == verdict["word"]
    assert outer["tags"]["reproof.verified_at"] == verdict["created"]
    assert outer["tags"]["reproof.record"] == recorded.records()[0].stem
    assert not any("verdict" in name for name in (*inner["tags"], *inner["artifacts"]))
    written = {path: text for path, text in outer["artifacts"].items() if "/verdict-" in path}
    assert sorted(path.rpartition(".")[2] for path in written) == ["html", "html", "json", "json"]
    assert all(
        json.loads(text)["word"] == "repeated" for path, text in written.items() if path.endswith("json")
    )
    untouched = stored, database.read_bytes()
    recorded.reproof("verify", "--no-log", expect=0)
    assert (contents(recorded.folder / "mlruns"), database.read_bytes()) == untouched
    assert len(list(recorded.records()[0].parent.glob("*.verdict-*.json"))) == 3
    assert recorded.records()[0].read_bytes() == record


REGISTERING = (
    LIGHT
    + """
import time
import mlflow
from mlflow import MlflowClient

mlflow.set_tracking_uri("{uri}")
mlflow.set_experiment("fixed")
with mlflow.start_run():
    mlflow.log_metric("loss", 0.5)
client = MlflowClient("{uri}")
client.create_experiment(f"another {{time.time_ns()}}")
client.create_registered_model(f"model {{time.time_ns()}}")
client.log_metric(client.create_run("0").info.run_id, "other", 1.0)
"""
)


def test_fixed_addresses_lead_a_rerun_to_the_rooms_own_store(
    make_project: Callable[..., Project], store: Path
) -> None:
    uri = f"sqlite:///{store}"
    project = make_project({"train.py": REGISTERING.format(uri=uri), ".gitignore": IGNORED})
    project.reproof("run", *LOCAL, "--", "python", "train.py", expect=0)
    before, digest = counts(store), hashlib.sha256(store.read_bytes()).hexdigest()
    assert (before["runs"], before["registered_models"]) == (2, 1)
    verdict = project.verify("--no-log", "--isolation", "process", expect=0)
    assert hashlib.sha256(store.read_bytes()).hexdigest() == digest
    (condition,) = {
        each["value"]: each for each in verdict["conditions"] if each["name"] == "MLflow store"
    }.values()
    assert condition["value"] == "the room's own"
    assert f"`{uri}`" in condition["note"]
    artifacts = contents(project.folder / "mlruns")
    project.reproof("verify", expect=0)
    assert counts(store) == before
    added = contents(project.folder / "mlruns").keys() - artifacts.keys()
    assert len(added) == 2
    assert all("/artifacts/reproof/verdict-" in path for path in added)
    assert {Path(path).suffix for path in added} == {".html", ".json"}
    outer = next(run for run in runs_in(project, uri) if run["experiment"] == "fixed")
    assert outer["tags"]["reproof.verdict"] == "repeated"
    assert not (project.folder / "mlflow.db").exists()


def test_code_without_mlflow(make_project: Callable[..., Project], store: Path) -> None:
    project = make_project({"MLproject": MAIN, "train.py": "print('done')\n", ".gitignore": IGNORED})
    there = set(os.listdir(project.folder))
    project.reproof("run", *LOCAL, "--", "python", "train.py", expect=0)
    assert set(os.listdir(project.folder)) == there | {".reproof"}  # no store appears for a plain command
    uri = f"sqlite:///{store}"
    named = project.reproof(
        "run", *LOCAL, "--tracking-uri", uri, "--run-name", "Plain", "--", "python", "train.py", expect=0
    )
    (run,) = runs_in(project, uri)
    assert run["id"] in named.err
    assert (run["name"], run["status"], run["tags"]["reproof.record"]) == (
        "Plain",
        "FINISHED",
        project.records()[-1].stem,
    )
    assert set(os.listdir(project.folder)) == there | {".reproof"}
    project.reproof("run", *LOCAL, expect=0)  # an entry point gets a run, as `mlflow run` gives it one
    (run,) = runs_in(project, default_store(project))
    assert (run["experiment"], run["status"], run["params"]) == ("Default", "FINISHED", {"rate": "0.5"})
    assert run["artifacts"]["reproof/record.json"] == project.records()[-1].read_text()
    project.reproof("run", *LOCAL, "--no-log", expect=0)
    assert counts(project.folder / "mlflow.db")["runs"] == 1


FAILING = {
    "left_open": "import os, mlflow\nmlflow.log_metric('loss', 1.0)\nos._exit(3)\n",
    "closed_at_exit": "import sys, mlflow\nmlflow.log_metric('loss', 1.0)\nsys.exit(3)\n",
    "closed_by_the_code": "import sys, mlflow\nwith mlflow.start_run():\n    mlflow.log_metric('loss', 1.0)\nsys.exit(3)\n",
}


def test_code_that_fails(make_project: Callable[..., Project], store: Path) -> None:
    project = make_project(
        {f"{name}.py": LIGHT + text for name, text in FAILING.items()} | {".gitignore": IGNORED}
    )
    project.env["MLFLOW_TRACKING_URI"] = f"sqlite:///{store}"
    for name in FAILING:
        project.reproof("run", *LOCAL, "--run-name", name, "--", "python", f"{name}.py", expect=3)
        assert project.record()["state"] == "failed"
    found = {run["name"]: run for run in runs_in(project, f"sqlite:///{store}")}
    assert {run["tags"]["reproof.exit_status"] for run in found.values()} == {"3"}
    # What the code itself says of its run stands; what only MLflow's exit handler says does not.
    expected = {"left_open": "FAILED", "closed_at_exit": "FAILED", "closed_by_the_code": "FINISHED"}
    assert {name: run["status"] for name, run in found.items()} == expected


# MLflow 2 in the project, MLflow 3 beside reproof ---------------------------------------------------------


LOGGING = LIGHT + "import mlflow\nwith mlflow.start_run():\n    mlflow.log_metric('loss', 0.5)\n"


def test_a_store_of_mlflow_2_stays_one(make_project: Callable[..., Project], mlflow2: Path) -> None:
    """The project's MLflow writes, also when reproof's own is another; ours never opens the store."""
    ours, theirs = find_installation(Path(sys.executable)), find_installation(mlflow2)
    assert ours is not None
    assert theirs is not None
    assert ours.schema != theirs.schema
    project = make_project({"MLproject": MAIN, "train.py": LOGGING, ".gitignore": IGNORED})
    database = project.folder / "store" / "old.db"
    database.parent.mkdir()
    project.env["MLFLOW_TRACKING_URI"] = f"sqlite:///{database}"
    with_2 = {"PATH": f"{mlflow2.parent}:{project.env['PATH']}"}
    project.reproof("run", *LOCAL, "--experiment-name", "old", expect=0, **with_2)
    assert schema(database) == theirs.schema
    check_that_reading_changes_nothing(project, database, with_2)
    check_that_verdicts_are_written_by_mlflow_2(project, database, with_2)
    assert schema(database) == theirs.schema
    check_that_others_wait(project, database, with_2)
    assert schema(database) == theirs.schema
    found = {run["tags"]["reproof.record"]: run for run in runs_in(project, f"sqlite:///{database}", mlflow2)}
    assert found.keys() == {place.stem for place in project.records()}
    for place in project.records():
        assert found[place.stem]["artifacts"]["reproof/record.json"] == place.read_text()
    first = found[project.records()[0].stem]
    assert (first["experiment"], first["status"], first["params"]) == ("old", "FINISHED", {"rate": "0.5"})
    assert first["tags"]["reproof.verdict"] == "repeated"


def check_that_reading_changes_nothing(project: Project, database: Path, with_2: dict[str, str]) -> None:
    before = contents(database.parent)
    for words in (["show"], ["list"], ["doctor"], ["verify", "--no-log"]):
        project.reproof(*words, expect=0)  # the active environment has MLflow 3, the recorded one MLflow 2
        assert contents(database.parent) == before, words


def check_that_verdicts_are_written_by_mlflow_2(
    project: Project, database: Path, with_2: dict[str, str]
) -> None:
    before = counts(database)
    assert project.reproof("verify", expect=0).err == ""
    assert counts(database) == before


def check_that_others_wait(project: Project, database: Path, with_2: dict[str, str]) -> None:
    before = contents(database.parent)
    project.write("train.py", "print('no MLflow here')\n")
    late = project.reproof("run", *LOCAL, expect=0)
    assert re.search(r"warning: the record is not in MLflow: mlflow 3\S* of .* needs schema", late.err)
    assert project.reproof("sync", expect=2).out == "0 pushed, 1 still waiting\n"
    assert contents(database.parent) == before
    assert project.reproof("sync", expect=0, **with_2).out == "1 pushed, 0 still waiting\n"


def test_a_project_without_mlflow_is_tracked_by_ours(
    make_project: Callable[..., Project], store: Path
) -> None:
    environment = f"python: '{sys.version_info[0]}.{sys.version_info[1]}'\ndependencies:\n  - six==1.17.0\n"
    files = {"MLproject": MAIN.replace("name: small", "name: small\npython_env: python_env.yaml")}
    files |= {"python_env.yaml": environment, "train.py": "import six\nopen('model.txt', 'w').write('x')\n"}
    files[".gitignore"] = IGNORED
    project = make_project(files)
    project.env["MLFLOW_TRACKING_URI"] = f"sqlite:///{store}"
    project.reproof("run", expect=0)
    assert {item["name"] for item in project.record()["environment"]["distributions"]} == {"six"}
    assert project.verify(expect=0)["word"] == "reproduced"
    (run,) = runs_in(project, f"sqlite:///{store}")
    assert run["tags"]["reproof.verdict"] == "reproduced"
    assert run["artifacts"]["reproof/record.json"] == project.records()[-1].read_text()
