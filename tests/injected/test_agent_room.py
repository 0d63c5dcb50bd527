"""In the clean room no address that the code names is reached: the room's own store is."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from reproof import injected
from reproof.model import observation as seen
from reproof.tracking.installation import find_installation
from reproof.tracking.template import prepare, room_environment

pytestmark = pytest.mark.needs("mlflow")

CODE = """
import os
import mlflow
from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _get_store, set_tracking_uri

mlflow.set_tracking_uri("http://user:hunter2@127.0.0.1:9")
mlflow.set_registry_uri("http://127.0.0.1:9/registry")
room = mlflow.get_tracking_uri()
assert mlflow.get_registry_uri() == room
mlflow.set_experiment("mine")

class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input

with mlflow.start_run() as run:
    mlflow.log_metric("a", 1)
    mlflow.log_text("x", "x.txt")
    place = {"name": "model"} if mlflow.__version__ >= "3" else {"artifact_path": "model"}
    mlflow.pyfunc.log_model(python_model=Model(), pip_requirements=[], registered_model_name="prod", **place)

client = MlflowClient("sqlite:///USER/mlflow.db", registry_uri="databricks-uc")
assert client.tracking_uri == room
assert [version.name for version in client.search_model_versions("name='prod'")] == ["prod"]
client.set_registered_model_alias("prod", "best", "1")
assert client.get_run(run.info.run_id).info.status == "FINISHED"

os.environ["MLFLOW_TRACKING_URI"] = "postgresql://me:hunter2@db/x"
assert mlflow.get_tracking_uri() == room
assert MlflowClient().tracking_uri == room
experiment = client.create_experiment("elsewhere", artifact_location="s3://bucket/x")
with mlflow.start_run(experiment_id=experiment):
    mlflow.log_text("y", "y.txt")
for address in ("databricks", "file:///USER/mlruns", "/USER/mlruns", "uc:http://host"):
    set_tracking_uri(address)
    assert mlflow.get_tracking_uri() == room
_get_store("/USER/other")
mlflow.tracking.artifact_utils.get_artifact_repository("/USER/inputs")
"""


def run(tmp_path: Path, python: Path, code: str, user: Path, **more: str) -> list[seen.Observation]:
    installation = find_installation(python)
    assert installation is not None
    room = tmp_path / "room"
    work = room / "project"
    work.mkdir(parents=True)
    (room / "tmp").mkdir()
    (work / "train.py").write_text(code.replace("/USER", str(user)))
    uri = prepare(python, installation.version, room / "mlflow.db")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("REPROOF_")},
        "PYTHONPATH": str(injected.sitecustomize_folder(tmp_path / "boot")),
        "REPROOF_OBSERVATIONS": str(tmp_path / "observations"),
        "REPROOF_PROJECT": str(work),
        "REPROOF_MLFLOW": "1",
        "REPROOF_ROOM": str(room),
        "TMPDIR": str(room / "tmp"),
        **room_environment(uri),
        **more,
    }
    done = subprocess.run([python, "train.py"], cwd=work, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"alembic" not in done.stderr  # nothing was laid out or migrated
    decoder = msgspec.json.Decoder(seen.AnyObservation)
    return [decoder.decode(line) for line in (tmp_path / "observations").read_bytes().splitlines()]


@pytest.mark.parametrize("major", [3, pytest.param(2, marks=pytest.mark.slow)])
def test_every_address_leads_into_the_room(
    tmp_path: Path, major: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path / "cache"))
    python = Path(sys.executable) if major == 3 else request.getfixturevalue("mlflow2")
    user = tmp_path / "user"
    user.mkdir()
    lines = run(tmp_path, python, CODE, user, MLFLOW_REGISTRY_URI="http://127.0.0.1:9/set-by-the-user")
    turned = {line.address: line.where for line in lines if isinstance(line, seen.Redirected)}
    assert turned == {
        "http://127.0.0.1:9/set-by-the-user": "${MLFLOW_REGISTRY_URI}",
        "http://127.0.0.1:9": "${PROJECT}/train.py:7",
        "http://127.0.0.1:9/registry": "${PROJECT}/train.py:8",
        f"sqlite://{user}/mlflow.db": "${PROJECT}/train.py:23",
        "databricks-uc": "${PROJECT}/train.py:23",
        "postgresql://db/x": "${PROJECT}/train.py:30",
        "s3://bucket/x": "${PROJECT}/train.py:32",
        "databricks": "${PROJECT}/train.py:36",
        f"file://{user}/mlruns": "${PROJECT}/train.py:36",
        f"{user}/mlruns": "${PROJECT}/train.py:36",
        "uc:http://host": "${PROJECT}/train.py:36",
        f"{user}/other": "${PROJECT}/train.py:38",
    }
    assert list(user.iterdir()) == []
    assert b"hunter2" not in (tmp_path / "observations").read_bytes()
    failed = [line for line in lines if isinstance(line, seen.Failed)]
    assert [line.reason for line in failed if "mlflow" in line.subject] == [
        f"the code reached {user}/inputs, outside of the clean room"
    ]


@pytest.mark.parametrize("major", [3, pytest.param(2, marks=pytest.mark.slow)])
def test_artifacts_land_beside_the_rooms_store(
    tmp_path: Path, major: int, request: pytest.FixtureRequest
) -> None:
    python = Path(sys.executable) if major == 3 else request.getfixturevalue("mlflow2")
    code = """
import mlflow
with mlflow.start_run():
    mlflow.log_text("x", "x.txt")
mlflow.set_experiment("new")
with mlflow.start_run():
    mlflow.log_text("y", "y.txt")
"""
    lines = run(tmp_path, python, code, tmp_path)
    room = tmp_path / "room"
    first, second = (line for line in lines if isinstance(line, seen.RunOpened))
    assert (first.experiment_id, second.experiment) == ("0", "new")
    for opened, name in ((first, "x.txt"), (second, "y.txt")):
        folder = room / "artifacts" / opened.experiment_id / opened.run / "artifacts"
        assert opened.artifact_uri in (str(folder), folder.as_uri())
        assert (folder / name).exists()
    assert sorted(path.name for path in (room / "project").iterdir()) == ["train.py"]


def test_two_rooms_share_nothing(tmp_path: Path) -> None:
    python = Path(sys.executable)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        run(tmp_path / name, python, "import mlflow\nmlflow.log_metric('a', 1)\n", tmp_path)
    digests = []
    for name in ("one", "two"):
        path = tmp_path / name / "room" / "mlflow.db"
        with sqlite3.connect(path) as database:
            assert database.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] != digests[1]


def test_a_run_that_the_environment_names_is_not_looked_for(tmp_path: Path) -> None:
    code = "import mlflow\nwith mlflow.start_run():\n    mlflow.log_metric('a', 1)\n"
    lines = run(tmp_path, Path(sys.executable), code, tmp_path, MLFLOW_RUN_ID="a" * 32)
    (opened,) = (line for line in lines if isinstance(line, seen.RunOpened))
    assert opened.run != "a" * 32
    (turned,) = (line for line in lines if isinstance(line, seen.Redirected))
    assert (turned.address, turned.where) == (f"run {'a' * 32}", "${MLFLOW_RUN_ID}")
