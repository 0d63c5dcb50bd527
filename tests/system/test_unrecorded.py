"""Single runs that MLflow recorded without reproof: projects of different shape, and what may be missing."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from projects import LIGHT, Project, ready_store

pytestmark = pytest.mark.needs("mlflow")

#: src layout, click, requirements without pins, data that is tracked nowhere, several runs in one process.
FLOWS = {
    "src/flows/__init__.py": "",
    "src/flows/fitting.py": "def fit(rows, rate):\n    return sum(rows) * rate\n",
    "scripts/train.py": LIGHT
    + """
import click, mlflow
from flows.fitting import fit

@click.command()
@click.option("--learning-rate", "rate", type=float, default=0.1)
@click.option("--data", default="data/rows.txt")
def main(rate, data):
    rows = [float(line) for line in open(data)]
    for factor in (1, 2):
        with mlflow.start_run():
            mlflow.log_params({"learning_rate": rate, "factor": factor})
            mlflow.log_metric("loss", fit(rows, rate * factor))
            mlflow.log_metric("odd", float("-inf"))

main()
""",
    "requirements.txt": "mlflow-skinny\nclick\n",
    ".gitignore": "data/\nmlflow.db\nartifacts/\n",
}
SCRIPT = (
    LIGHT
    + """\
import mlflow

with mlflow.start_run():
    mlflow.log_param("rate", float(sys.argv[1]))
    mlflow.log_metric("loss", float(sys.argv[1]) / 3)
    mlflow.log_dict({"loss": 1}, "facts.json")
"""
)


def ask(project: Project, query: str) -> str:
    """The first value that a query of the project's MLflow database gives; or nothing, for a change."""
    with closing(sqlite3.connect(project.folder / "mlflow.db", timeout=30)) as database, database:
        row = database.execute(query).fetchone()
    return str(row[0]) if row else ""


def run(project: Project, command: str) -> str:
    """Run a plain command that logs to MLflow; returns the id of its first run."""
    project.shell(command)
    return ask(project, "SELECT run_uuid FROM runs ORDER BY start_time LIMIT 1")


@pytest.fixture
def local(make_project: Callable[..., Project], warm: None) -> Callable[..., Project]:
    """Makes projects with a store of MLflow's own beside them, and an active environment."""

    def make(files: dict[str, str], python: Path | None = None) -> Project:
        project = make_project({".gitignore": "mlflow.db\nmlruns/\nmlartifacts/\nartifacts/\n", **files})
        project.env["MLFLOW_TRACKING_URI"] = f"sqlite:///{project.folder}/mlflow.db"
        if python is None:
            ready_store(project.folder / "mlflow.db")
        else:
            project.env["PATH"] = f"{python.parent}:{project.env['PATH']}"
        project.env["VIRTUAL_ENV"] = str((python or Path(sys.executable)).parents[1])
        return project

    return make


def test_src_layout_click_and_requirements_without_pins(
    local: Callable[..., Project], tmp_path: Path
) -> None:
    project = local(FLOWS)
    project.write("data/rows.txt", "1\n2\n5\n")
    wanted = run(project, "PYTHONPATH=src python scripts/train.py --learning-rate 0.2")
    failed = project.reproof("verify", wanted, "--no-log", expect=2)
    assert failed.hint == "--data data/rows.txt=data/rows.txt"
    (project.folder / "data/rows.txt").unlink()
    kept = tmp_path / "rows.txt"
    kept.write_text("1\n2\n5\n")
    verdict = project.verify(wanted, "--data", f"data/rows.txt={kept}", "--no-log", expect=0)
    assert verdict["word"] == "reconstructed"
    conditions = {each["name"]: each for each in verdict["conditions"]}
    assert conditions["record"]["value"] == "reconstructed"
    assert f"from MLflow run {wanted}" in conditions["record"]["note"]
    assert "recorded by MLflow alone" in conditions["record"]["note"]
    assert conditions["assumed arguments"]["value"] == "`--learning-rate=0.2`"
    assert conditions["assumed PYTHONPATH"]["value"] == "`src`"
    assert re.match(r"as of 20\d\d-", conditions["assumed packages"]["value"])
    assert conditions["assumed run"]["value"] == "run 1 of the 2 that the re-run opened"
    assert "neither Git nor DVC has it" in conditions["assumed data"]["note"]
    assert "same" not in conditions.get("host", {}).get("value", "")
    subjects = {each["subject"] for each in verdict["differences"]}
    assert {"metric:loss", "metric:odd", "parameter:factor"} <= subjects


#: A script with argparse in an active environment, data that Git ignores, and MLflow 2 with its folder `mlruns`.
WINE = {
    "train.py": LIGHT
    + """
import argparse
import mlflow

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="data/rows.csv")
parser.add_argument("--rate", type=float, default=0.1)
args = parser.parse_args()
mlflow.set_experiment("wine")
rows = [float(line) for line in open(args.data)]
with mlflow.start_run() as run:
    mlflow.log_params(vars(args))
    mlflow.log_metric("loss", sum(rows) * args.rate)
    mlflow.log_dict({"weight": rows[0] * args.rate}, "model/weight.json")
""",
    ".gitignore": "data/\nmlruns/\n.reproof/\n",
}


