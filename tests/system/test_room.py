"""The clean room, as the programs in it see it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from projects import Project

LISTENS = """
import json
from multiprocessing.connection import Client, Listener

with Listener(family="AF_UNIX") as listener, Client(listener.address) as client, listener.accept() as server:
    client.send(0.25)
    json.dump({"answer": server.recv()}, open("model.json", "w"))
"""


@pytest.mark.parametrize(
    "isolation", ["process", pytest.param("bubblewrap", marks=pytest.mark.needs("bwrap"))]
)
def test_sockets_of_worker_processes_have_room(
    isolation: str, make_project: Callable[..., Project], tmp_path: Path
) -> None:
    """DataLoader workers pass tensors through sockets below TMPDIR: the kernel takes 107 bytes of a path."""
    project = make_project({"train.py": LISTENS, ".gitignore": "model.json\n"})
    project.reproof("run", "--env-manager", "local", "--no-log", "--", "python", "train.py", expect=0)
    project.env["REPROOF_CACHE_DIR"] = str(tmp_path / ("deep" * 20))
    with tempfile.TemporaryDirectory() as short:
        project.env["TMPDIR"] = short
        project.verify("--isolation", isolation, "--timeout", "60", expect=0)
        assert not list(Path(short).iterdir())  # it goes with the room
