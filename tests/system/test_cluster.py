"""Re-runs on a real Dask cluster: workers with homes of their own that see nothing of the project, one of them killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import chores
from chores import Chore, work
from projects import LIGHT, Project, known_stores, user_environment
from reproof.base.files import remove_tree
from reproof.errors import ExecutionError
from reproof.workflow import cluster as clusters
from reproof.workflow import many
from reproof.workflow.many import Batch, Hands, carry_out

pytestmark = [
    pytest.mark.needs("distributed", "mlflow", "bwrap"),
    pytest.mark.slow,
    pytest.mark.xdist_group("cluster"),
]

#: Says in which room it is, and waits there while told to.
TRAIN = (
    LIGHT
    + """
import os, random, sys, time
from pathlib import Path

import mlflow

notes = Path(sys.argv[1])
me = f"{os.environ['PYTHONHASHSEED']}-{os.getpid()}"
if notes.is_dir():
    (notes / f"{me}.begun").write_text(os.getcwd())
    while (notes / "wait").exists():
        time.sleep(0.05)
scale = float(Path("scale.txt").read_text()) * float(Path("untracked.txt").read_text())
with mlflow.start_run():
    mlflow.log_metric("loss", random.gauss(10, 1) * scale)
if notes.is_dir():
    (notes / f"{me}.ended").touch()
