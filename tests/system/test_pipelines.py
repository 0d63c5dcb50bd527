"""Pipelines of dvc.yaml, run, skipped, killed, verified; with the real dvc where it has a say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from projects import LIGHT, Project
from reproof.base.digesting import digest_file
from reproof.errors import MaterialError
from reproof.workflow.pipeline.places import remove_outs

DVC = f"{sys.executable} -m dvc"

STAGES = """\
stages:
  split:
    cmd: python stages.py split
    deps: [stages.py, raw.csv]
    outs: [parts]
  features:
    cmd: python stages.py features
    deps: [stages.py, parts]
    params: [scale]
    outs: [features.csv]
  train:
    cmd: python stages.py train
    deps: [stages.py, features.csv]
    outs: [model.json]
    metrics: [{metrics.json: {cache: false}}]
  report:
    cmd: python -c "import json; print(json.load(open('model.json')))" > report.txt
    deps: [model.json]
    outs: [report.txt]
"""

CODE = """\
import json, os, random, sys, threading, time
import lookup

FAULT = os.environ.get("FAULT", "") if sys.argv[1] == "features" else ""


def split():
    rows = open("raw.csv").read().split()
    os.makedirs("parts")
    for name, part in (("one", rows[::2]), ("two", rows[1::2])):
        open(f"parts/{name}.csv", "w").write("".join(f"{row}\\n" for row in part))


def features():
    scale = float(open("params.yaml").read().split("scale:")[1].split()[0])
    rows = [float(row) for name in ("one", "two") for row in open(f"parts/{name}.csv").read().split()]
    names = [f"name{i}" for i in range(30)]
    if FAULT == "unseeded split":
        random.Random().shuffle(rows)
    if FAULT == "set order":
        names = list(set(names))
    if FAULT == "dropped row":
        rows = rows[:-1]
    if FAULT == "other float parser":
        import struct
        rows = [struct.unpack("f", struct.pack("f", row))[0] for row in rows]
    if FAULT == "changed param":
        scale = 7.0
    if FAULT == "threads":
        rows = in_threads(rows)
    text = "".join(f"{names[i % 30]},{row * scale + lookup.SHIFT}\\n" for i, row in enumerate(rows))
    if FAULT == "clock":
        text += f"made,{time.time_ns()}\\n"
    open("features.csv", "w").write(text)


def in_threads(rows):
    done = []
    def work(row):
        time.sleep(int.from_bytes(os.urandom(2), "big") / 65536 / 50)
        done.append(row)
    threads = [threading.Thread(target=work, args=(row,)) for row in rows]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return done


def train():
    rows = [line.split(",") for line in open("features.csv").read().split()]
    total = 0.0
    for number, (name, value) in enumerate(rows):
        total = total * 0.5 + float(value) * len(name) + number
    json.dump({"total": total}, open("model.json", "w"))
    json.dump({"error": total / 3}, open("metrics.json", "w"))


