"""What the child tells about MLflow, with the real MLflow of both generations and the real decoder."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof import injected
from reproof.model import observation as seen

pytestmark = pytest.mark.needs("mlflow")

Lines = list[seen.Observation]
Child = Callable[..., Lines]

LOGS = """
import os, struct, sys
import mlflow
import numpy as np
from mlflow.entities import Metric, Param, RunTag

odd = struct.unpack(">d", bytes.fromhex("7ff8000000000001"))[0]
with mlflow.start_run(tags={"own": "1"}, description="a note") as run:
    mlflow.log_metric("single", np.float32(0.1), step=3)
    mlflow.log_metrics({"inf": float("inf"), "zero": -0.0, "nan": float("nan")}, step=1)
    mlflow.log_metric("odd", odd)
    mlflow.log_metric("later", 5, synchronous=False)
    mlflow.log_param("long", "x" * 7000)
    mlflow.log_params({"list": [1, 2]})
    mlflow.set_tags({"two": 2, "mlflow.source.name": "hidden"})
    client = mlflow.MlflowClient()
    client.log_batch(run.info.run_id, [Metric("b", 1.5, 0, 7)], [Param("bp", "v")], [RunTag("bt", "v")])
    mlflow.log_text("hi", "d/t.txt")
    os.makedirs("tree/sub")
    open("tree/b", "w").write("2")
    open("tree/sub/a", "w").write("1")
    mlflow.log_artifacts("tree")
    mlflow.log_artifact("tree", "up")
    mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), "image.png")
    mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), key="k", step=1)
    mlflow.log_table({"a": [1]}, "table.json")
    mlflow.log_table({"a": [2]}, "table.json")
    data = mlflow.data.from_numpy(np.arange(3), source="https://me:hunter2@host/x.csv?token=hunter2", name="ds")
    mlflow.log_input(data, context="training")
    with mlflow.start_run(nested=True):
        mlflow.log_metric("inner", 1)
    try:
        mlflow.log_param("long", "other")
    except mlflow.MlflowException:
        pass
    mlflow.flush_async_logging()
with mlflow.start_run(run_id=run.info.run_id):
    mlflow.log_metric("again", 2)
"""

MODEL = """
import mlflow
from mlflow.models import infer_signature, set_signature

class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input

with mlflow.start_run():
    mlflow.log_metric("m", float("inf"))
    mlflow.log_metric("n", 2.0)
    place = {"name": "model"} if mlflow.__version__ >= "3" else {"artifact_path": "model"}
    info = mlflow.pyfunc.log_model(python_model=Model(), pip_requirements=[], **place)
    set_signature(info.model_uri, infer_signature([1.0], [1.0]))
