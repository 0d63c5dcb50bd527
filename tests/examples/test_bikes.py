"""The demonstration project, as `reproof demo` writes it."""

import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reproof.base.digesting import digest_file
from reproof.errors import ProjectError
from reproof.examples.bikes import write_project

MLPROJECT = """\
name: bikes
python_env: python_env.yaml
entry_points:
  main:
    parameters:
      conf_file: path
    command: "PYTHONPATH=src python -m bikes {conf_file}"
"""

COMMITTED = [
    ".dockerignore",
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvcignore",
    ".gitignore",
    "Dockerfile",
    "MLproject",
    "README.md",
    "confs/evaluations.yaml",
    "confs/inference.yaml",
    "confs/pipeline/evaluations.yaml",
    "confs/pipeline/explanations.yaml",
    "confs/pipeline/inference.yaml",
    "confs/pipeline/preparation.yaml",
    "confs/pipeline/promotion.yaml",
    "confs/pipeline/training.yaml",
    "confs/pipeline/tuning.yaml",
    "confs/training.yaml",
    "confs/tuning.yaml",
    "data/.gitignore",
    "data/Bikeshare.csv.dvc",
    "data/DATA.md",
    "dvc.yaml",
    "justfile",
    "pyproject.toml",
    "python_env.yaml",
    "constraints.txt",
    "requirements-check.txt",
    "requirements.txt",
    "src/bikes/__init__.py",
    "src/bikes/__main__.py",
    "src/bikes/data.py",
    "src/bikes/errors.py",
    "src/bikes/evaluations.py",
    "src/bikes/explanations.py",
    "src/bikes/inference.py",
    "src/bikes/metrics.py",
    "src/bikes/pipeline.py",
    "src/bikes/preparation.py",
    "src/bikes/promotion.py",
    "src/bikes/results.py",
    "src/bikes/settings.py",
    "src/bikes/tracking.py",
    "src/bikes/training.py",
    "src/bikes/tuning.py",
    "tests/test_bikes.py",
]

TEMPLATE = Path(sys.modules[write_project.__module__].__file__).parent / "project"
MD5 = "1f1f83838d3b7effc906c90b845ca3e2"
OBJECT = f"files/md5/{MD5[:2]}/{MD5[2:]}"


def git(project: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path / "demo")
    return tmp_path / "demo"


def test_mlproject_is_exactly_as_announced(project: Path) -> None:
    assert (project / "MLproject").read_text() == MLPROJECT


def test_one_clean_commit_holds_every_file(project: Path) -> None:
    assert git(project, "ls-files").split() == sorted(COMMITTED)
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "branch", "--show-current") == "main\n"
    assert git(project, "log", "--format=%an <%ae> %cn <%ce>").splitlines() == [
        "reproof demo <demo@localhost> reproof demo <demo@localhost>"
    ]
    assert git(project, "fsck", "--strict") == ""


def test_nothing_is_left_beside_what_is_meant(project: Path) -> None:
    found = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    expected = {*COMMITTED, "data/Bikeshare.csv", f".dvc/cache/{OBJECT}", f".dvc-remote/{OBJECT}"}
    assert {path for path in found if not path.startswith(".git/")} == expected


def test_the_same_commit_everywhere(project: Path, tmp_path: Path) -> None:
    write_project(tmp_path / "another place" / "demo")
    assert git(project, "rev-parse", "HEAD") == git(tmp_path / "another place" / "demo", "rev-parse", "HEAD")


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    write_project(tmp_path)
    assert git(tmp_path, "status", "--porcelain") == ""