def test_mlflow_2_with_scripts_and_its_folder(local: Callable[..., Project], mlflow2: Path) -> None:
    """A run of old, then a recorded one: its data, its model, a change of its code."""
    project = local(WINE, mlflow2)
    del project.env["MLFLOW_TRACKING_URI"]
    project.write("data/rows.csv", "1\n2\n5\n")
    project.shell("python train.py --rate 0.2")
    old = next(project.folder.glob("mlruns/*/*/params")).parent
    verdict = project.verify(old.name, "--data", "data/rows.csv", "--no-log", expect=0)
    assert verdict["word"] == "reconstructed"

    project.write("data/rows.csv", "1\n2\n6\n")
    said = project.reproof("run", "--", "python", "train.py", "--rate", "0.3", expect=0).err
    assert "`reproof keep data`" in said
    run = next(each for each in project.folder.glob("mlruns/*/*/artifacts/model") if each.parents[1] != old)
    project.write("mlruns/models/weights/meta.yaml", "name: weights\n")
    facts = f"name: weights\nversion: 1\ncurrent_stage: Production\nsource: {run}\nrun_id: {run.parts[-3]}\n"
    project.write("mlruns/models/weights/version-1/meta.yaml", facts)
    assert project.verify(expect=0)["word"] == "repeated"
    seen = project.reproof("show", "models:/weights/Production", "--output-format", "json", expect=0).json
    assert (seen["run_id"], seen["verdict"]["word"]) == (run.parts[-3], "repeated")
    project.reproof("show", str(old / "artifacts/model/weight.json"), expect=1)

    project.write("train.py", WINE["train.py"] + "# the end\n")
    project.commit()
    changed = project.reproof("verify", "--code", "HEAD", "--output-format", "github", expect=0).out
    assert changed.startswith("::notice title=same result%3A")
    project.write("data/rows.csv", "1\n")
    assert "`data/rows.csv`" in project.reproof("verify", expect=2).err


def test_a_guess_that_does_not_fit_decides_nothing(local: Callable[..., Project]) -> None:
    source = SCRIPT.replace("float(sys.argv[1])", "RATE").replace(
        "import mlflow\n", "import mlflow\nRATE = float(sys.argv[1]) if len(sys.argv) > 1 else 0.1\n"
    )
    project = local({"train.py": source})
    wanted = run(project, "python train.py 0.5")
    verdict = project.verify(wanted, expect=3)  # which is written to the run
    assert verdict["word"] == "inconclusive"
    doubt = next(each for each in verdict["differences"] if each["subject"] == "command")
    assert "`rate` came out otherwise: give the command of the run after `--`" in doubt["summary"]
    assert ask(project, "SELECT value FROM tags WHERE key = 'reproof.verdict'") == "inconclusive"
    gone(project, wanted)


def gone(project: Project, wanted: str) -> None:
    """Artifacts that cannot be read any more are unknown, not passed over."""
    ask(project, "UPDATE runs SET artifact_uri = 's3://nowhere/1'")
    verdict = project.verify(wanted, "--no-log", "--", "python", "train.py", "0.5", expect=3)
    unknown = next(each for each in verdict["differences"] if each["subject"] == "artifacts")
    assert "cannot read the artifacts" in unknown["summary"]
    ask(project, "UPDATE runs SET lifecycle_stage = 'deleted'")
    failed = project.reproof("verify", wanted, expect=2)
    assert f"run `{wanted}` was deleted" in failed.err
    assert failed.hint == f"mlflow runs restore --run-id {wanted}"


def test_options_of_records_are_refused(local: Callable[..., Project]) -> None:
    project = local({"train.py": SCRIPT})
    made = run(project, 'python -c "import mlflow; mlflow.start_run()"')
    failed = project.reproof("verify", made, "--stage", "fit", expect=2)
    assert "`--stage` needs a record, and reproof did not record this run" in failed.err
    failed = project.reproof("verify", made, expect=2)
    assert "the code of run" in failed.err
    assert "pass `--code REVISION`" in failed.err
    failed = project.reproof("verify", made, "--code", "HEAD", expect=2)
    assert "the run names no script" in failed.err or "what was run is not known" in failed.err
    assert "--entry-point" in failed.err
    failed = project.reproof("verify", made, "--code", "HEAD", "-e", "other.py", expect=2)
    assert "the commit has no script `other.py`" in failed.err


def test_a_run_that_failed_is_given_its_data(local: Callable[..., Project]) -> None:
    source = SCRIPT.replace("float(sys.argv[1])", "float(open('data/rows.txt').read())") + "    sys.exit(3)\n"
    project = local({"train.py": source, ".gitignore": "data/\nmlflow.db\nartifacts/\n"})
    project.write("data/rows.txt", "2\n")
    project.shell("python train.py", check=False)
    wanted = ask(project, "SELECT run_uuid FROM runs")
    (project.folder / "data/rows.txt").rename(project.folder.parent / "rows.txt")
    failed = project.reproof("verify", wanted, expect=2)
    assert "the run reads `data/rows.txt`, and neither Git nor DVC has it" in failed.err
    verdict = project.verify(wanted, "--no-log", "--data", "data/rows.txt=../rows.txt", expect=0)
    assert verdict["word"] == "reconstructed"


@pytest.mark.needs("dvc")
def test_data_of_dvc_comes_from_its_cache(local: Callable[..., Project]) -> None:
    source = SCRIPT.replace("float(sys.argv[1])", "sum(map(float, open('data/rows.txt')))")
    project = local({"train.py": source})
    project.write("data/rows.txt", "1\n2\n")
    project.shell("dvc init -q && dvc add -q data/rows.txt")
    project.commit()
    wanted = run(project, "python train.py")
    (project.folder / "data/rows.txt").unlink()
    verdict = project.verify(wanted, "--no-log", expect=0)
    assert verdict["word"] == "reconstructed"
    data = [each["note"] for each in verdict["conditions"] if each["name"] == "assumed data"]
    assert data == ["1 of 1 restored by digest"]
    project.shell("rm -rf .dvc/cache")
    failed = project.reproof("verify", wanted, expect=2)
    assert "the run reads `data/rows.txt`, and DVC names it, and has it nowhere" in failed.err
    assert "--data data/rows.txt=PATH" in failed.err
