"""Two machines that share one tracking server: what one recorded is verified on the other."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from machines import Machine
from servers import MLflowServer
from websites import Site

pytestmark = [
    pytest.mark.needs("mlflow", "bwrap"),
    pytest.mark.xdist_group("machines"),
]

ADMIN = "correct-horse-battery"
READER = "only-looking-around"
TOKEN = "the-token-of-git-and-of-the-index"

FILES = {
    "MLproject": """name: wheels
python_env: python_env.yaml
entry_points:
  main:
    parameters:
      source: {type: path, default: data.txt}
    command: "python train.py {source}"
""",
    "python_env.yaml": "dependencies:\n  - -r requirements.txt\n",
    "requirements.txt": "spokes==1.0 --hash=sha256:{spokes}\n",
    "train.py": """import json, random, sys
import spokes
rows = [float(line) for line in open(sys.argv[1])]
with open("model.json", "w") as model:
    json.dump({"weight": random.random() * sum(rows), "name": spokes.VERSION}, model)
""",
    "data.txt": "1\\n2\\n3.5\\n".replace("\\n", "\n"),
    ".gitignore": "model.json\nloose/\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflowServer]:
    server = MLflowServer(tmp_path_factory.mktemp("authenticated"), password=ADMIN)
    server.start()
    server.add_reader("reader", READER)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), "git", TOKEN)
    yield site
    site.close()


@pytest.fixture(scope="module")
def alpha(tmp_path_factory: pytest.TempPathFactory, server: MLflowServer, site: Site) -> Machine:
    """The machine of whoever makes the runs; its remotes and its index ask for a password."""
    variables = {
        "MLFLOW_TRACKING_URI": server.uri,
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": ADMIN,
        "UV_DEFAULT_INDEX": site.with_login(f"git:{TOKEN}") + "/simple",
    }
    site.add_wheel("spokes")
    return Machine("alpha", tmp_path_factory.mktemp("alpha"), 1000, variables)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, server: MLflowServer, site: Site) -> Machine:
    variables = {
        "MLFLOW_TRACKING_URI": server.uri,
        "MLFLOW_TRACKING_USERNAME": "reader",
        "MLFLOW_TRACKING_PASSWORD": READER,
        "UV_DEFAULT_INDEX": f"{site.uri}/simple",
    }
    return Machine("beta", tmp_path_factory.mktemp("beta"), 1001, variables)


@pytest.fixture
def beta(furnished: Machine, site: Site) -> Iterator[Machine]:
    """A colleague's machine: an empty HOME, credentials that may only read, another Python."""
    variables = dict(furnished.env)
    furnished.forget()
    furnished.write(".netrc", f"machine {site.host.partition(':')[0]} login git password {TOKEN}\n")
    yield furnished
    furnished.env = variables


class Work(NamedTuple):
    """A project on the author's machine, with a remote at the site."""

    machine: Machine
    site: Site
    name: str

    @property
    def address(self) -> str:
        return f"{self.site.uri}/{self.name}.git"

    @property
    def remote(self) -> Path:
        return self.site.folder / f"{self.name}.git"

    def shell(self, script: str) -> str:
        return self.machine.shell(script, f"work/{self.name}").out.strip()

    def publish(self) -> None:
        """Put what is committed, and nothing else, where the remote is."""
        shutil.rmtree(self.remote, ignore_errors=True)
        source = f"file://{self.machine.home}/work/{self.name}"
        words = ["git", "-c", "safe.directory=*", "clone", "-q", "--bare", source, str(self.remote)]
        subprocess.run(words, check=True)
        subprocess.run(["git", "update-server-info"], cwd=self.remote, check=True)

    def run(self, *words: str) -> str:
        """Make a run; its id in MLflow."""
        self.machine.reproof("run", *words, ".", folder=f"work/{self.name}")
        return str(self.facts(".mlflow.json")["run_id"])

    def record(self) -> Any:
        return self.facts(".json")

    def facts(self, ending: str) -> Any:
        records = (self.machine.home / f"work/{self.name}/.reproof/records").glob("?" * 64 + ".json")
        newest = max(records, key=lambda path: path.stat().st_mtime_ns)
        return json.loads(newest.with_name(f"{newest.stem}{ending}").read_text())


def start(machine: Machine, site: Site, name: str, changes: dict[str, str] | None = None) -> Work:
    """A committed project whose remote was never pushed to."""
    digest = hashlib.sha256((site.folder / "simple/spokes/spokes-1.0-py3-none-any.whl").read_bytes())
    for path, text in {**FILES, **(changes or {})}.items():
        machine.write(f"work/{name}/{path}", text.replace("{spokes}", digest.hexdigest()))
    work = Work(machine, site, name)
    work.shell("git init -q && git add -A && git commit -qm first")
    work.shell(f"git remote add origin {site.with_login(f'git:{TOKEN}')}/{name}.git")
    return work


@pytest.fixture(scope="module")
def published(alpha: Machine, site: Site) -> tuple[Work, str]:
    """A project whose commit is at the remote, and a run of it."""
    work = start(alpha, site, "published")
    work.publish()
    work.shell("git fetch -q")
    run = work.run()
    assert TOKEN not in json.dumps(work.record())
    return work, run


