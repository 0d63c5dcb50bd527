"""What programs read from addresses of the web is told, with the digest of what came."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from reproof.model.observation import Fetched, Stored

BODY = b"a,b\n" + b"1,2\n" * 5_000


class Handler(BaseHTTPRequestHandler):
    """Answers in every way that HTTP has."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].strip("/")
        if "/storage/v1/" in self.path or name.startswith("account/"):
            self._send_object()
        elif name == "moved":
            self.send_response(302)
            self.send_header("Location", "/plain?signature=s3cr3t-of-today")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif name == "gone":
            self.send_error(404)
        elif name == "part":
            self.send_response(206)
            self.send_header("Content-Range", "bytes 4-7/20004")
            self._send(BODY[4:8])
        elif name == "chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(BODY), 7_000):
                piece = BODY[start : start + 7_000]
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
        elif name == "endless":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(BODY)
            self.close_connection = True
        elif name == "gzip":
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self._send(gzip.compress(BODY, mtime=0))
        else:
            self.send_response(200)
            self._send(b"" if name == "empty" else BODY)

    def _send_object(self) -> None:
        """Of Azure, or of Google: there generation 7 is the newest, and 5 is kept."""
        values = parse_qs(urlsplit(self.path).query)
        generation = values.get("generation", ["7"])[0]
        if generation not in {"5", "7"}:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("ETag", f'"e{generation}"')
        if "/storage/v1/" not in self.path:
            self.send_header("x-ms-blob-type", "BlockBlob")
        elif "alt" in values:
            self.send_header("X-Goog-Generation", generation)
        self._send(b"object")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self._send(b"answer")

    def _send(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # some leave early
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def reader(place: Any, address: str) -> Callable[[str], list[Fetched]]:
    """Runs code in which `base` is the address; what it told of the web."""

    def run(code: str) -> list[Fetched]:
        told = place.run(f"base = {address!r}\n{code}")
        assert told.status == 0, told.stderr
        assert told.failures() == []
        return list(told.lines.of(Fetched))

    return run


@pytest.fixture
def read(some_place: Any, address: str) -> Callable[[str], list[Fetched]]:
    return reader(some_place, address)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


URLLIB = "from urllib.request import urlopen\n"
WAYS = {
    "at once": "urlopen(base + '/{name}').read()",
    "with": "with urlopen(base + '/{name}') as f: f.read()",
    "pieces": "f = urlopen(base + '/{name}')\nwhile f.read(1000): pass",
    "lines": "list(urlopen(base + '/{name}'))",
    "read1": "f = urlopen(base + '/{name}')\nwhile f.read1(1000): pass",
    "into": "f = urlopen(base + '/{name}')\nb = bytearray(3000)\nwhile f.readinto(b): pass",
    "text": "import io\nio.TextIOWrapper(urlopen(base + '/{name}')).read()",
    "buffered": "import io\nio.BufferedReader(urlopen(base + '/{name}')).read()",
    "saved": "from urllib.request import urlretrieve\nurlretrieve(base + '/{name}', 'saved.csv')",
}


@pytest.mark.parametrize("name", ["plain", "chunked", "endless"])
def test_every_way_to_read_is_digested(read: Callable[[str], list[Fetched]], name: str) -> None:
    code = URLLIB + "\n".join(way.format(name=name) for way in WAYS.values())
    found = read(code)
    assert len(found) == len(WAYS)
    assert {(each.sha256, each.size, each.whole) for each in found} == {(sha256(BODY), len(BODY), True)}
    assert found[0].url.endswith(f"/{name}")
    assert found[0].where == "${PROJECT}/main.py:3"


def test_addresses_are_those_that_were_asked_for(read: Callable[[str], list[Fetched]], address: str) -> None:
    (found,) = read(URLLIB + "urlopen(base + '/moved').read()")
    assert (found.url, found.sha256) == (f"{address}/moved", sha256(BODY))
    (found,) = read(URLLIB + "urlopen(base + '/plain?year=2024#head').read()")
    assert found.url == f"{address}/plain?year=2024"


def test_what_was_not_read_to_its_end_says_so(read: Callable[[str], list[Fetched]]) -> None:
    for code in ("urlopen(base + '/plain').read(10)", "f = urlopen(base + '/plain')\nf.read(10)\nf.close()"):
        (found,) = read(URLLIB + code)
        assert (found.whole, found.size) == (False, 10)
    (found,) = read(URLLIB + "f = urlopen(base + '/plain')\nf.read(20004)")
    assert found.whole
    (found,) = read(URLLIB + "urlopen(base + '/part').read()")
    assert (found.part, found.sha256) == ("bytes 4-7/20004", sha256(BODY[4:8]))


def test_what_is_no_reading_is_not_told(read: Callable[[str], list[Fetched]]) -> None:
    assert (
        read(
            URLLIB
            + "import urllib.error\nurlopen(base + '/plain', data=b'x').read()\n"
            + "try: urlopen(base + '/gone')\nexcept urllib.error.HTTPError as e: e.read()"
        )
        == []
    )
    (found,) = read(URLLIB + "urlopen(base + '/empty').read()")
    assert (found.whole, found.size) == (True, 0)


def test_the_program_sees_no_difference(read: Callable[[str], list[Fetched]]) -> None:
    code = URLLIB + (
        "import http.client, inspect\n"
        "f = urlopen(base + '/plain')\n"
        "assert f.read1.__name__ == 'read1' and f.length == 20004, f.length\n"
        "assert list(inspect.signature(http.client.HTTPResponse.read).parameters) == ['self', 'amt']\n"
        "assert f.read(4) == b'a,b\\n' and f.readline() == b'1,2\\n' and f.peek(1)[:1] == b'1'\n"
        "assert len(f.read()) == 19996 and f.read() == b'' and f.isclosed()\n"
    )
    (found,) = read(code)
    assert found.sha256 == sha256(BODY)


def test_requests_and_what_mlflow_asks_for(place: Any, address: str, tmp_path: Path) -> None:
    import requests

    read = reader(place, address)
    theirs = Path(requests.__path__[0]).parent
    ask = f"import sys; sys.path += [{str(tmp_path / 'site-packages')!r}, {str(theirs)!r}]\nimport requests\n"
    code = "for name in ('plain', 'chunked', 'moved'):\n    assert len(requests.get(f'{base}/{name}').content) == 20004\n"
    assert {(each.sha256, each.whole) for each in read(ask + code)} == {(sha256(BODY), True)}
    (found,) = read(ask + "assert len(requests.get(f'{base}/gzip').content) == 20004")
    assert found.sha256 == sha256(gzip.compress(BODY, mtime=0))  # what came over the connection
    (found,) = read(ask + "next(requests.get(base + '/chunked', stream=True).iter_content(10))")
    assert not found.whole
    for name in ("", "utils", "data"):
        package = tmp_path / "site-packages/mlflow" / name
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "ask.py").write_text("import requests\ndef ask(a): return requests.get(a).text\n")
    code = "from mlflow.{0}.ask import ask\nask(base + '/{1}')\n"
    (found,) = read(ask + code.format("utils", "plain") + code.format("data", "chunked"))
    assert found.url.endswith("/chunked")


