"""What addresses of models stand for in the stores of MLflow 2 and 3, as MLflow itself made them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reproof.errors import TrackingError
from reproof.tracking.address import parse
from reproof.tracking.registry import find_model, read_files
from reproof.tracking.values import Access

pytestmark = pytest.mark.needs("mlflow")

#: Four versions of one model: 1 is the champion, 2 and 3 in production, 4 deleted; with MLflow 3 a logged model besides.
MAKE = """
import sys, warnings
warnings.simplefilter("ignore")
import mlflow
from pathlib import Path
folder = Path(sys.argv[1])
client = mlflow.MlflowClient()
run = client.create_run("0").info.run_id
client.create_registered_model("wine")
for number in "1234":
    (folder / number).mkdir()
    (folder / number / "model.pkl").write_text(number)
    client.create_model_version("wine", str(folder / number), run)
client.set_registered_model_alias("wine", "champion", "1")
for number in "23":
    client.transition_model_version_stage("wine", number, "Production")
client.delete_model_version("wine", "4")
logged = mlflow.create_external_model(name="m", source_run_id=run).model_id if hasattr(mlflow, "create_external_model") else ""
print("made", run, logged)
"""


def make(python: Path, folder: Path, uri: str) -> tuple[Access, str, str]:
    """A store with models: how to reach it, the run that they are of, and a logged model where MLflow has such."""
    folder.mkdir()
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }
    done = subprocess.run(
        [python, "-c", MAKE, folder], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    _, run, logged = next(line for line in done.stdout.splitlines() if line.startswith("made ")).split(" ")
    return Access(parse(uri, folder), environment, folder), run, logged


@pytest.fixture(params=["mlflow2-files", "mlflow3-files", "mlflow3-sqlite"])
def models(request: pytest.FixtureRequest, mlflow2: Path, tmp_path: Path) -> tuple[Access, str, str]:
    python = mlflow2 if request.param.startswith("mlflow2") else Path(sys.executable)
    uri = (
        "sqlite:///" + str(tmp_path / "s/mlflow.db")
        if request.param.endswith("sqlite")
        else str(tmp_path / "s/mlruns")
    )
    return make(python, tmp_path / "s", uri)


def test_versions_aliases_and_stages(models: tuple[Access, str, str]) -> None:
    access, run, logged = models
    for name, version in {
        "@champion": "1",
        "/2": "2",
        "/latest": "3",
        "/Production": "3",
        "/none": "1",
    }.items():
        found = find_model(access, f"models:/wine{name}")
        assert (found.version, found.run_id) == (version, run)
        assert [(path, Path(str(file)).read_text()) for path, file in read_files(access, found)] == [
            ("model.pkl", version)
        ]
    for name in ("wine@nobody", "wine/4", "wine/7", "wine/Staging", "other/1", "m-0"):
        with pytest.raises(TrackingError, match=f"no model `models:/{name}`"):
            find_model(access, f"models:/{name}")
    if logged:
        assert find_model(access, f"models:/{logged}").run_id == run


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlruns/models/wine/version-1").mkdir(parents=True)
    (tmp_path / "mlruns/models/wine/meta.yaml").write_text("name: wine\n")
    (tmp_path / "mlruns/models/wine/version-1/meta.yaml").write_text("- 1\n")
    access = Access(parse(str(tmp_path / "mlruns"), tmp_path), {}, tmp_path)
    with pytest.raises(TrackingError, match=r"version-1/meta\.yaml` is damaged"):
        find_model(access, "models:/wine/1")