def plain_run(work: Work, server: MLflowServer, experiment: str) -> str:
    """A run of a commit that is at the remote, as MLflow alone records it; its id."""
    known = server.ask("experiments/search", {"max_results": 100, "filter": f"name = '{experiment}'"})
    tags = {
        "mlflow.source.git.commit": work.shell("git rev-parse HEAD"),
        "mlflow.source.git.repoURL": work.address,
        "mlflow.source.name": "train.py",
        "mlflow.source.type": "LOCAL",
    }
    body = {
        "experiment_id": known["experiments"][0]["experiment_id"],
        "start_time": int(time.time() * 1000),
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }
    run = str(server.ask("runs/create", body)["run"]["info"]["run_id"])
    server.ask("runs/log-metric", {"run_id": run, "key": "weight", "value": 0.5, "timestamp": 0})
    server.ask("runs/update", {"run_id": run, "status": "FINISHED", "end_time": body["start_time"]})
    return run


def verify(machine: Machine, run: str, *words: str) -> Any:
    return machine.reproof("verify", run, "--no-log", "--output-format", "json", *words).json


def refused(machine: Machine, run: str) -> str:
    """What is said where nothing can be decided."""
    return machine.reproof("verify", run, "--no-log", expect=2).err


def hint(text: str) -> str:
    """The command that the hint offers last."""
    return re.findall(r"`([^`]+)`", text.rpartition("\nhint: ")[2])[-1]


def test_a_colleague_needs_nothing_but_the_server(published: tuple[Work, str], beta: Machine) -> None:
    verdict = verify(beta, published[1])
    assert verdict["word"] == "reproduced"
    said = {each["name"]: each["value"] for each in verdict["conditions"]}
    assert (said["host"], said["record"], said["isolation"]) == ("another", "not made here", "bubblewrap")


def test_who_may_only_read_is_told_that_the_verdict_is_not_kept_there(
    published: tuple[Work, str], beta: Machine
) -> None:
    said = beta.reproof("verify", published[1])
    assert "the verdict is not in MLflow" in said.err
    assert said.out.startswith("reproduced")


def test_unpushed_commits_travel_in_a_bundle(alpha: Machine, beta: Machine, site: Site) -> None:
    run = start(alpha, site, "unpushed").run()  # the remote is not even there
    assert verify(beta, run)["word"] == "reproduced"


def test_data_that_nothing_tracks_is_named(alpha: Machine, beta: Machine, site: Site) -> None:
    work = start(alpha, site, "loose")
    alpha.write("work/loose/loose/more.txt", "1\n")
    run = work.run("-P", "source=loose/more.txt")
    assert "cannot restore `loose/more.txt`" in refused(beta, run)


def test_a_server_that_asks_for_a_login(published: tuple[Work, str], beta: Machine) -> None:
    password = beta.env.pop("MLFLOW_TRACKING_PASSWORD")
    said = refused(beta, published[1])
    assert "refused the credentials (401)" in said
    assert "none were set" in said
    assert "MLFLOW_TRACKING_PASSWORD" in said
    beta.env["MLFLOW_TRACKING_PASSWORD"] = f"not-{password}"
    said = refused(beta, published[1])
    assert "credentials  sent" in said
    assert password not in said


def test_an_experiment_of_a_server_that_asks_for_a_login(
    published: tuple[Work, str], beta: Machine, server: MLflowServer
) -> None:
    """All of it with credentials that may only read, and that nothing of it writes down."""
    words = ("verify", "--all", "--experiment", "shared", "--no-log")
    run = published[0].run("--experiment-name", "shared")
    plain = plain_run(published[0], server, "shared")
    password = beta.env.pop("MLFLOW_TRACKING_PASSWORD")
    said = beta.reproof(*words, expect=2).err
    assert "refused the credentials (401)" in said
    assert "MLFLOW_TRACKING_PASSWORD" in said
    beta.env["MLFLOW_TRACKING_PASSWORD"] = password
    told = beta.reproof(*words, "--output-format", "json", expect=3)
    rows = {row["run_id"]: row for row in told.json["rows"]}
    assert rows[run]["word"] == "reproduced"
    assert (rows[plain]["kind"], rows[plain]["word"]) == ("reconstructed", "inconclusive")
    assert "list index out of range" in rows[plain]["detail"]  # it was run: nobody knows its arguments
    holds = [path for path in beta.home.rglob("*") if path.is_file() and READER.encode() in path.read_bytes()]
    assert holds == []
    assert READER not in told.out + told.err


def test_a_remote_that_asks_for_a_login(published: tuple[Work, str], beta: Machine) -> None:
    (beta.home / ".netrc").unlink()
    said = refused(beta, published[1])
    assert "cannot find the code of the run" in said
    assert hint(said) == f"git ls-remote {published[0].address}"


