"""Real MLflow stores, made once for each worker by the finishing agent, and copied for each test."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from reproof.tracking.address import parse
from reproof.tracking.finish import finish
from reproof.tracking.values import Access, Finish
from servers import MLflowServer


def make_store(python: Path, folder: Path, uri: str) -> str:
    """A store with one running run; returns the run's id."""
    access = Access(parse(uri, folder), dict(os.environ), folder, (python,))
    first = Finish(
        record="0" * 64, uri=access.address.uri, experiment="bikes", run_name="Training",
        parameters={"depth": "3"}, tags={"own": "tag"}, started=1,
    )  # fmt: skip
    done = finish(first, access)
    assert done.status == "written", done.reason
    assert done.run_id is not None
    return done.run_id


@pytest.fixture(scope="session")
def store3(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A SQLite store of the MLflow that we test with, and the id of its run."""
    folder = tmp_path_factory.mktemp("store3")
    return folder / "mlflow.db", make_store(Path(sys.executable), folder, "sqlite:///mlflow.db")


@pytest.fixture(scope="session")
def store2(tmp_path_factory: pytest.TempPathFactory, mlflow2: Path) -> tuple[Path, str]:
    """A SQLite store of MLflow 2.20, and the id of its run."""
    folder = tmp_path_factory.mktemp("store2")
    return folder / "mlflow.db", make_store(mlflow2, folder, "sqlite:///mlflow.db")


@pytest.fixture(scope="session")
def files3(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A file store, and the id of its run."""
    folder = tmp_path_factory.mktemp("files3")
    return folder / "mlruns", make_store(Path(sys.executable), folder, "./mlruns")


@pytest.fixture
def access_to(tmp_path: Path) -> Callable[..., Access]:
    """Copy a store into the test's own folder, and say how to reach it."""

    def reach(store: Path, *interpreters: Path, **environment: str) -> Access:
        target = tmp_path / store.name
        (shutil.copytree if store.is_dir() else shutil.copy)(store, target)
        text = str(target) if store.is_dir() else f"sqlite:///{target}"
        return Access(parse(text, tmp_path), {**os.environ, **environment}, tmp_path, interpreters)

    return reach


@pytest.fixture(scope="session")
def server(mlflow_server: MLflowServer) -> str:
    """The address of a real tracking server that passes artifacts on."""
    return mlflow_server.uri


@dataclass
class Script:
    """A server that answers as it is told: (path part) to (status, headers, body), None to hang up."""

    uri: str
    answers: dict[str, list[tuple[int, dict[str, str], object] | None]]
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


@pytest.fixture
def scripted() -> Iterator[Callable[..., Script]]:
    """Start servers that misbehave in the way each test needs."""
    running = []

    def start(**answers: list) -> Script:
        class Answer(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                script.requests.append((self.command, self.path, dict(self.headers)))
                name = (
                    self.path.partition("?")[0]
                    .rsplit("/api/2.0/mlflow/")[-1]
                    .replace("/", "_")
                    .replace("-", "_")
                )
                queue = script.answers.get(name) or script.answers.get("anything") or [None]
                answer = queue.pop(0) if len(queue) > 1 else queue[0]
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, body = answer
                data = body if isinstance(body, bytes) else msgspec.json.encode(body)
                self.send_response(status)
                for key, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = _answer

            def log_message(self, *args: object) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        script = Script(f"http://127.0.0.1:{http.server_port}", answers)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        running.append(http)
        return script

    yield start
    for http in running:
        http.shutdown()
        http.server_close()
