"""The REST interface: against a real server, and against servers that misbehave."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from reproof.errors import TrackingError
from reproof.tracking.address import parse
from reproof.tracking.finish import finish
from reproof.tracking.lookup import artifact_paths, check, find_run, find_runs, read_artifact
from reproof.tracking.values import Access, Finish

NOWHERE = "http://127.0.0.1:9"
RUN = {
    "info": {
        "run_id": "a" * 32,
        "experiment_id": "0",
        "status": "RUNNING",
        "artifact_uri": "mlflow-artifacts:/0/a/artifacts",
    }
}


def reach(uri: str, tmp_path: Path, **environment: str) -> Access:
    return Access(parse(uri, tmp_path), environment, tmp_path)


def wanted(access: Access, **more: object) -> Finish:
    return msgspec.structs.replace(Finish(record="f" * 64, uri=access.address.uri), **more)


@pytest.mark.needs("mlflow")
@pytest.mark.slow
def test_writes_and_reads_a_real_server(server: str, tmp_path: Path) -> None:
    access = reach(server, tmp_path)
    check(access)
    artifacts = {"reproof/record.json": b'{"a":1}', "reproof/deep/\xfc b%.html": b"<p>"}
    many = {f"p{number}": "x" for number in range(150)}
    first = wanted(
        access, experiment="bikes é", run_name="Training", status="FAILED", started=1000, ended=2000,
        parameters={**many, "long": "y" * 7000}, tags={"reproof.seed": "42"}, artifacts=artifacts,
    )  # fmt: skip
    done = finish(first, access)
    assert done.status == "written", done.reason
    run = find_run(access, str(done.run_id)[:8])
    assert run.run_id == done.run_id
    assert (run.name, run.experiment, run.status) == ("Training", "bikes é", "FAILED")
    assert run.parameters == {**many, "long": "y" * 6000}
    assert run.tags == {"mlflow.runName": "Training", "reproof.seed": "42"}
    assert artifact_paths(access, run) == sorted(artifacts)
    assert {path: read_artifact(access, run, path) for path in artifacts} == artifacts
    assert read_artifact(access, run, "absent/x") is None
    again = msgspec.structs.replace(
        first, run_id=done.run_id, status="KILLED", parameters={"p1": "z", "q": "1"}
    )
    assert finish(again, access).status == "written"
    assert find_run(access, str(done.run_id)).status == "FAILED"
    assert find_run(access, str(done.run_id)).parameters["p1"] == "x"
    other = msgspec.structs.replace(again, artifacts={"reproof/record.json": b"other"}, tags={"x": "y"})
    with pytest.raises(TrackingError, match="holds another record"):
        finish(other, access)
    assert read_artifact(access, run, "reproof/record.json") == b'{"a":1}'
    assert "x" not in find_run(access, str(done.run_id)).tags
    second = finish(msgspec.structs.replace(first, artifacts={}), access)
    assert second.experiment_id == done.experiment_id


@pytest.mark.needs("mlflow")
@pytest.mark.slow
def test_unknown_and_ambiguous_runs_of_a_real_server(server: str, tmp_path: Path) -> None:
    access = reach(server, tmp_path)
    ids = [str(finish(wanted(access, status="FINISHED"), access).run_id) for _ in range(17)]
    common = max((first[:1] for first in ids), key=lambda digit: sum(item.startswith(digit) for item in ids))
    with pytest.raises(TrackingError, match=r"is the beginning of \d+ runs") as caught:
        find_run(access, common)
    assert caught.value.hint is not None
    with pytest.raises(TrackingError, match="no run `zz`"):
        find_run(access, "zz")
    assert find_runs(access, "0" * 32) == []
    with pytest.raises(TrackingError, match="has no run 0000"):
        finish(wanted(access, run_id="0" * 32), access)


@pytest.mark.needs("mlflow")
@pytest.mark.slow
def test_a_run_of_the_users_own_mlflow_is_completed(server: str, tmp_path: Path) -> None:
    code = "import mlflow, os; run = mlflow.start_run(); mlflow.log_param('a', 1); print(run.info.run_id, flush=True); os._exit(9)"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": server, "MLFLOW_DISABLE_TELEMETRY": "true"}
    died = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    run_id = died.stdout.split()[-1]
    access = reach(server, tmp_path)
    assert find_run(access, run_id).status == "RUNNING"
    done = finish(wanted(access, run_id=run_id, status="KILLED", parameters={"a": "2", "b": "3"}), access)
    assert done.status == "written", done.reason
    run = find_run(access, run_id)
    assert (run.status, run.parameters) == ("KILLED", {"a": "1", "b": "3"})


def test_an_unreachable_server_is_named(tmp_path: Path, golden) -> None:
    access = reach("http://me:secret@127.0.0.1:9", tmp_path)
    with pytest.raises(TrackingError) as caught:
        check(access)
    golden("tracking-unreachable", caught.value)
    done = finish(wanted(access), access)
    assert done.status == "deferred"
    assert NOWHERE in str(done.reason)
    assert "secret" not in str(done) + str(caught.value.details)


def test_a_host_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        TrackingError, match=r"cannot reach the MLflow server at `http://no-such-host\.invalid`"
    ):
        check(reach("http://no-such-host.invalid", tmp_path))


def test_wrong_credentials_are_named(scripted, tmp_path: Path, golden) -> None:
    script = scripted(anything=[(401, {}, b"You are not authenticated.")])
    access = reach(script.uri, tmp_path, MLFLOW_TRACKING_USERNAME="me", MLFLOW_TRACKING_PASSWORD="wrong")
    with pytest.raises(TrackingError, match=r"refused the credentials \(401\)") as caught:
        check(access)
    caught.value.message = caught.value.message.replace(script.uri, "http://127.0.0.1:PORT")
    golden("tracking-credentials", caught.value)
    done = finish(wanted(access, run_id="a" * 32), access)
    assert done.status == "deferred"
    assert "401" in str(done.reason)
    assert "wrong" not in str(done)


@pytest.mark.parametrize(
    ("userinfo", "environment", "header"),
    [
        ("me:p%40ss@", {}, "Basic " + base64.b64encode(b"me:p@ss").decode()),
        ("", {"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p"}, "Basic dTpw"),
        ("", {"MLFLOW_TRACKING_TOKEN": "t"}, "Bearer t"),
        ("", {}, None),
    ],
)
def test_credentials_are_sent(
    scripted, tmp_path: Path, userinfo: str, environment: dict[str, str], header: str | None
) -> None:
    script = scripted(anything=[(200, {}, {})])
    check(reach(script.uri.replace("://", "://" + userinfo), tmp_path, **environment))
    assert script.requests[0][2].get("Authorization") == header


def test_the_workspace_is_named(scripted, tmp_path: Path) -> None:
    script = scripted(anything=[(200, {}, {})])
    check(reach(script.uri, tmp_path, MLFLOW_WORKSPACE="team"))
    headers = {name.lower(): value for name, value in script.requests[0][2].items()}
    assert headers["x-mlflow-workspace"] == "team"


def test_credentials_do_not_follow_to_another_host(scripted, tmp_path: Path) -> None:
    other = scripted(anything=[(200, {}, {})])
    script = scripted(anything=[(302, {"Location": other.uri + "/api/2.0/mlflow/experiments/search"}, {})])
    with pytest.raises(TrackingError, match="another host"):
        check(reach(script.uri, tmp_path, MLFLOW_TRACKING_TOKEN="t"))
    assert other.requests == []


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[1, 2]", b'"text"', b"\xff\xfe"])
def test_another_kind_of_server_is_said_to_be_one(scripted, tmp_path: Path, body: bytes) -> None:
    script = scripted(anything=[(200, {}, body)])
    with pytest.raises(TrackingError, match="is not an MLflow server"):
        check(reach(script.uri, tmp_path))


def test_a_busy_server_is_asked_again(scripted, tmp_path: Path) -> None:
    script = scripted(anything=[(503, {}, b""), (200, {}, {})])
    check(reach(script.uri, tmp_path))
    assert len(script.requests) == 2


def test_what_may_have_happened_is_not_repeated(scripted, tmp_path: Path) -> None:
    script = scripted(runs_create=[(503, {}, b"")])
    access = reach(script.uri, tmp_path)
    assert finish(wanted(access), access).status == "deferred"
    assert [path for _, path, _ in script.requests] == ["/api/2.0/mlflow/runs/create"]


def test_a_server_that_dies_on_the_way_leaves_the_run_to_go_on_with(scripted, tmp_path: Path) -> None:
    script = scripted(runs_create=[(200, {}, {"run": RUN})], runs_log_batch=[None])
    access = reach(script.uri, tmp_path)
    done = finish(wanted(access, tags={"a": "b"}), access)
    assert (done.status, done.run_id) == ("deferred", "a" * 32)
    assert script.uri in str(done.reason)


def test_an_error_of_the_server_is_passed_on(scripted, tmp_path: Path) -> None:
    error = {"error_code": "INVALID_PARAMETER_VALUE", "message": "names are too long"}
    script = scripted(runs_create=[(200, {}, {"run": RUN})], runs_log_batch=[(400, {}, error)])
    access = reach(script.uri, tmp_path)
    done = finish(wanted(access, tags={"a": "b"}), access)
    assert "names are too long" in str(done.reason)
    assert "INVALID_PARAMETER_VALUE" in str(done.reason)


def test_a_server_without_search_by_prefix_is_read_in_full(scripted, tmp_path: Path) -> None:
    other = {"info": {**RUN["info"], "run_id": "b" * 32}}
    error = {"error_code": "INVALID_PARAMETER_VALUE", "message": "no such comparator"}
    script = scripted(
        experiments_search=[(200, {}, {"experiments": [{"experiment_id": "0", "name": "Default"}]})],
        runs_search=[
            (400, {}, error),
            (200, {}, {"runs": [other], "next_page_token": "2"}),
            (200, {}, {"runs": [RUN]}),
        ],
    )
    run = find_run(reach(script.uri, tmp_path), "aa")
    assert (run.run_id, run.experiment) == ("a" * 32, "Default")


def test_artifacts_on_a_disk_that_we_share_are_written_there(scripted, tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    run = {"info": {**RUN["info"], "artifact_uri": (tmp_path / "mlruns" / "run" / "artifacts").as_uri()}}
    script = scripted(runs_create=[(200, {}, {"run": run})], anything=[(200, {}, {})])
    access = reach(script.uri, tmp_path)
    done = finish(wanted(access, artifacts={"reproof/record.json": b"{}"}), access)
    assert done.status == "written", done.reason
    assert (tmp_path / "mlruns/run/artifacts/reproof/record.json").read_bytes() == b"{}"


@pytest.mark.parametrize(
    "place", ["/no-such-disk/a/b/artifacts", "s3://bucket/a/artifacts", "mlflow-artifacts://other/a"]
)
def test_artifacts_that_only_the_server_reaches_are_deferred(scripted, tmp_path: Path, place: str) -> None:
    run = {"info": {**RUN["info"], "artifact_uri": place}}
    script = scripted(runs_create=[(200, {}, {"run": run})], anything=[(200, {}, {})])
    access = reach(script.uri, tmp_path)
    done = finish(wanted(access, tags={"a": "b"}, artifacts={"reproof/x": b""}), access)
    assert (done.status, done.run_id) == ("deferred", "a" * 32)
    assert done.reason


def test_a_wrong_certificate_file_is_an_error(tmp_path: Path) -> None:
    access = reach("https://127.0.0.1:9", tmp_path, MLFLOW_TRACKING_SERVER_CERT_PATH=str(tmp_path / "absent"))
    with pytest.raises(TrackingError, match="cannot read the certificate"):
        check(access)
    assert finish(wanted(access), access).status == "deferred"