"""
)


class Cluster:
    """A scheduler and workers, each a process of its own that cannot see the project."""

    def __init__(self, base: Path, hidden: Path, stack: ExitStack) -> None:
        self._base = base
        self._hidden = hidden
        self._stack = stack
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        words = ["scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        self.scheduler = self._start("scheduler", words)

    @property
    def address(self) -> str:
        return f"dask://127.0.0.1:{self.port}"

    def worker(self, name: str, *words: str, **env: str) -> subprocess.Popen[bytes]:
        """One worker with a single thread, in a home of its own."""
        here = ["worker", f"tcp://127.0.0.1:{self.port}", "--host", "127.0.0.1", "--name", name]
        child = self._start(name, [*here, "--no-nanny", "--nthreads", "1", "--no-dashboard", *words], **env)
        self.wait_until(name, "Registered to")
        return child

    def wait_until(self, name: str, words: str) -> None:
        log = self._base / name / "log"
        for _ in range(600):
            if words in log.read_text():
                return
            time.sleep(0.1)
        raise AssertionError(log.read_text())

    def cache(self, name: str) -> Path:
        return self._base / name / "cache"

    def _start(self, name: str, words: list[str], **env: str) -> subprocess.Popen[bytes]:
        home = self._base / name
        (home / "tmp").mkdir(parents=True)
        known_stores(home / "cache")
        own = {"REPROOF_CACHE_DIR": str(home / "cache"), "TMPDIR": str(home / "tmp")}
        hide = ["bwrap", "--dev-bind", "/", "/", "--tmpfs", str(self._hidden), "--die-with-parent"]
        with (home / "log").open("wb") as log:
            child = subprocess.Popen(
                [*hide, "--chdir", str(home), sys.executable, "-m", "dask", *words],
                env={**user_environment(home), **own, **env},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._stack.callback(child.wait)
        self._stack.callback(child.kill)
        return child


@contextmanager
def cluster_without(project: Project, base: Path) -> Iterator[Cluster]:
    """A cluster to which the project's folder is hidden."""
    with ExitStack() as stack:
        made = Cluster(base, project.folder, stack)
        made.wait_until("scheduler", "Scheduler at")
        yield made


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    base = tmp_path_factory.mktemp("cluster")
    (base / "home").mkdir()
    (base / "notes").mkdir()
    names = {name: str(base / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    env = {
        **user_environment(base / "home"),
        **{f"REPROOF_{name}_DIR": place for name, place in names.items()},
        **{f"GIT_{role}_NAME": "Test" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "test@example.org" for role in ("AUTHOR", "COMMITTER")},
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    known_stores(base / "cache")
    made = Project(base / "project", env)
    made.folder.mkdir()
    for name, text in {"train.py": TRAIN, "scale.txt": "1", ".gitignore": "mlflow.db\nmlruns\n"}.items():
        made.write(name, text)
    made.commit()
    made.write("untracked.txt", "1")
    command = ("run", "--env-manager", "local", "--seed", "1", "--", "python", "train.py")
    made.reproof(*command, str(base / "notes"), expect=0)
    yield made
    remove_tree(base / "cache")


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def wait_for(found: Any, count: int) -> list[Path]:
    for _ in range(1200):
        paths = list(found())
        if len(paths) >= count:
            return paths
        time.sleep(0.05)
    raise AssertionError(paths)


def test_a_worker_killed_half_way_loses_nothing(project: Project, tmp_path: Path) -> None:
    notes = project.folder.parent / "notes"
    empty(notes)
    (notes / "wait").touch()
    words = (
        "replicate",
        "--seeds",
        "1,2,3,4,5,6",
        "--no-log",
        "--isolation",
        "process",
        "--output-format",
        "json",
    )
    with cluster_without(project, tmp_path) as cluster:
        workers = {name: cluster.worker(name) for name in ("one", "two")}
        child = subprocess.Popen(
            [sys.executable, "-m", "reproof.cli.main", *words, "--on", cluster.address],
            cwd=project.folder,
            env=project.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun = wait_for(lambda: notes.glob("*.begun"), 2)  # one in each worker, both under way
        rooms = {path.read_text() for path in begun}
        assert len({room for room in rooms if str(cluster.cache("one")) in room}) == 1
        workers["one"].send_signal(signal.SIGKILL)
        workers["one"].wait()
        (notes / "wait").unlink()
        out, err = child.communicate(timeout=120)
        assert child.returncode in (0, 1), err
        rows = json.loads(out)["arms"][0]["replicates"]
        assert (cluster.cache("two") / "parcels").is_dir()
    assert {row["seed"]: row["state"] for row in rows} == dict.fromkeys(range(1, 7), "finished")
    assert len({row["record"] for row in rows}) == 6
    started = sorted(notes.glob("*.begun"))
    seeds = [path.name.partition("-")[0] for path in started]
    assert sorted(set(seeds)) == [*"123456"]
    assert len(started) == 7  # the one that was under way in the worker that died, again
    assert len({path.read_text() for path in started}) == 7  # each in a room of its own
    recorded = {each["key"]: each["value"] for each in project.record()["metrics"]}
    assert rows[0]["metrics"] == recorded  # the seed of the recorded run, made on another worker


def test_what_cannot_take_part_is_named_and_resources_are_heeded(project: Project, tmp_path: Path) -> None:
    notes = project.folder.parent / "notes"
    words = ("replicate", "--seeds", "7,8", "--no-log", "--isolation", "process")
    with cluster_without(project, tmp_path) as cluster:
        on = ("--on", cluster.address)
        old = tmp_path / "old" / "reproof-0.0.1.dist-info"
        old.mkdir(parents=True)
        (old / "METADATA").write_text("Metadata-Version: 2.1\nName: reproof\nVersion: 0.0.1\n")
        other = cluster.worker("other", PYTHONPATH=str(old.parent))
        refused = project.reproof(*words, *on, expect=2)
        assert "another version of reproof" in refused.err
        assert "0.0.1" in refused.err
        other.kill()
        other.wait()
        cluster.worker("plain")
        empty(notes)
        refused = project.reproof(*words, *on, "--resources", "GPU=1", expect=2)
        assert "no worker of the cluster offers `GPU=1`" in refused.err
        assert "dask worker tcp://ADDRESS --resources" in refused.err
        assert list(notes.iterdir()) == []
        cluster.worker("gifted", "--resources", "GPU=1")
        project.reproof(*words, *on, "--resources", "GPU=1", expect=3)  # two runs are too few to judge
        rooms = {path.read_text() for path in notes.glob("*.begun")}
        assert len(rooms) == 2
        assert all(str(cluster.cache("gifted")) in room for room in rooms)


@pytest.mark.parametrize("victim", ["worker", "scheduler"])
def test_what_is_left_without_anybody_is_not_waited_for(
    victim: str, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "PATIENCE", 1.0)
    monkeypatch.setattr(clusters, "_CONNECT", 3.0)
    monkeypatch.setattr(many, "_LOOK", 0.5)
    place = tmp_path / "chores"
    place.mkdir()
    tasks = {"left": Chore(str(place), "left", "waits")}
    batch = Batch(tasks=tasks, work=work, told=lambda name, result: None, title="chores")
    with cluster_without(project, tmp_path) as cluster:
        worker = cluster.worker("only", PYTHONPATH=str(Path(chores.__file__).parent))
        child = worker if victim == "worker" else cluster.scheduler

        def kill() -> None:
            wait_for(lambda: place.glob("left.begun-*"), 1)
            child.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        address = cluster.address.replace("dask", "tcp")
        with pytest.raises(ExecutionError, match=r"has no worker|is gone|cannot reach"):
            carry_out(batch, Hands(cluster=address), lambda event: None)
        killer.join()