GOOGLE = "/download/storage/v1/b/bikes/o/data%2Fa%20b.csv?alt=media"
AIOHTTP = """
import asyncio, aiohttp
async def read():
    async with aiohttp.ClientSession() as session:
        for ask in ({}, {"params": {"generation": "7"}}):
            async with session.get(base + path, **ask) as response:
                print((await response.read()).decode(), response.headers["ETag"])
asyncio.run(read())
"""


def objects(place: Any, code: str, **env: str) -> list[tuple[str, ...]]:
    told = place.run(code, **env)
    assert told.status == 0, told.stderr
    assert told.failures() == []
    return [
        (each.scheme, each.bucket, each.key, each.version, each.etag, each.sha256)
        for each in told.lines.of(Stored)
    ]


def test_an_object_of_google_is_told_with_its_generation(some_place: Any, address: str) -> None:
    asked = (GOOGLE, "/storage/v1/b/bikes/o/data%2Fa%20b.csv", "/storage/v1/b/bikes?projection=noAcl")
    code = URLLIB + "".join(f"urlopen({address + each!r}).read()\n" for each in asked)
    assert objects(some_place, code) == [("gs", "bikes", "data/a b.csv", "7", "e7", sha256(b"object"))]


def test_what_a_cloud_says_of_an_object_is_no_data(read: Callable[[str], list[Fetched]]) -> None:
    code = "urlopen(base + '/storage/v1/b/bikes/o/key').read(); urlopen(base + '/storage/v1/b/bikes/o?prefix=k').read()"
    assert [each.url.rpartition("/")[2] for each in read(URLLIB + code)] == ["o?prefix=k"]


def test_an_object_of_azure_is_told_where_its_client_is_in_use(some_place: Any, address: str) -> None:
    code = f"{URLLIB}import sys; sys.modules['azure.core'] = sys\n"
    code += f"urlopen({address!r} + '/account/bikes/data/a%20b.csv').read()"
    assert objects(some_place, code) == [("az", "bikes", "data/a b.csv", "", "e7", sha256(b"object"))]


def test_credentials_of_a_machine_are_no_data(read: Callable[[str], list[Fetched]]) -> None:
    code = """
import http.client, socket
host, port = base.partition("://")[2].split(":")
for name in ("169.254.169.254", "example.org"):
    connection = http.client.HTTPConnection(name)
    connection.sock = socket.create_connection((host, int(port)))
    connection.request("GET", "/latest/meta-data/iam")
    connection.getresponse().read()
"""
    assert [each.url for each in read(code)] == ["http://example.org/latest/meta-data/iam"]


@pytest.mark.needs("aiohttp")
@pytest.mark.parametrize(("pinned", "first"), [("", "7"), ("5", "5"), ("6", "7")])
def test_a_recorded_generation_is_read_again_while_it_is_there(
    place: Any, address: str, tmp_path: Path, pinned: str, first: str
) -> None:
    import aiohttp

    theirs = str(Path(aiohttp.__path__[0]).parent)
    (tmp_path / "objects").write_text(f"gs/bikes/data/a%20b.csv {pinned}\n" if pinned else "")
    code = f"import sys; sys.path += [{theirs!r}]\nbase, path = {address!r}, {GOOGLE!r}\n{AIOHTTP}"
    found = objects(place, code, REPROOF_OBJECTS=str(tmp_path / "objects"))
    assert [each[3] for each in found] == [first, "7"]
    assert {each[5] for each in found} == {sha256(b"object")}
