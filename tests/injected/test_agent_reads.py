"""What the child tells of models and runs that it reads in MLflow, with both generations of it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from reproof import injected
from reproof.model import observation as seen

pytestmark = pytest.mark.needs("mlflow")

MAKE = """
import mlflow
client = mlflow.MlflowClient()
client.create_registered_model("scale")
with mlflow.start_run(tags={"step": "train"}) as run:
    mlflow.log_metric("quality", 0.5, step=3)
    mlflow.log_param("k", 3)
    mlflow.log_dict({"a": 1}, "model/MLmodel")
    mlflow.log_text("a note", "notes/about.txt")
for number in range(2):
    client.create_model_version("scale", run.info.artifact_uri + "/model", run.info.run_id)
client.set_registered_model_alias("scale", "champion", "1")
"""

READ = """
import os, mlflow
from mlflow.exceptions import MlflowException
client = mlflow.MlflowClient()
get = mlflow.artifacts.download_artifacts
get("models:/scale@champion")
get("models:/scale@champion")
get("models:/scale/latest/MLmodel")
(found,) = mlflow.search_runs(filter_string="tags.step = 'train'", search_all_experiments=True, output_format="list")
assert open(get(run_id=found.info.run_id, artifact_path="notes/about.txt")).read() == "a note"
client.download_artifacts(found.info.run_id, "notes")
with mlflow.start_run() as run:
    mlflow.log_text("mine", "own.txt")
    get(f"runs:/{run.info.run_id}/own.txt")
    mlflow.get_run(run.info.run_id)
    own = client.create_model_version("scale", run.info.artifact_uri, run.info.run_id)
    client.get_model_version("scale", own.version)
try:
    get("models:/scale@nobody")
except MlflowException:
    print("as ever")
try:
    get("mlflow-artifacts://me:hunter2@127.0.0.1:9/1/x")
except Exception:
    print("as ever")
"""


@pytest.mark.parametrize("major", [3, pytest.param(2, marks=pytest.mark.slow)])
def test_what_is_read_is_told_with_its_bytes(
    tmp_path: Path, major: int, request: pytest.FixtureRequest
) -> None:
    python = Path(sys.executable) if major == 3 else request.getfixturevalue("mlflow2")
    work = tmp_path / "work"
    work.mkdir()
    plain = {
        **{name: value for name, value in os.environ.items() if not name.startswith("REPROOF_")},
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": f"sqlite:///{work}/mlflow.db",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    subprocess.run([python, "-c", MAKE], cwd=work, env=plain, check=True, capture_output=True)
    ours = {
        "PYTHONPATH": str(injected.sitecustomize_folder(tmp_path / "boot")),
        "REPROOF_OBSERVATIONS": str(tmp_path / "observations"),
        "REPROOF_ARTIFACTS": str(tmp_path / "artifacts"),
        "REPROOF_PROJECT": str(work),
        "REPROOF_MLFLOW": "1",
    }
    done = subprocess.run(
        [python, "-c", READ], cwd=work, env={**plain, **ours}, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"as ever\nas ever\n"), done.stderr.decode()

    decoder = msgspec.json.Decoder(seen.AnyObservation)
    lines = [decoder.decode(line) for line in (tmp_path / "observations").read_bytes().splitlines()]
    versions = [line for line in lines if isinstance(line, seen.VersionRead)]
    assert {line.version for line in versions if line.latest} == {"2"}
    assert {(line.version, line.aliases) for line in versions} == {("1", ("champion",)), ("2", ())}
    (run,) = (line for line in lines if isinstance(line, seen.RunRead))
    assert (run.parameters, run.metrics[0][:3], run.searched) == (
        {"k": "3"},
        ("quality", "0x1.0000000000000p-1", 3),
        True,
    )
    assert run.tags["step"] == "train"
    assert "mlflow.user" not in run.tags

    read = {f"{line.root}/{line.path}": line for line in lines if isinstance(line, seen.ArtifactRead)}
    assert sorted(read) == sorted(
        ["models:/scale/1/MLmodel", "models:/scale/2/MLmodel", f"runs:/{run.run}/notes/about.txt"]
    )
    assert read["models:/scale/1/MLmodel"].asked == "models:/scale@champion"
    for line in read.values():
        data = (tmp_path / "artifacts" / line.copy).read_bytes()
        assert hashlib.sha256(data).hexdigest() == line.sha256
        assert len(data) == line.size
    registered = [line.version for line in lines if isinstance(line, seen.VersionRegistered)]
    assert registered == ["3"]
    failed = [line.reason for line in lines if isinstance(line, seen.Failed) and "inputs" in line.subject]
    assert failed == [] or all("which run or model is not known" in reason for reason in failed)
    assert b"hunter2" not in (tmp_path / "observations").read_bytes()
