"""The demonstration project as a container image: built twice with one id, and its training is the same there."""

from __future__ import annotations

import csv
import os
import platform
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from uv import find_uv_bin

from building import commit
from images import base_archive
from reproof.base.files import locked
from reproof.environment.uv import cache_folder
from reproof.examples.bikes import write_project
from reproof.workflow.build.build import BuildOptions
from reproof.workflow.build.image import ImageOptions, build_image

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("buildah", "docker", "mmdebstrap"),
    pytest.mark.xdist_group("demo-image"),
]

#: Name that the Dockerfile of the project has for its base: built here, because no registry may be reachable.
BASE = f"docker.io/library/python:{platform.python_version()}-slim-bookworm"
TAG = "localhost/reproof-demo:test"


def run(*words: str | Path, cwd: Path | None = None, **env: str) -> None:
    done = subprocess.run(words, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The base image in buildah: Debian's Python, also under the path that the official image has."""
    archive = base_archive()
    context = tmp_path_factory.mktemp("base")
    os.link(archive, context / "base.tar")
    text = "FROM scratch\nADD base.tar /\nRUN ln -s /usr/bin/python3 /usr/local/bin/python\n"
    (context / "Dockerfile").write_text(text)
    with locked(archive.with_name("base-buildah.lock")):
        if subprocess.run(["buildah", "inspect", "--type", "image", BASE], capture_output=True).returncode:
            run("buildah", "build", "--isolation", "chroot", "--timestamp", "0", "--tag", BASE, context)
    return BASE


def results(folder: Path) -> tuple[dict[str, float], bytes]:
    """Metrics, exactly, and the predictions of the one run in a folder."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as store:
        rows = store.execute("select key || ':' || step, value from metrics").fetchall()
    (predictions,) = folder.glob("mlruns/**/predictions.csv")
    assert len(list(csv.reader(predictions.read_text().splitlines()))) > 100
    return dict(rows), predictions.read_bytes()


def test_one_id_twice_and_the_same_training_inside(tmp_path: Path, base: str) -> None:
    project = tmp_path / "bikes"
    write_project(project)
    conf = (project / "confs/training.yaml").read_text()
    commit(project, {"confs/training.yaml": conf.replace("n_estimators: 150", "n_estimators: 12")})
    settings = tmp_path / "uv"
    settings.mkdir()
    (settings / "uv.toml").write_text("system-certs = true\n")
    seen = {
        cache_folder(): "/root/.cache/uv",
        Path("/etc/ssl/certs"): "/etc/ssl/certs:ro",
        settings: "/etc/uv:ro",
    }
    report = build_image(
        ImageOptions(
            build=BuildOptions(folder=project),
            engine="buildah",
            tag=TAG,
            volumes=tuple(f"{here}:{there}" for here, there in seen.items()),
        )
    )
    try:
        assert report.grade == "identical"
        run("buildah", "push", "--quiet", TAG, f"docker-daemon:{TAG}")
        words = ["docker", "image", "inspect", "--format", "{{.Id}}", TAG]
        known = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        assert known.strip() == f"sha256:{report.info.outputs[0].sha256}"
        inside = tmp_path / "inside"
        (inside / "mlruns").mkdir(parents=True)
        for folder in (inside, inside / "mlruns"):
            folder.chmod(0o777)
        run(
            *("docker", "run", "--rm", "--network", "none", "--volume", f"{project}/data:/work/data:ro"),
            *("--volume", f"{inside}:/out", "--volume", f"{inside}/mlruns:/work/mlruns"),
            *("--env", "MLFLOW_TRACKING_URI=sqlite:////out/mlflow.db", TAG),
        )
    finally:
        subprocess.run(["docker", "rmi", "--force", TAG], capture_output=True)
        subprocess.run(["buildah", "rmi", TAG], capture_output=True)
    python = tmp_path / "venv/bin/python"
    uv = find_uv_bin()
    run(uv, "venv", "--quiet", "--python", platform.python_version(), tmp_path / "venv")
    run(uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", "requirements.txt", cwd=project)
    outside = tmp_path / "outside"
    outside.mkdir()
    store = f"sqlite:///{outside}/mlflow.db"
    env = {"MLFLOW_TRACKING_URI": store, "PYTHONPATH": "src", "MLFLOW_EXPERIMENT_NAME": "bikes"}
    run(python, "-m", "bikes", "confs/training.yaml", cwd=project, **env)
    (project / "mlruns").rename(outside / "mlruns")
    assert results(inside) == results(outside)