"""


@pytest.fixture
def child(tmp_path: Path) -> Child:
    """Run code in a process that is watched, and decode what it told; a failure of it is ours."""
    boot = injected.sitecustomize_folder(tmp_path / "boot")

    def run(code: str, *, python: Path = Path(sys.executable), status: int = 0, **more: str) -> Lines:
        folder = tmp_path / "work"
        folder.mkdir(exist_ok=True)
        script = folder / "train.py"
        script.write_text(code)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("REPROOF_")},
            "PYTHONPATH": str(boot),
            "REPROOF_OBSERVATIONS": str(tmp_path / "observations"),
            "REPROOF_ARTIFACTS": str(tmp_path / "artifacts"),
            "REPROOF_PROJECT": str(folder),
            "REPROOF_MLFLOW": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "MLFLOW_TRACKING_URI": (folder / "mlruns").as_uri(),
            **more,
        }
        done = subprocess.run([python, script], cwd=folder, env=environment, capture_output=True, check=False)
        assert done.returncode == status, done.stderr.decode()
        return read(tmp_path / "observations")

    return run


def read(path: Path) -> Lines:
    decoder = msgspec.json.Decoder(seen.AnyObservation)
    return [decoder.decode(line) for line in path.read_bytes().splitlines()]


def of(lines: Lines, kind: type[seen.Observation]) -> list:
    return [line for line in lines if isinstance(line, kind)]


def failures(lines: Lines) -> list[str]:
    return [f"{line.subject}: {line.reason}" for line in of(lines, seen.Failed) if "mlflow" in line.subject]


def check_values(lines: Lines) -> None:
    primary = next(line for line in of(lines, seen.RunOpened) if line.primary)
    metrics = {line.key: (line.value, line.step) for line in of(lines, seen.MetricLogged)}
    assert metrics == {
        "single": (float(struct.unpack("f", struct.pack("f", 0.1))[0]).hex(), 3),
        "inf": ("inf", 1),
        "zero": ("-0x0.0p+0", 1),
        "nan": ("nan", 1),
        "odd": ("nan:7ff8000000000001", 0),
        "later": ((5.0).hex(), 0),
        "b": ((1.5).hex(), 7),
        "inner": ((1.0).hex(), 0),
        "again": ((2.0).hex(), 0),
    }
    assert len(of(lines, seen.MetricLogged)) == len(metrics)
    parameters = [(line.key, line.value) for line in of(lines, seen.ParameterLogged)]
    assert parameters == [("long", "x" * 7000), ("list", "[1, 2]"), ("bp", "v")]
    tags = [(line.key, line.value) for line in of(lines, seen.TagSet)]
    assert tags == [("own", "1"), ("mlflow.note.content", "a note"), ("two", "2"), ("bt", "v")]
    (dataset,) = of(lines, seen.DatasetLogged)
    assert (dataset.name, dataset.source, dataset.context) == ("ds", "http https://host/x.csv", "training")
    assert dataset.run == primary.run


def check_runs(lines: Lines, uri: str) -> None:
    first, second = of(lines, seen.RunOpened)
    assert (first.primary, first.resumed, first.name, first.experiment) == (True, False, None, "bikes")
    assert (second.primary, second.parent, second.uri) == (False, first.run, uri)
    closed = [(line.run, line.status) for line in of(lines, seen.RunClosed)]
    assert closed == [(second.run, "FINISHED"), (first.run, "FINISHED"), (first.run, "FINISHED")]


def check_artifacts(lines: Lines, kept: Path, stored: Path) -> None:
    logged = {line.path: line for line in of(lines, seen.ArtifactLogged)}
    fixed = {path for path in logged if not path.startswith("images/")}
    assert fixed == {"d/t.txt", "b", "sub/a", "up/tree/b", "up/tree/sub/a", "image.png", "table.json"}
    assert len(logged) == len(fixed) + 2  # the picture with a step, and its small form
    for path, line in logged.items():
        content = (stored / path).read_bytes()
        assert (kept / line.copy).read_bytes() == content
        assert (line.size, line.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert [line.path for line in of(lines, seen.ArtifactLogged)].count("table.json") == 2


@pytest.mark.parametrize("major", [3, pytest.param(2, marks=pytest.mark.slow)])
def test_all_that_is_logged_is_told_exactly(
    child: Child, tmp_path: Path, major: int, request: pytest.FixtureRequest
) -> None:
    python = Path(sys.executable) if major == 3 else request.getfixturevalue("mlflow2")
    named = {"REPROOF_RUN_NAME": "Training", "MLFLOW_EXPERIMENT_NAME": "bikes"}
    tags = {"REPROOF_RUN_TAGS": '{"reproof.record": "abc", "mlflow.source.name": "the project"}'}
    lines = child(LOGS, python=python, **named, **tags)
    assert failures(lines) == []
    (version,) = of(lines, seen.Versioned)
    assert version.version.startswith(f"{major}.")
    check_values(lines)
    check_runs(lines, version.uri)
    first = of(lines, seen.RunOpened)[0]
    stored = tmp_path / "work" / "mlruns" / first.experiment_id / first.run
    check_artifacts(lines, tmp_path / "artifacts", stored / "artifacts")
    assert (stored / "tags" / "mlflow.runName").read_text() == "Training"
    assert (stored / "tags" / "mlflow.source.name").read_text() == "hidden"  # the code has the last word
    assert (stored / "tags" / "reproof.record").read_text() == "abc"


@pytest.mark.parametrize("major", [3, pytest.param(2, marks=pytest.mark.slow)])
def test_models_are_kept_and_their_metrics_not_told_twice(
    child: Child, tmp_path: Path, major: int, request: pytest.FixtureRequest
) -> None:
    python = Path(sys.executable) if major == 3 else request.getfixturevalue("mlflow2")
    lines = child(MODEL, python=python)
    assert failures(lines) == []
    (run,) = of(lines, seen.RunOpened)
    assert [(line.key, line.value) for line in of(lines, seen.MetricLogged)] == [
        ("m", "inf"),
        ("n", (2.0).hex()),
    ]
    models = of(lines, seen.ModelCreated)
    assert [(line.name, line.run) for line in models] == ([("model", run.run)] if major == 3 else [])
    owner = (None, run.run) if major == 2 else (models[0].model, "")
    files = of(lines, seen.ArtifactLogged)
    assert {(line.model, line.run) for line in files} == {owner}
    descriptions = [line for line in files if line.path == ("MLmodel" if major == 3 else "model/MLmodel")]
    assert len(descriptions) == 2  # set_signature wrote it again
    assert b"signature:" in (tmp_path / "artifacts" / descriptions[1].copy).read_bytes()
    assert b"signature:" not in (tmp_path / "artifacts" / descriptions[0].copy).read_bytes()


@pytest.mark.slow
@pytest.mark.needs("sklearn")
def test_autologging_is_seen_with_whole_parameters(child: Child) -> None:
    lines = child("""
