"""Objects that a run reads from a real S3 server: versions and ETags recorded, versions pinned by a re-run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from projects import Project, user_environment

pytestmark = [pytest.mark.frameworks, pytest.mark.needs("moto", "boto3", "flask_cors")]

RUN = ("run", "--env-manager", "local", "--", "python", "train.py")
SETTINGS = """[tool.reproof]
network = true
pass-env = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"]
"""
BOTO3 = """
import boto3
client = boto3.client("s3", region_name="us-east-1")
text = client.get_object(Bucket="bikes", Key="data/a b.csv")["Body"].read().decode()
open("result.txt", "w").write(text)
"""
DOWNLOAD = """
import boto3
boto3.resource("s3", region_name="us-east-1").Bucket("bikes").download_file("data/a b.csv", "data.csv")
open("result.txt", "w").write(open("data.csv").read())
"""
S3FS = """
import s3fs
with s3fs.S3FileSystem().open("s3://bikes/data/a b.csv") as file:
    open("result.txt", "w").write(file.read().decode())
"""
STORE = """
import os
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs
endpoint = os.environ["AWS_ENDPOINT_URL"].partition("://")[2]
uri = f"s3://bikes/table.parquet?scheme=http&endpoint_override={endpoint}&region=us-east-1"
store = fs.S3FileSystem(endpoint_override=endpoint, scheme="http", region="us-east-1")
assert isinstance(fs.FileSystem.from_uri(uri)[0], fs.S3FileSystem)
"""
SAVE = 'open("result.txt", "w").write(str(table.to_pydict()))'
ARROW = {
    "read_table": 'table = pq.read_table("bikes/table.parquet", filesystem=store)',
    "address": "table = pq.read_table(uri)",
    "file": 'table = pq.ParquetFile("bikes/table.parquet", filesystem=store).read()',
    "dataset": 'table = ds.dataset("table.parquet", filesystem=fs.SubTreeFileSystem("bikes", store)).to_table()',
    "folder": 'table = ds.dataset("bikes", filesystem=store).to_table()',
    "stream": 'table = pq.read_table(pa.BufferReader(store.open_input_stream("bikes/table.parquet").read()))',
    "opened": 'table = pq.read_table(store.open_input_file("bikes/table.parquet"))',
    "copied": 'os.mkdir("data"); fs.copy_files("bikes", "data", store); table = pq.read_table("data/table.parquet")',
    "pandas": 'import pandas; table = pa.table(pandas.read_parquet(uri, engine="pyarrow"))',
}
CANARIES = ("access-canary", "secret-canary")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(server: str, tmp_path: Path) -> Iterator[Any]:
    """A client of an empty bucket, and a project whose variables lead to its server."""
    import boto3

    secrets = dict(zip(("aws_access_key_id", "aws_secret_access_key"), CANARIES, strict=True))
    client = boto3.client("s3", region_name="us-east-1", endpoint_url=server, **secrets)
    client.create_bucket(Bucket="bikes")
    (tmp_path / "home").mkdir()
    project = Project(tmp_path / "project", user_environment(tmp_path / "home"))
    project.folder.mkdir()
    project.write("pyproject.toml", SETTINGS)
    project.env.update(
        AWS_ACCESS_KEY_ID=CANARIES[0], AWS_SECRET_ACCESS_KEY=CANARIES[1], AWS_ENDPOINT_URL=server
    )
    yield client, project
    for each in client.list_object_versions(Bucket="bikes").get("Versions", []):
        client.delete_object(Bucket="bikes", Key=each["Key"], VersionId=each["VersionId"])
    client.delete_bucket(Bucket="bikes")


def versioned(client: Any) -> None:
    client.put_bucket_versioning(Bucket="bikes", VersioningConfiguration={"Status": "Enabled"})


def put(client: Any, body: bytes) -> Any:
    return client.put_object(Bucket="bikes", Key="data/a b.csv", Body=body)


def run(project: Project, code: str) -> dict[str, Any]:
    project.write("train.py", code)
    project.commit()
    project.reproof(*RUN, expect=0)
    everything = b"".join(
        path.read_bytes() for path in (project.folder / ".reproof").rglob("*") if path.is_file()
    )
    assert not any(canary.encode() in everything for canary in CANARIES)
    return {each["name"]: each for each in project.record()["materials"] if "://" in each["name"]}


def conditions(verdict: Any) -> dict[str, str]:
    return {each["name"]: each["value"] for each in verdict["conditions"]}


@pytest.mark.parametrize(
    "code", [BOTO3, pytest.param(S3FS, marks=pytest.mark.needs("s3fs"))], ids=["boto3", "s3fs"]
)
def test_a_recorded_version_is_read_again(bucket: Any, code: str) -> None:
    client, project = bucket
    versioned(client)
    stored = put(client, b"one")
    (found,) = run(project, code).values()
    assert found["name"] == "s3://bikes/data/a b.csv"
    assert (found["version"], found["etag"]) == (stored["VersionId"], stored["ETag"].strip('"'))
    assert found["digests"] == {"sha256": hashlib.sha256(b"one").hexdigest()}
    assert (found["origin"], found["size"]) == ("external", 3)
    assert found["source"] == project.env["AWS_ENDPOINT_URL"]
    put(client, b"two")
    verdict = project.verify(expect=0)
    assert verdict["outcome"] == 0
    assert conditions(verdict)["data of the web"] == "the recorded version"


@pytest.mark.parametrize(
    "code", [BOTO3, pytest.param(S3FS, marks=pytest.mark.needs("s3fs"))], ids=["boto3", "s3fs"]
)
def test_a_recorded_version_that_is_gone_is_unknown(bucket: Any, code: str) -> None:
    client, project = bucket
    versioned(client)
    stored = put(client, b"one")
    run(project, code + 'open("result.txt", "w").write("constant")')
    put(client, b"two")
    client.delete_object(Bucket="bikes", Key="data/a b.csv", VersionId=stored["VersionId"])
    assert "is no longer what was recorded: version" in str(project.verify(expect=3)["differences"])


def test_of_an_unversioned_bucket_the_etag_decides(bucket: Any) -> None:
    client, project = bucket
    put(client, b"one")
    (found,) = run(project, DOWNLOAD).values()
    assert "version" not in found
    assert found["note"] is None or "parts" not in found["note"]
    verdict = project.verify(expect=0)
    assert (verdict["word"], conditions(verdict)["data of the web"]) == ("repeated", "the same")
    put(client, b"two")
    said = project.reproof("verify").out
    assert "is no longer what was recorded: ETag" in said
    assert "its bucket kept no version to ask for" in said


def test_another_content_with_the_same_result_is_not_reproduced(bucket: Any) -> None:
    client, project = bucket
    put(client, b"one")
    run(project, BOTO3.replace("write(text)", "write('constant')"))
    put(client, b"two")
    assert project.verify(expect=3)["word"] == "inconclusive"


def test_an_object_that_changes_under_the_run_is_told(bucket: Any) -> None:
    client, project = bucket
    put(client, b"one")
    change = 'client.put_object(Bucket="bikes", Key="data/a b.csv", Body=b"two")\n'
    again = BOTO3 + change + BOTO3.partition("client = ")[2].partition("\n")[2]
    (found,) = run(project, again).values()
    assert found["digests"]["sha256"] == hashlib.sha256(b"one").hexdigest()
    (omission,) = [each for each in project.record()["omissions"] if each["subject"] == found["name"]]
    assert omission["reason"].startswith("input changed during the run: ETag")


@pytest.mark.needs("bwrap")
def test_without_network_the_run_says_what_it_lacks(bucket: Any) -> None:
    client, project = bucket
    put(client, b"one")
    project.write("pyproject.toml", SETTINGS.replace("network = true\n", ""))
    run(
        project,
        BOTO3.replace('"us-east-1"', '"us-east-1", config=Config(retries={"total_max_attempts": 1})').replace(
            "import boto3", "import boto3\nfrom botocore.config import Config"
        ),
    )
    verdict = project.verify("--isolation", "bubblewrap", expect=1)
    assert conditions(verdict)["data of the web"] == "not read again"


def put_table(client: Any, *values: int) -> Any:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": values}), buffer)
    return client.put_object(Bucket="bikes", Key="table.parquet", Body=buffer.getvalue())


@pytest.mark.needs("pyarrow")
@pytest.mark.parametrize("code", ARROW.values(), ids=ARROW.keys())
def test_of_what_arrow_reads_by_itself_the_version_is_known(bucket: Any, code: str) -> None:
    client, project = bucket
    versioned(client)
    stored = put_table(client, 1, 2)
    (found,) = run(project, STORE + code + "\n" + SAVE).values()
    assert found["name"] == "s3://bikes/table.parquet"
    assert (found["version"], found["etag"]) == (stored["VersionId"], stored["ETag"].strip('"'))
    assert "digests" not in found
    assert found["source"] == project.env["AWS_ENDPOINT_URL"]
    assert not project.record().get("omissions")


@pytest.mark.needs("pyarrow")
def test_arrow_reads_the_newest_version_and_nobody_calls_it_the_recorded_one(bucket: Any) -> None:
    client, project = bucket
    versioned(client)
    put_table(client, 1, 2)
    run(project, STORE + ARROW["read_table"] + "\nopen('result.txt', 'w').write('constant')")
    verdict = project.verify(expect=0)
    assert conditions(verdict)["data of the web"] == "the recorded version"
    put_table(client, 3)
    verdict = project.verify(expect=3)
    assert "is no longer what was recorded: version" in str(verdict["differences"])


@pytest.mark.needs("pyarrow")
def test_of_an_unversioned_object_arrow_tells_the_etag(bucket: Any) -> None:
    client, project = bucket
    put_table(client, 1, 2)
    (found,) = run(project, STORE + ARROW["address"] + "\n" + SAVE).values()
    assert "version" not in found
    verdict = project.verify(expect=0)
    assert (verdict["word"], conditions(verdict)["data of the web"]) == ("repeated", "the same")


@pytest.mark.needs("pyarrow")
def test_an_object_that_changes_behind_arrow_is_told(bucket: Any) -> None:
    client, project = bucket
    put_table(client, 1, 2)
    change = """
data = open("result.txt", "rb").read()
with store.open_output_stream("bikes/table.parquet") as file:
    file.write(data)
"""
    (found,) = run(project, STORE + ARROW["read_table"] + "\n" + SAVE + change).values()
    (omission,) = [each for each in project.record()["omissions"] if each["subject"] == found["name"]]
    assert omission["reason"].startswith("input changed during the run: ETag")