def test_the_user_s_git_stays_out_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks, templates = tmp_path / "hooks", tmp_path / "templates" / "hooks"
    for folder in (hooks, templates):
        folder.mkdir(parents=True)
        for name in ("pre-commit", "commit-msg", "post-commit", "prepare-commit-msg"):
            (folder / name).write_text("#!/bin/sh\nexit 1\n")
            (folder / name).chmod(0o755)
    (tmp_path / "ignore").write_text("*.yaml\nsrc\n")
    (tmp_path / "attributes").write_text("* filter=break\n")
    config = tmp_path / "config"
    config.write_text(
        f"[core]\nhooksPath={hooks}\nexcludesFile={tmp_path}/ignore\nattributesFile={tmp_path}/attributes\n"
        "autocrlf=true\nsafecrlf=true\n[commit]\ngpgSign=true\n[user]\nuseConfigOnly=true\n"
        f"[init]\ntemplateDir={templates.parent}\ndefaultBranch=trunk\n"
        '[filter "break"]\nclean=false\nrequired=true\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{role}_NAME")
        monkeypatch.delenv(f"GIT_{role}_EMAIL")
    write_project(tmp_path / "demo")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    assert git(tmp_path / "demo", "ls-files").split() == sorted(COMMITTED)
    assert git(tmp_path / "demo", "status", "--porcelain") == ""
    assert not list((tmp_path / "demo" / ".git").glob("hooks/*"))


def test_a_refusal_of_git_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "config"
    broken.write_text("[core\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(broken))
    with pytest.raises(ProjectError, match="`git init` failed") as caught:
        write_project(tmp_path / "demo")
    assert "bad config" in dict(caught.value.details)["git"]


def test_caches_of_tools_in_the_installed_package_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import reproof.examples.bikes as module

    copy = shutil.copytree(TEMPLATE, tmp_path / "template")
    for stray in ("src/bikes/__pycache__/data.pyc", ".ruff_cache/x", "src/.mypy_cache/deep/y"):
        (copy / stray).parent.mkdir(parents=True)
        (copy / stray).write_bytes(b"stray")
    monkeypatch.setattr(module, "_TEMPLATE", copy)
    write_project(tmp_path / "demo")
    assert not [
        path for path in (tmp_path / "demo").rglob("*") if "cache" in path.name and ".dvc" not in str(path)
    ]


def test_the_python_is_the_one_that_writes(project: Path) -> None:
    version = ".".join(map(str, sys.version_info[:3]))
    document = yaml.safe_load((project / "python_env.yaml").read_text())
    assert document["python"].startswith(version)
    assert document["dependencies"] == ["-r requirements.txt"]
    assert (project / "Dockerfile").read_text().count(f"FROM python:{document['python']}-slim") == 3


def test_the_data_file_is_what_dvc_names(project: Path) -> None:
    (entry,) = yaml.safe_load((project / "data/Bikeshare.csv.dvc").read_text())["outs"]
    data = project / "data/Bikeshare.csv"
    assert digest_file(data, ("md5",)) == {"md5": entry["md5"]}
    assert entry == {"md5": MD5, "size": data.stat().st_size, "hash": "md5", "path": "Bikeshare.csv"}
    assert MD5 in (project / "data/DATA.md").read_text()
    assert len(data.read_text().splitlines()) == 8645 + 1
    for store in (".dvc/cache", ".dvc-remote"):
        kept = project / store / OBJECT
        assert kept.read_bytes() == data.read_bytes()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o444
        assert kept.stat().st_nlink == 1


def test_every_column_is_described(project: Path) -> None:
    header = (project / "data/Bikeshare.csv").read_text().splitlines()[0]
    described = re.findall(r"^\| `(\w+)` \|", (project / "data/DATA.md").read_text(), re.MULTILINE)
    assert described == [name.strip('"') for name in header.split(",")]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-check.txt", "constraints.txt"])
def test_locks_have_hashes_and_no_addresses(project: Path, name: str) -> None:
    text = (project / name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(-i|-f|--index-url|--extra-index-url|--find-links)\b", text, re.MULTILINE)
    entries = re.sub(r"\\\n", " ", text).splitlines()
    assert entries
    assert not [line for line in entries if line.strip() and "--hash=sha256:" not in line]


def test_locks_fit_what_is_declared(project: Path) -> None:
    import tomllib

    document = tomllib.loads((project / "pyproject.toml").read_text())
    groups = document["dependency-groups"]
    for name, words in {
        "requirements.txt": document["project"]["dependencies"],
        "requirements-check.txt": groups["check"],
        "constraints.txt": groups["build"],
    }.items():
        pinned = set(re.findall(r"^([a-z0-9-]+)==", (project / name).read_text(), re.MULTILINE))
        assert {re.match(r"[a-z0-9-]+", word)[0] for word in words} <= pinned, name
    assert document["tool"]["reproof"] == {"seed": 42}


def test_no_download_address_anywhere(project: Path) -> None:
    for path in git(project, "ls-files").split():
        assert not re.search(r"https?://", (project / path).read_text()), path


@pytest.mark.needs("dvc")
def test_dvc_reads_all_of_it(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")

    def dvc(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    steps = {"prepare", "tune", "train", "evaluate", "explain", "infer", "promote"}
    assert (
        set(json.loads(dvc("status", "--json"))) == steps
    )  # none of them has run yet, and the data is there
    assert json.loads(dvc("status", "--cloud", "--json")) == {}
    assert "No changes" in dvc("data", "status")
    (project / "data/Bikeshare.csv").unlink()
    shutil.rmtree(project / ".dvc/cache")
    assert "not in cache" in dvc("status")
    dvc("pull", "--quiet", "data/Bikeshare.csv")
    assert set(json.loads(dvc("status", "--json"))) == steps
    assert digest_file(project / "data/Bikeshare.csv", ("md5",)) == {"md5": MD5}
    dvc("add", "--quiet", "data/Bikeshare.csv")
    assert git(project, "status", "--porcelain") == ""  # what DVC itself writes is what we wrote


def python(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": "src", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)


class Step:
    """One step of the project in a process of its own, and what it left in MLflow's store."""

    def __init__(self, project: Path, name: str) -> None:
        done = python(project, "-m", "bikes", str(project / "confs" / f"{name}.yaml"))
        assert done.returncode == 0, done.stderr
        with sqlite3.connect(project / "mlflow.db") as store:
            (self.run,) = store.execute(
                "SELECT run_uuid FROM runs ORDER BY start_time DESC LIMIT 1"
            ).fetchone()
            rows = store.execute("SELECT key, step, value FROM metrics WHERE run_uuid = ?", [self.run])
            self.metrics = {(key, step): value.hex() for key, step, value in rows}
            rows = store.execute("SELECT key, value FROM params WHERE run_uuid = ?", [self.run])
            self.parameters = dict(rows)
            self.datasets = store.execute("SELECT name, digest, dataset_source FROM datasets").fetchall()
        self.artifacts = contents(project / "mlruns/0" / self.run / "artifacts")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.needs("mlflow", "sklearn", "pandas")
def test_two_trainings_agree_to_the_last_bit_and_the_other_steps_follow(project: Path) -> None:
    first, second = Step(project, "training"), Step(project, "training")
    assert first.metrics == second.metrics
    assert first.artifacts == second.artifacts
    one, other = map(contents, (project / "mlruns/0/models").glob("m-*/artifacts"))
    assert one.pop("MLmodel") != other.pop("MLmodel")  # it names the run
    assert one == other
    assert {"model.pkl", "input_example.json", "serving_input_example.json", "requirements.txt"} < set(one)

    errors = {f"{part}_{name}" for part in ("train", "test") for name in ("rmse", "mae", "bias", "r2")}
    steps = [step for key, step in first.metrics if key == "test_rmse_by_trees"]
    assert {key for key, _ in first.metrics} == {*errors, "test_rmse_by_trees"}
    assert sorted(steps) == list(range(10, 151, 10))
    assert first.metrics["test_rmse_by_trees", 150] == first.metrics["test_rmse", 0]
    assert 0.7 < float.fromhex(first.metrics["test_r2", 0]) < 0.8
    assert first.parameters["forest.random_state"] == "42"
    assert first.datasets == [("Bikeshare", MD5, '{"uri": "data/Bikeshare.csv"}')]
    assert set(first.artifacts) == {"predictions.csv", "feature_importances.json"}

    evaluation = Step(project, "evaluations")
    assert evaluation.parameters["model"] == f"runs:/{second.run}/model"
    assert evaluation.metrics["test_rmse", 0] == second.metrics["test_rmse", 0]
    assert set(json.loads(evaluation.artifacts["groups.json"])) == {"workingday", "weathersit", "hr"}
    inference = Step(project, "inference")
    written = (project / "outputs/predictions.csv").read_bytes()
    assert inference.artifacts == {"predictions.csv": written}
    assert len(written.splitlines()) == 8645 + 1
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.needs("mlflow", "sklearn", "pandas")
def test_tuning_logs_each_trial_and_the_best(project: Path) -> None:
    conf = project / "confs/tuning.yaml"
    text = conf.read_text().replace("n_estimators: 40", "n_estimators: 5").replace("trials: 4", "trials: 2")
    conf.write_text(text)
    assert python(project, "-m", "bikes", str(conf)).returncode == 0
    with sqlite3.connect(project / "mlflow.db") as store:
        query = "SELECT r.name, m.value FROM runs r JOIN metrics m USING (run_uuid) WHERE m.key IN ('rmse', 'best_rmse')"
        values = dict(store.execute(query).fetchall())
    assert set(values) == {"Tuning", "Trial 1", "Trial 2"}
    assert values["Tuning"] == min(values["Trial 1"], values["Trial 2"])


@pytest.mark.slow
@pytest.mark.needs("mlflow", "sklearn", "pandas")
def test_the_project_s_own_tests_pass(project: Path) -> None:
    done = python(project, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout


@pytest.mark.needs("mlflow", "sklearn", "pandas")
def test_a_step_without_its_model_says_what_to_run(project: Path) -> None:
    done = python(project, "-m", "bikes", "confs/inference.yaml")
    assert done.returncode == 2
    assert "error: experiment `Default` has no finished training: run confs/training.yaml" in done.stderr
    assert "Traceback" not in done.stderr