import mlflow
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline

class Wide(LinearRegression):
    def __init__(self, wide="w" * 9000):
        super().__init__()
        self.wide = wide

mlflow.sklearn.autolog(log_models=False)
Wide().fit([[0.0], [1.0]], [0.0, 1.0])
""")
    assert failures(lines) == []
    parameters = {line.key: line.value for line in of(lines, seen.ParameterLogged)}
    assert parameters["wide"] == "w" * 9000
    assert {line.key for line in of(lines, seen.MetricLogged)} >= {"training_mean_squared_error"}
    assert [line.status for line in of(lines, seen.RunClosed)] == ["FINISHED"]


def test_only_the_first_run_of_all_processes_is_ours(child: Child) -> None:
    code = """
import subprocess, sys
if len(sys.argv) == 1:
    subprocess.run([sys.executable, __file__, "child"], check=True)
import mlflow
with mlflow.start_run():
    mlflow.log_metric("who", len(sys.argv))
"""
    lines = child(code, REPROOF_RUN_NAME="Training")
    first, second = of(lines, seen.RunOpened)
    assert (first.primary, second.primary) == (True, False)
    assert first.p != second.p
    assert [line.value for line in of(lines, seen.MetricLogged)] == [(2.0).hex(), (1.0).hex()]


def test_a_run_of_the_caller_is_resumed(child: Child, tmp_path: Path) -> None:
    code = "import mlflow\nwith mlflow.start_run() as run:\n    mlflow.log_metric('a', 1)\n"
    before = of(child(code), seen.RunOpened)[0]
    (tmp_path / "observations").unlink()
    (tmp_path / "primary-run").unlink()
    lines = child(code, MLFLOW_RUN_ID=before.run)
    (resumed,) = of(lines, seen.RunOpened)
    assert (resumed.run, resumed.resumed, resumed.primary) == (before.run, True, True)


def test_a_run_that_another_process_opened_is_known_before_its_metrics(child: Child) -> None:
    code = """
import subprocess, sys
import mlflow
if len(sys.argv) == 1:
    with mlflow.start_run() as run:
        subprocess.run([sys.executable, __file__, run.info.run_id], check=True)
else:
    mlflow.MlflowClient().log_metric(sys.argv[1], "deep", 1)
"""
    lines = child(code)
    first, second = of(lines, seen.RunOpened)
    assert (second.run, second.resumed, second.primary) == (first.run, True, False)
    assert lines.index(second) < lines.index(of(lines, seen.MetricLogged)[0])


def test_large_files_are_digested_but_not_kept(child: Child) -> None:
    code = """
import mlflow
open("big", "w").write("x" * 11)
open("small", "w").write("x" * 10)
with mlflow.start_run():
    mlflow.log_artifact("big")
    mlflow.log_artifact("small")
"""
    lines = child(code, REPROOF_ARTIFACT_LIMIT="10")
    big, small = of(lines, seen.ArtifactLogged)
    assert (big.copy, big.size, big.sha256) == ("", 11, hashlib.sha256(b"x" * 11).hexdigest())
    assert small.copy.endswith("/small")


def test_what_cannot_be_kept_is_said_and_harms_nobody(child: Child, tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("in the way of the folder")
    lines = child("import mlflow\nwith mlflow.start_run():\n    mlflow.log_text('x', 'a.txt')\n")
    (artifact,) = of(lines, seen.ArtifactLogged)
    assert (artifact.copy, artifact.size) == ("", 1)
    assert any("a.txt is not kept" in line for line in failures(lines))


def test_odd_names_and_links_among_artifacts(child: Child) -> None:
    code = """
import os
import mlflow
os.makedirs("tree/real")
open("tree/real/f", "w").write("1")
open("tree/sp ace \\u00e9.txt", "w").write("2")
os.symlink("real/f", "tree/link")
os.symlink("real", "tree/folder")
with mlflow.start_run():
    mlflow.log_artifacts("tree")
"""
    lines = child(code)
    assert [line.path for line in of(lines, seen.ArtifactLogged)] == ["link", "sp ace é.txt", "real/f"]
    assert failures(lines) == ["mlflow artifact: the folder folder is a link; its content is not noted"]


def test_wrong_calls_raise_as_ever_and_are_not_told(child: Child) -> None:
    code = """