globals()[sys.argv[1]]()
"""

FILES = {
    "dvc.yaml": STAGES,
    "stages.py": CODE,
    "lookup.py": "SHIFT = 0.25\n",
    "params.yaml": "scale: 1.5e-1\nother: 1\n",
    "raw.csv": "".join(f"{i * 0.37:.3f}\n" for i in range(24)),
    ".gitignore": "__pycache__/\n/parts\n/features.csv\n/model.json\n/report.txt\n",
    ".dvc/config": "[core]\n    analytics = false\n    remote = far\n['remote \"far\"']\n    url = ../../far\n",
    ".dvc/.gitignore": "/cache\n/tmp\n/config.local\n",
    "pyproject.toml": "[tool.reproof]\nseed = 1\n",
}


@pytest.fixture
def project(warm: None, make_project: Callable[..., Project]) -> Project:
    made = make_project(FILES)
    made.env["DVC_SITE_CACHE_DIR"] = str(made.folder.parent / "site")
    return made


def parent(project: Project) -> Any:
    """The newest record of a whole pipeline."""
    found = [json.loads(path.read_text()) for path in project.records()]
    return max((each for each in found if "pipeline" in each), key=lambda each: each["created"])


def states(project: Project) -> dict[str, str]:
    return {link["address"]: link["state"] for link in parent(project)["pipeline"]["stages"]}


def stage(project: Project, address: str) -> Any:
    link = next(each for each in parent(project)["pipeline"]["stages"] if each["address"] == address)
    return json.loads((project.folder / f".reproof/records/{link['record']}.json").read_text())


@pytest.mark.needs("dvc")
def test_dvc_agrees_with_what_was_written(project: Project) -> None:
    project.reproof("run", expect=0)
    ours = (project.folder / "dvc.lock").read_bytes()
    assert "up to date" in project.shell(f"{DVC} status").out
    assert "Running stage" not in project.shell(f"{DVC} repro").out
    assert (project.folder / "dvc.lock").read_bytes() == ours
    assert "everything is up to date" not in project.shell(f"{DVC} push").out.lower()
    for name in ("features.csv", "model.json", "report.txt"):
        (project.folder / name).unlink()
    project.shell(f"rm -rf parts .dvc/cache && {DVC} pull -q")
    assert "up to date" in project.shell(f"{DVC} status").out
    project.shell(f"{DVC} repro --force -q")
    assert (project.folder / "dvc.lock").read_bytes() == ours


def test_only_what_depends_on_a_change_runs(project: Project) -> None:
    project.reproof("run", expect=0)
    assert set(states(project).values()) == {"ran"}
    project.reproof("run", expect=0)
    assert set(states(project).values()) == {"unchanged"}
    project.write("params.yaml", "scale: 0.3\nother: 2\n")
    told = project.reproof("status", expect=0).out
    assert "parameter `scale` of `params.yaml` changed from 0.15 to 0.3" in told
    assert "3 of 4 stages out of date" in told
    project.reproof("run", expect=0)
    assert states(project) == {"split": "unchanged", "features": "ran", "train": "ran", "report": "ran"}
    project.write("params.yaml", "scale: 0.3\nother: 3\n")
    project.write("lookup.py", "SHIFT = 0.25  # the same\n")  # imported code counts, declared or not
    project.reproof("run", expect=0)
    assert states(project) == {"split": "ran", "features": "ran", "train": "ran", "report": "unchanged"}
    (project.folder / "model.json").write_text("{}")
    project.reproof("run", expect=0)
    assert states(project)["train"] == "ran"
    project.reproof("run", "--force", "--stage", "features", expect=0)
    assert states(project) == {"split": "ran", "features": "ran"}


def test_stages_have_records_of_what_was_before_and_after(project: Project) -> None:
    project.reproof("run", expect=0)
    record = stage(project, "features")
    materials = {each["name"]: each for each in record["materials"]}
    assert materials["parts/one.csv"]["origin"] == "stage"
    assert materials["parts/one.csv"]["source"] == "split"
    assert materials["lookup.py"]["origin"] == "git"
    assert [each["name"] for each in record["products"]] == ["features.csv"]
    assert json.loads(record["stage"]["params"]) == {"params.yaml": {"scale": 0.15}}
    assert materials["parts/one.csv"]["table"]["rows"] == 11  # the first line names the column
    whole = parent(project)
    (raw,) = (each for each in whole["materials"] if each["name"] == "raw.csv")
    assert raw["table"]["rows"] == 23
    assert {each["name"] for each in whole["materials"]} == {
        "lookup.py",
        "params.yaml",
        "raw.csv",
        "stages.py",
    }
    assert {"parts/one.csv", "metrics.json", "report.txt"} <= {each["name"] for each in whole["products"]}


def test_undeclared_files_are_named_with_the_line_to_add(project: Project) -> None:
    told = project.reproof("run", expect=0).err
    assert (
        "stage `features` reads `lookup.py` without declaring it: add `- lookup.py` to `deps` of stage"
        in told
    )
    project.write("dvc.yaml", STAGES.replace("outs: [report.txt]", "outs: []"))
    told = project.reproof("run", expect=0).err
    assert "stage `report` writes `report.txt` without declaring it: add `- report.txt` to `outs`" in told


def test_two_jobs_give_the_same_record(project: Project) -> None:
    more = "".join(
        f"  side{i}:\n    cmd: sleep 0.2; wc -l < parts/one.csv > side{i}.txt\n    deps: [parts]\n    outs: [side{i}.txt]\n"
        for i in range(3)
    )
    project.write("dvc.yaml", STAGES + more)
    project.commit()
    project.reproof("run", expect=0)
    one = {name: _essence(stage(project, name)) for name in states(project)}
    project.reproof("run", "--force", "--jobs", "2", expect=0)
    assert {name: _essence(stage(project, name)) for name in states(project)} == one


def _essence(record: Any) -> Any:
    return {
        "materials": [(each["name"], each["digests"], each["origin"]) for each in record["materials"]],
        "products": [(each["name"], each["digests"]) for each in record["products"]],
        "stage": record["stage"],
        "state": record["state"],
        "command": record["project"]["command"],
    }


def test_a_failing_stage_stops_what_comes_after(project: Project) -> None:
    project.write("dvc.yaml", STAGES.replace("python stages.py train", "python stages.py train; exit 7"))
    told = project.reproof("run", expect=7).err
    assert states(project) == {"split": "ran", "features": "ran", "train": "failed", "report": "not run"}
    assert "stage `train` failed; not run: `report`" in told
    assert "train" not in (project.folder / "dvc.lock").read_text().replace("stages.py", "")
    project.write("dvc.yaml", STAGES)
    project.reproof("run", expect=0)
    assert states(project) == {"split": "unchanged", "features": "unchanged", "train": "ran", "report": "ran"}


def test_an_output_that_is_not_made(project: Project) -> None:
    project.write("dvc.yaml", STAGES.replace("outs: [report.txt]", "outs: [report.txt, more.txt]"))
    result = project.reproof("run", expect=125)
    assert "stage `report`, `outs`: the stage ended well, but did not make `more.txt`" in result.err
    assert states(project)["report"] == "failed"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("raw.csv]", "row.csv]", r"`dvc.yaml`, line 4: stage `split`, `deps`: `row.csv` does not exist"),
        ("[scale]", "[scael]", "stage `features`, `params`: `params.yaml` has no value `scael`"),
        (
            "[scale]",
            "[{other.yaml: [x]}]",
            "stage `features`, `params`: the parameters file `other.yaml` does not exist",
        ),
        ("deps: [stages.py, raw.csv]", "deps: [model.json]", "stages wait for each other"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_runs(
    project: Project, old: str, new: str, message: str
) -> None:
    project.write("dvc.yaml", STAGES.replace(old, new))
    result = project.reproof("run", expect=125)
    assert message in result.err
    assert not (project.folder / "parts").exists()


def test_killed_in_the_middle_it_goes_on_where_it_was(project: Project) -> None:
    slow = STAGES.replace(
        "python stages.py train", "echo half > model.json; sleep 60; python stages.py train"
    )
    project.write("dvc.yaml", slow)
    command = [sys.executable, "-m", "reproof.cli.main", "run"]
    running = subprocess.Popen(command, cwd=project.folder, env=project.env, stderr=subprocess.DEVNULL)
    half = project.folder / "model.json"
    deadline = time.monotonic() + 60
    while not half.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert half.exists()
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert "model.json" not in (project.folder / "dvc.lock").read_text()
    project.write("dvc.yaml", STAGES)
    project.reproof("run", expect=0)
    assert states(project) == {"split": "unchanged", "features": "unchanged", "train": "ran", "report": "ran"}
    assert half.read_text() != "half\n"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_the_stages_and_is_recorded(project: Project, jobs: str) -> None:
    project.write("dvc.yaml", STAGES.replace("python stages.py split", "touch begun; sleep 60"))
    command = [sys.executable, "-m", "reproof.cli.main", "run", "--jobs", jobs]
    running = subprocess.Popen(
        command, cwd=project.folder, env=project.env, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not (project.folder / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGINT)
    assert running.wait(timeout=30) == 130
    assert parent(project)["state"] == "interrupted"


FAULTS = [
    "unseeded split",
    "set order",
    "clock",
    "dropped row",
    "other float parser",
    "changed param",
    "threads",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_first_stage_that_differs_is_named(project: Project, fault: str) -> None:
    project.reproof("run", "--seed", "none", "--determinism", "off", expect=0, FAULT=fault)
    if fault in ("unseeded split", "set order", "clock", "threads"):  # there in the code, not in a variable
        project.write("stages.py", CODE.replace('os.environ.get("FAULT", "")', repr(fault)))
        project.reproof("run", "--seed", "none", "--determinism", "off", expect=0)
    verdict = project.verify(expect=1)
    assert verdict["first"] == "features"
    found = {each["address"]: each["state"] for each in verdict["stages"]}
    assert found == {"split": "same", "features": "differs", "train": "inherited", "report": "inherited"}
    graph = json.loads(project.reproof("dag", "--output-format", "json", expect=0).out)
    tones = {node["name"]: node.get("tone", "plain") for node in graph["nodes"]}
    assert tones == {"split": "good", "features": "bad", "train": "unsure", "report": "unsure"}


def test_a_claim_is_verified_without_a_record(project: Project) -> None:
    project.reproof("run", expect=0)
    project.commit()
    project.shell("git clone -q . ../clone && cp -r .dvc/cache ../clone/.dvc/")
    clone = Project(project.folder.parent / "clone", project.env)
    verdict = clone.verify(".", "--against", "dvc.lock", expect=0)
    assert [each["state"] for each in verdict["stages"]] == ["same"] * 4
    # an input that dvc.yaml does not declare is another one now
    clone.write("lookup.py", "SHIFT = 0.26\n")
    clone.commit()
    verdict = clone.verify(".", "--against", "dvc.lock", expect=1)
    assert verdict["first"] == "features"
    assert [each["state"] for each in verdict["stages"]] == ["same", "differs", "inherited", "inherited"]
    # without the claimed bytes, digests alone decide
    clone.shell("rm -rf .dvc/cache")
    verdict = clone.verify(".", "--against", "dvc.lock", expect=1)
    assert verdict["first"] == "features"
    assert "digest only" in json.dumps(verdict)


def test_a_claim_of_dvc_2_is_verified(project: Project) -> None:
    project.write("raw.csv", FILES["raw.csv"].replace("\n", "\r\n"))
    project.reproof("run", expect=0)
    project.commit()
    lock = (project.folder / "dvc.lock").read_text()
    raw = project.folder / "raw.csv"
    new, old = (digest_file(raw, (name,))[name] for name in ("md5", "md5-dos2unix"))
    assert new != old
    stages = yaml.safe_load(lock.replace(new, old))["stages"]
    for item in [each for stage in stages.values() for key in ("deps", "outs") for each in stage[key]]:
        del item["hash"]
    (project.folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    project.commit()
    verdict = project.verify(".", "--against", "dvc.lock", expect=0)
    assert [each["state"] for each in verdict["stages"]] == ["same"] * 4


def test_one_stage_is_verified_on_the_recorded_inputs(project: Project) -> None:
    project.reproof("run", expect=0)
    verdict = project.verify("--stage", "train", expect=0)
    assert {each["subject"] for each in verdict["differences"]} == {
        "exit status",
        "metrics.json",
        "model.json",
    }
    result = project.reproof("verify", "--stage", "trian", expect=2)
    assert "has no stage `trian` that was run" in result.err


def test_an_entry_point_that_calls_dvc(project: Project) -> None:
    project.write("MLproject", "name: p\nentry_points:\n  main: {command: dvc repro features}\n")
    project.reproof("run", "--env-manager", "local", "--no-log", expect=0)
    assert states(project) == {"split": "ran", "features": "ran"}


@pytest.mark.needs("mlflow")
def test_steps_of_an_mlproject_are_runs_below_the_whole(
    make_project: Callable[..., Project], warm: None
) -> None:
    project = make_project(
        {
            "MLproject": "name: steps\nentry_points:\n  main: {command: python main.py}\n"
            "  one: {parameters: {x: float}, command: 'python step.py {x}'}\n",
            "main.py": f"{LIGHT}import mlflow\nwith mlflow.start_run():\n"
            "    mlflow.projects.run('.', entry_point='one', parameters={'x': 3}, env_manager='local')\n",
            "step.py": f"{LIGHT}import sys, mlflow\nwith mlflow.start_run():\n"
            "    mlflow.log_metric('value', float(sys.argv[1]) * 2)\n",
            ".gitignore": "mlflow.db\nmlruns\n",
        }
    )
    project.reproof("run", "--env-manager", "local", expect=0)
    record = project.record()
    assert [each.get("parent") for each in record["runs"]] == [None, 0]
    assert [(each["run"], each["key"]) for each in record["metrics"]] == [(1, "value")]
    verdict = project.verify("--no-log", expect=0)
    assert {each["outcome"] for each in verdict["differences"]} == {0}


def test_a_place_out_of_the_room_is_refused(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room/link").symlink_to(tmp_path)
    (tmp_path / "mine").write_text("x")
    for place in ("../mine", "/etc/passwd", "link/mine", ""):
        with pytest.raises(MaterialError):
            remove_outs(tmp_path / "room", [place])
    assert (tmp_path / "mine").exists()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_log_has_the_whole_and_every_stage_that_ran(project: Project, jobs: str, tmp_path: Path) -> None:
    project.env["REPROOF_CONFIG_DIR"] = str(tmp_path / "config")
    project.reproof("audit", "init", expect=0)
    project.reproof("run", "--no-log", "--jobs", jobs, expect=0)
    project.write("params.yaml", "scale: 0.3\nother: 1\n")
    project.reproof("run", "--no-log", "--jobs", jobs, expect=0)
    report = project.reproof("audit", "--output-format", "json").json
    # two runs of the whole, four stages in the first, three in the second: `split` was unchanged
    assert report["runs"] == 2 + 4 + 3
    unsound = {each["name"] for each in report["findings"]} - {"unsigned", "checkpoint-unsigned"}
    assert not unsound


LIBRARY = """
import reproof, sys
recorded = reproof.run(sys.argv[1], jobs=2, log=False)
assert list(sorted(recorded.stages)) == ["features", "report", "split", "train"]
again = reproof.run(sys.argv[1], targets=("train",), force=True, log=False)
print(sorted({link.state for link in recorded.record.pipeline.stages}), again.exit_status, recorded.run_id)
print(len(again.record.pipeline.stages), reproof.verify(again, log=False).first)
try:
    reproof.run(sys.argv[1], pipeline=True, entry_point="main")
except reproof.ReproofError as error:
    print(error.message)
print(type(reproof.run(sys.argv[1], command=("true",), log=False)).__name__)
"""


def test_the_library_runs_pipelines_as_the_command_line_does(project: Project, tmp_path: Path) -> None:
    words = [sys.executable, "-c", LIBRARY, str(project.folder)]
    done = subprocess.run(words, cwd=tmp_path, env=project.env, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "['ran'] 0 None",
        "3 None",
        "a pipeline takes no command, no entry point and no parameters: dvc.yaml has them",
        "RecordedRun",
    ], done.stderr
