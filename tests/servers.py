"""Real tracking servers of MLflow, which can be killed and started again."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

_PATIENCE = 240  # seconds until it answers; importing MLflow takes long on a busy machine


class MLflowServer:
    """A server with its database and artifacts below `folder`, at the same address each time it runs.

    With `password` it is one with basic authentication: its administrator `admin` has that password, and
    every other user may read.
    """

    def __init__(self, folder: Path, password: str = "") -> None:
        self.folder = folder
        self._password = password
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        argv = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)),
            *("--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        ]
        variables = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        if self._password:
            argv += ["--app-name", "basic-auth"]
            variables["MLFLOW_AUTH_ADMIN_PASSWORD"] = self._password
            variables["MLFLOW_FLASK_SERVER_SECRET_KEY"] = "of a test"  # noqa: S105
        with (self.folder / "log").open("ab") as log:
            # A process group of its own: the server's workers outlive it when only it is ended.
            self._process = subprocess.Popen(
                argv,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env={**os.environ, **variables},
                start_new_session=True,
            )
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.2)
        last = (self.folder / "log").read_text()[-2000:]
        self.kill()
        pytest.fail(f"the tracking server did not come up:\n{last}")

    def add_reader(self, user: str, password: str) -> None:
        """Make a user who may read everything and write nothing."""
        self.ask("users/create", {"username": user, "password": password})

    def ask(self, call: str, body: dict[str, Any]) -> Any:
        """Call MLflow's interface as the administrator; what it answers."""
        request = urllib.request.Request(
            f"{self.uri}/api/2.0/mlflow/{call}",
            data=json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": "Basic " + base64.b64encode(f"admin:{self._password}".encode()).decode(),
            },
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"{}")

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