import mlflow
client = mlflow.MlflowClient()
def refused(call, kind=mlflow.MlflowException):
    try:
        call()
    except kind:
        return
    raise SystemExit("was not refused")
with mlflow.start_run() as run:
    refused(lambda: client.log_metric(run.info.run_id, "a", "text"))
    refused(lambda: client.log_metric(run.info.run_id), TypeError)
    refused(lambda: client.log_metric("0" * 32, "a", 1))
    refused(lambda: mlflow.log_artifact("absent"), (OSError, mlflow.MlflowException))
"""
    lines = child(code)
    assert of(lines, seen.MetricLogged) == []
    assert of(lines, seen.ArtifactLogged) == []
    assert failures(lines) == []


class _Dying(BaseHTTPRequestHandler):
    """A tracking server that makes an experiment and a run, and then is gone."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        run = {
            "info": {
                "run_id": "a" * 32,
                "experiment_id": "0",
                "artifact_uri": "mlflow-artifacts:/0/a",
                "status": "RUNNING",
            }
        }
        known = {
            "runs/create": {"run": {**run, "data": {}}},
            "experiments/get": {"experiment": {"experiment_id": "0", "name": "Default"}},
        }
        name = next((key for key in known if self.path.partition("?")[0].endswith(key)), None)
        if name is None:
            self.connection.close()
            return
        body = msgspec.json.encode(known[name])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def dying() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Dying) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_metrics_are_told_even_when_the_server_died(child: Child, dying: str) -> None:
    code = """
import mlflow
client = mlflow.MlflowClient()
run = client.create_run("0")
try:
    client.log_metric(run.info.run_id, "a", 0.5)
except Exception:
    print("lost")
"""
    lines = child(code, MLFLOW_TRACKING_URI=dying, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert [line.value for line in of(lines, seen.MetricLogged)] == [(0.5).hex()]
    assert any(line.startswith("mlflow store: log_metric:") for line in failures(lines))


def test_a_server_that_is_not_there_leaves_the_next_run_to_be_ours(child: Child, tmp_path: Path) -> None:
    code = """
import mlflow
try:
    mlflow.MlflowClient("http://user:hunter2@127.0.0.1:9").create_run("0")
except Exception:
    pass
with mlflow.start_run():
    pass
"""
    lines = child(code, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    (run,) = of(lines, seen.RunOpened)
    assert run.primary
    assert any("create_run" in line for line in failures(lines))
    assert b"hunter2" not in (tmp_path / "observations").read_bytes()


def test_nothing_is_written_without_a_run_of_ours(tmp_path: Path) -> None:
    boot = injected.sitecustomize_folder(tmp_path / "boot")
    code = "import mlflow; assert not hasattr(mlflow, '_reproof_watched')"
    environment = {**os.environ, "PYTHONPATH": str(boot)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, cwd=tmp_path)


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The agent's module in this process, for what needs many values."""
    place = injected.sitecustomize_folder(tmp_path_factory.mktemp("agent") / "boot")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPROOF_OBSERVATIONS", str(place / "observations"))
        patch.syspath_prepend(str(place))
        import _reproof_mlflow_notes

        yield _reproof_mlflow_notes
    for name in [name for name in sys.modules if name.startswith("_reproof_")]:
        del sys.modules[name]


@given(st.floats(allow_nan=False))
def test_numbers_survive_bit_for_bit(notes: ModuleType, number: float) -> None:
    assert struct.pack(">d", float.fromhex(notes.exact(number))) == struct.pack(">d", number)


@given(st.integers(1, 2**51 - 1), st.booleans())
def test_odd_nans_keep_their_bits(notes: ModuleType, payload: int, negative: bool) -> None:
    bits = struct.pack(">Q", (0xFFF8 if negative else 0x7FF8) << 48 | payload)
    assert notes.exact(struct.unpack(">d", bits)[0]) == f"nan:{bits.hex()}"


@pytest.mark.parametrize(
    ("given_address", "shown"),
    [
        ("http://me:secret@host:1/x", "http://host:1/x"),
        ("postgresql+psycopg2://me@host/db", "postgresql+psycopg2://host/db"),
        ("sqlite:///a@b.db", "sqlite:///a@b.db"),
        ("databricks://profile", "databricks://profile"),
    ],
)
def test_addresses_are_told_without_secrets(notes: ModuleType, given_address: str, shown: str) -> None:
    assert notes.without_secrets(given_address) == shown
