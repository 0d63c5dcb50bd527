"""What a run read from the web: a material with its address, and a condition of every verdict."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from projects import LIGHT, Project
from servers import MLflowServer

RUN = ("run", "--env-manager", "local", "--", "python", "train.py")
READS = """
from urllib.request import urlopen
text = urlopen("{address}/data.csv?year=2024&token=s3cr3t").read().decode()
open("result.txt", "w").write(text[:1])
"""


class Site(ThreadingHTTPServer):
    """Answers every request with the next of `answers`, the last one for ever."""

    answers = (b"1",)
    asked = 0


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        body = self.server.answers[min(self.server.asked, len(self.server.answers) - 1)]
        self.server.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def make(plain: Project, site: Site, settings: str = "", code: str = READS) -> str:
    address = f"http://127.0.0.1:{site.server_port}"
    plain.write("train.py", code.format(address=address))
    plain.write("pyproject.toml", f"[tool.reproof]\n{settings}\n")
    plain.commit()
    return f"{address}/data.csv?year=2024&token="


def web(project: Project) -> list[dict[str, Any]]:
    return [each for each in project.record()["materials"] if "://" in each["name"]]


def conditions(verdict: Any) -> dict[str, str]:
    return {each["name"]: each["value"] for each in verdict["conditions"]}


def test_what_an_address_gave_is_an_external_material(plain: Project, site: Site) -> None:
    name = make(plain, site, "network = true")
    said = plain.reproof(*RUN, expect=0)
    assert "://" not in said.err  # no advice to add an address to anything
    (found,) = web(plain)
    assert (found["name"], found["origin"], found["size"]) == (name, "external", 1)
    assert found["digests"] == {"sha256": hashlib.sha256(b"1").hexdigest()}
    assert found["note"] == "read at ${PROJECT}/train.py:3"
    assert "s3cr3t" not in str(plain.record()["materials"])
    verdict = plain.verify(expect=0)
    assert conditions(verdict)["data of the web"] == "the same"
    assert verdict["word"] == "repeated"  # nobody can re-create what only its address has


def test_what_an_address_gives_later_is_told(plain: Project, site: Site) -> None:
    name = make(plain, site, "network = true")
    site.answers = (b"1", b"2")
    plain.reproof(*RUN, expect=0)
    verdict = plain.verify(expect=1)
    assert conditions(verdict)["data of the web"] == "other content than recorded"
    factors = [child for factor in verdict["factors"] for child in factor["children"]]
    assert name in [each["subject"] for each in factors]


@pytest.mark.needs("bwrap")
def test_a_room_without_network_says_what_it_lacks(plain: Project, site: Site) -> None:
    make(plain, site)
    plain.reproof(*RUN, expect=0)
    verdict = plain.verify("--isolation", "bubblewrap", expect=1)
    assert conditions(verdict)["data of the web"] == "not read again"
    notes = [each.get("note") or "" for each in verdict["conditions"]]
    assert any("`network = true` in `[tool.reproof]`" in note for note in notes)


def test_an_address_that_changes_under_the_run_is_told(plain: Project, site: Site) -> None:
    name = make(plain, site, code=READS + READS.partition("\nopen(")[0])
    site.answers = (b"1", b"2")
    said = plain.reproof(*RUN, expect=0).err
    assert "input changed during the run: sha256:" in said
    (found,) = web(plain)
    assert (found["name"], found["digests"]["sha256"]) == (name, hashlib.sha256(b"1").hexdigest())


LOGS = (
    LIGHT
    + """
import mlflow
with mlflow.start_run():
    mlflow.log_metric("a", 1.0)
    mlflow.log_text("hello", "note.txt")
    mlflow.get_run(mlflow.active_run().info.run_id)
"""
)


@pytest.mark.slow
@pytest.mark.needs("mlflow")
def test_what_mlflow_and_its_server_say_to_each_other_is_no_data(
    plain: Project, site: Site, mlflow_server: MLflowServer
) -> None:
    name = make(plain, site, code=READS + LOGS)
    plain.env.update(MLFLOW_TRACKING_URI=mlflow_server.uri)
    plain.reproof(*RUN, expect=0)
    assert [each["name"] for each in web(plain)] == [name]
    assert plain.record()["metrics"]
