"""What Arrow reads from buckets by its own clients is told with the version that the store names."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from reproof.model.observation import Stored

START = """
import sys; sys.path += [{theirs!r}]
import pyarrow as pa, pyarrow.dataset as ds, pyarrow.parquet as pq
from pyarrow import fs
from urllib.request import urlopen
options = dict(scheme="http", endpoint_override={host!r}, region="us-east-1", access_key="a", secret_key="secret-canary")
store = fs.S3FileSystem(**options)
uri = "s3://a:secret-canary@bikes/t.parquet?scheme=http&region=us-east-1&endpoint_override={host}"
"""
WAYS = """
assert pq.read_table("bikes/t.parquet", filesystem=store).num_rows == 2
assert pq.ParquetDataset(path_or_paths="bikes/t.parquet", filesystem=store).read().num_rows == 2
assert ds.dataset(source=["t.parquet"], filesystem=fs.SubTreeFileSystem("bikes", store)).to_table().num_rows == 2
fs.copy_files("bikes/t.parquet", "copy.parquet", source_filesystem=store)
"""


class Handler(BaseHTTPRequestHandler):
    """As much of S3 as a client of one object needs; each GET of /change makes another version of it."""

    protocol_version = "HTTP/1.1"
    body = b""
    version = 1

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path == "/change":
            type(self).version += 1
        found = self.path in {"/bikes/t.parquet", "/change"}
        first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        body = self.body[int(first or 0) : int(last or len(self.body)) + 1] if found else b""
        self.send_response(404 if not found else 206 if first else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Wed, 21 Oct 2026 07:28:00 GMT")
        self.send_header("ETag", f'"e{self.version}"')
        self.send_header("x-amz-version-id", f"v{self.version}")
        if first:
            self.send_header("Content-Range", f"bytes {first}-{int(first) + len(body) - 1}/{len(self.body)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def host() -> Iterator[str]:
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2]}), buffer)
    kind = type("Handler", (Handler,), {"body": buffer.getvalue()})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def run(place: Any, host: str, code: str) -> Any:
    theirs = str(Path(pa.__path__[0]).parent)
    told = place.run(START.format(theirs=theirs, host=host) + code, AWS_EC2_METADATA_DISABLED="true")
    assert "Traceback" not in told.stderr, told.stderr
    assert told.status in (
        0,
        -6,
    )  # Arrow's client is sometimes taken down before its threads, without us as well
    assert "secret-canary" not in place.file.read_text()
    return told


@pytest.mark.parametrize(
    "code", [WAYS, "pq.read_table(uri)", "store.open_input_stream('bikes/t.parquet').read()"]
)
def test_what_arrow_reads_is_told_once_with_its_version(place: Any, host: str, code: str) -> None:
    (found,) = run(place, host, code).lines.of(Stored)
    assert (found.scheme, found.bucket, found.key) == ("s3", "bikes", "t.parquet")
    assert (found.version, found.etag, found.whole) == ("v1", "e1", False)
    assert found.endpoint == f"http://{host}"


def test_what_changes_before_the_end_is_told_again(place: Any, host: str) -> None:
    code = f"pq.read_table('bikes/t.parquet', filesystem=store); urlopen('http://{host}/change').read()"
    assert [each.version for each in run(place, host, code).lines.of(Stored)] == ["v1", "v2"]


def test_the_kinds_of_arrow_stay_what_they_were(place: Any, host: str) -> None:
    code = """
import pickle
same = pickle.loads(pickle.dumps(store))
assert isinstance(same, fs.S3FileSystem) and same == store and issubclass(type(same), fs.S3FileSystem)
assert isinstance(fs.FileSystem.from_uri(uri)[0], fs.S3FileSystem)
assert not isinstance(fs.LocalFileSystem(), fs.S3FileSystem)
class Mine(fs.S3FileSystem): pass
assert isinstance(Mine(**options), fs.S3FileSystem) and not isinstance(store, Mine)
pq.write_table(pa.table({"a": [1]}), "local.parquet")
assert pq.read_table(pa.BufferReader(open("local.parquet", "rb").read())).num_rows == 1
assert ds.dataset(pa.table({"a": [1]})).count_rows() == ds.dataset("local.parquet").count_rows() == 1
"""
    told = run(place, host, code)
    assert (told.failures(), list(told.lines.of(Stored))) == ([], [])


def test_a_failure_of_ours_is_told_without_addresses(place: Any, host: str) -> None:
    code = """
try: fs.copy_files("s3://a:secret-canary@bikes/none?scheme=http&nonsense=1", "copy")
except Exception: pass
"""
    ((_, reason),) = run(place, host, code).failures()
    assert reason.startswith("Arrow could not be asked for a version: ")