def test_a_repository_that_moved(alpha: Machine, beta: Machine, site: Site) -> None:
    work = start(alpha, site, "early")
    work.publish()
    work.shell("git fetch -q")
    run = work.run()
    work.remote.rename(site.folder / "late.git")
    said = refused(beta, run)
    assert f"cannot clone `{work.address}`" in said
    beta.shell(hint(said).replace("NEW-ADDRESS", f"{site.uri}/late.git"))
    assert verify(beta, run)["word"] == "reproduced"


def test_a_commit_that_was_pushed_over(alpha: Machine, beta: Machine, site: Site) -> None:
    work = start(alpha, site, "forced")
    work.publish()
    work.shell("git fetch -q")
    run, commit = work.run(), work.shell("git rev-parse HEAD")
    work.shell("git commit -q --amend -m other")
    work.publish()
    said = refused(beta, run)
    assert f"the repository has no branch, tag or commit `{commit}`" in said
    assert hint(said) == f"git push origin {commit}:refs/heads/recorded"


def test_a_shallow_clone(published: tuple[Work, str], beta: Machine) -> None:
    work = published[0]
    work.shell(f"git clone -q --depth 1 file:///home/alpha/work/{work.name} ../shallow")
    shallow = Work(work.machine, work.site, "shallow")
    shallow.shell(f"git remote set-url origin {work.site.with_login(f'git:{TOKEN}')}/{work.name}.git")
    shallow.shell("echo '# more' >> train.py && git commit -qam more")
    run = shallow.run()  # the new commit travels; what it builds on is at the remote
    assert verify(beta, run)["word"] == "reproduced"


def test_submodules(alpha: Machine, beta: Machine, site: Site) -> None:
    inner = start(alpha, site, "inner", {"hub.py": "TEETH = 32\n"})
    inner.publish()
    outer = start(
        alpha,
        site,
        "outer",
        {"train.py": "import sys; sys.path.insert(0, 'inner')\nimport hub\n" + FILES["train.py"]},
    )
    outer.shell(
        f"git config --global url.{site.with_login(f'git:{TOKEN}')}/.insteadOf {site.uri}/"
        f" && git submodule --quiet add {inner.address} inner && git commit -qam inner"
    )
    run = outer.run()
    record = outer.record()
    assert {each["name"]: each["origin"] for each in record["materials"]}["inner/hub.py"] == "git"
    assert verify(beta, run)["word"] == "reproduced"
    inner.remote.rename(site.folder / "moved-inner.git")
    beta.shell("rm -rf .local .cache")
    said = refused(beta, run)
    assert "cannot re-create the code: the submodule `inner` is not there" in said
    assert inner.address in said
    (site.folder / "moved-inner.git").rename(inner.remote)
    beta.shell(hint(said))
    assert verify(beta, run)["word"] == "reproduced"


def test_packages_that_are_gone_or_closed(published: tuple[Work, str], beta: Machine, site: Site) -> None:
    beta.env["UV_DEFAULT_INDEX"] = f"{site.with_login('git:another')}/simple"
    said = refused(beta, published[1])
    assert f"`spokes` cannot be had: the index `{site.uri}/simple` refuses access" in said
    assert "machine 127.0.0.1 login USER password PASSWORD" in said
    assert "another" not in said
    beta.env["UV_DEFAULT_INDEX"] = f"{site.uri}/simple"
    wheel = site.folder / "simple/spokes/spokes-1.0-py3-none-any.whl"
    wheel.rename(site.folder / "yanked")
    try:
        said = refused(beta, published[1])
    finally:
        (site.folder / "yanked").rename(wheel)
    assert "`spokes==1.0` is in none of the indexes: removed, yanked, or never there" in said
    assert "UV_EXTRA_INDEX_URL" in said.rpartition("\nhint: ")[2]


def test_artifacts_that_are_gone(published: tuple[Work, str], beta: Machine, server: MLflowServer) -> None:
    places = (server.folder / "artifacts", server.folder / "away")
    places[0].rename(places[1])
    try:
        said = refused(beta, published[1])
    finally:
        places[1].rename(places[0])
    assert f"the record of run `{published[1]}` is not among its artifacts" in said


def test_a_store_of_artifacts_that_the_server_does_not_reach(
    published: tuple[Work, str], beta: Machine, server: MLflowServer
) -> None:
    place = {"name": "elsewhere", "artifact_location": "s3://no-such-bucket/runs"}
    server.ask("experiments/create", place)
    work = published[0]
    told = work.machine.reproof("run", "--experiment-name", "elsewhere", ".", folder=f"work/{work.name}")
    assert "the record is not in MLflow" in told.err  # the run counts, whatever becomes of its record
    run = work.facts(".mlflow.json")["run_id"]
    said = refused(beta, run)
    assert f"the server cannot read the artifacts of run `{run}`" in said
    assert "s3://no-such-bucket/runs" in said
    assert "<html" not in told.err + said


def test_a_run_that_was_deleted(alpha: Machine, beta: Machine, site: Site, server: MLflowServer) -> None:
    run = start(alpha, site, "deleted").run()
    server.ask("runs/delete", {"run_id": run})
    said = refused(beta, run)
    assert f"run `{run}` was deleted" in said
    assert hint(said) == f"mlflow runs restore --run-id {run}"
