"""The ways to forge a trail, each against a real MLflow store and a real Git repository: detected, and named."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from attesting import new_key
from projects import LIGHT, Project, user_environment
from reproof.attest import claims
from reproof.attest.dsse import seal
from reproof.attest.keys import SigningKey, open_key
from reproof.attest.log import REF, GitLog
from reproof.attest.signers import line_for
from reproof.base.files import remove_tree
from reproof.base.locations import config_directory
from reproof.model.codec import decode_record, encode, record_id
from reproof.model.statement import MEANINGS, Signer
from reproof.store.records import RecordStore
from reproof.workflow.trail import Trail, now, refuse_clock

pytestmark = [pytest.mark.slow, pytest.mark.needs("mlflow"), pytest.mark.xdist_group("attacks")]

TRAIN = (
    LIGHT
    + """
import sys
import mlflow

mlflow.log_param("depth", 3)
for step, value in enumerate([0.5, float("nan"), float("inf"), -0.0, 0.1 + 0.2]):
    mlflow.log_metric("rmse", value, step=step)
mlflow.set_tag("team", "a")
open("model.txt", "w").write(f"weights {sys.argv[1]}")
mlflow.log_artifact("model.txt")
with mlflow.start_run(nested=True, run_name="inner"):
    mlflow.log_metric("inner", 1.0)
"""
)
LATE = """
import sys
from mlflow import MlflowClient

client, run = MlflowClient(), sys.argv[1]
client.log_metric(run, "rmse", 0.001, step=5)
client.log_metric(run, "other", 1.0)
client.log_param(run, "width", "9")
client.set_tag(run, "team", "b")
client.set_tag(run, "note", "looks good")
"""


class Forged(Project):
    """A project with a signed log and two runs, and what an attacker does to it."""

    runs: tuple[str, str]

    @property
    def config(self) -> Path:
        return self.folder.parent / "config"

    def audit(self, *words: str, expect: int | None = None) -> Any:
        return self.reproof("audit", "--output-format", "json", *words, expect=expect).json

    def names(self, *words: str, expect: int = 1) -> set[str]:
        """Names of the findings that fail the audit."""
        found = self.audit(*words, expect=expect)["findings"]
        return {each["name"] for each in found if each["severity"] == "error"}

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as database, database:
            for statement in statements:
                assert database.execute(statement).rowcount != 0, statement

    def artifacts(self, run: str) -> Path:
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as database:
            query = f"SELECT artifact_uri FROM runs WHERE run_uuid = '{run}'"
            return Path(database.execute(query).fetchone()[0].removeprefix("file://"))

    def finished(self, run: str) -> tuple[int, bytes, Any]:
        """Number, bytes and statement of the entry that ended an MLflow run."""
        content = GitLog(self.folder).read()
        assert content is not None
        for number, entry in enumerate(content.entries):
            statement = json.loads(base64.b64decode(json.loads(entry)["payload"]))
            if run in json.dumps(statement["predicate"].get("buildDefinition", {})):
                return number, entry, statement
        raise AssertionError(run)

    def trail(self, key: SigningKey | None) -> Trail:
        return Trail(top=self.folder, own=self.folder / ".reproof", log=GitLog(self.folder), key=key)

    def record_of(self, run: str) -> tuple[str, Any]:
        identity = self.finished(run)[2]["subject"][0]["digest"]["sha256"]
        return identity, RecordStore(self.folder / ".reproof").read(identity).record

    @property
    def ada(self) -> SigningKey:
        return open_key(self.config / "keys/default.pem")

    def allow(self, key: SigningKey, **options: str) -> None:
        line = line_for(key.identity, key.name, key.public, meanings=MEANINGS, after="2020-01-01T00:00:00Z")
        more = "".join(f',{name.replace("_", "-")}="{value}"' for name, value in options.items())
        text = (self.folder / "allowed_signers").read_text()
        kept = [each for each in text.splitlines() if key.identity not in each]
        self.write("allowed_signers", "\n".join([*kept, line.replace(" ssh-", f"{more} ssh-", 1)]) + "\n")
        self.commit()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Forged, Path]:
    """The project, and a copy of everything as it was when all was well."""
    place = tmp_path_factory.mktemp("forged")
    home = place / "home"
    home.mkdir()
    env = user_environment(home)
    env |= {
        f"GIT_{role}_{what}": "t@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    env |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "REPROOF_CONFIG_DIR": str(place / "config"),
    }
    project = Forged(place / "project", env)
    project.folder.mkdir()
    project.write("train.py", TRAIN)
    project.write(".gitignore", "mlflow.db*\nmlruns/\nmodel.txt\n")
    key = project.reproof(
        "key", "new", "--identity", "ada@example.org", "--name", "Ada Lovelace", "--no-passphrase", expect=0
    )
    project.write("allowed_signers", key.out)
    project.commit()
    project.reproof("audit", "init", expect=0)
    runs = []
    for number in ("1", "2"):
        project.reproof("run", "--env-manager", "local", "--", "python", "train.py", number, expect=0)
        tracked = next(
            iter((project.folder / ".reproof/records").glob(f"{project.records()[-1].stem}.mlflow.json"))
        )
        runs.append(json.loads(tracked.read_text())["run_id"])
    project.runs = (runs[0], runs[1])
    copy = place / "copy"
    for name in ("project", "config"):
        shutil.copytree(place / name, copy / name, symlinks=True)
    return project, copy


@pytest.fixture
def project(made: tuple[Forged, Path], monkeypatch: pytest.MonkeyPatch) -> Forged:
    """The project as it was; whatever happens in this process happens on the attacker's own machine."""
    project, copy = made
    for name in ("project", "config"):
        remove_tree(project.folder.parent / name)
        shutil.copytree(copy / name, project.folder.parent / name, symlinks=True)
    monkeypatch.chdir(project.folder)
    return project


@pytest.fixture
def eve(tmp_path: Path) -> SigningKey:
    return new_key(tmp_path, "eve@example.org")


def test_an_honest_trail_is_whole(project: Forged) -> None:
    report = project.audit(expect=0)
    assert report["findings"] == []
    assert (report["size"], report["signed"], report["runs"], report["unchecked"]) == (5, 5, 2, [])
    assert [entry["kind"] for entry in report["entries"]] == ["opened", *["started", "finished"] * 2]
    assert project.status() == ""


def test_t1_a_metric_is_changed_in_the_database(project: Forged) -> None:
    run, other = project.runs
    project.sql(
        f"UPDATE metrics SET value = 0.25 WHERE run_uuid = '{run}' AND step = 4",
        f"UPDATE latest_metrics SET value = 0.25 WHERE run_uuid = '{run}' AND key = 'rmse'",
        f"UPDATE latest_metrics SET value = 0.125 WHERE run_uuid = '{other}' AND key = 'rmse'",
    )
    found = project.audit(expect=1)["findings"]
    assert {each["name"] for each in found} == {"metric-changed"}
    shown = {each["subject"]: (each["expected"], each["actual"]) for each in found}
    assert shown[f"metric rmse at step 4 of MLflow run {run}"] == ("0.30000000000000004", "0.25")
    assert shown[f"metric rmse, as shown in lists, of MLflow run {other}"] == ("0.30000000000000004", "0.125")


def test_t1_a_metric_is_removed(project: Forged) -> None:
    project.sql(f"DELETE FROM metrics WHERE run_uuid = '{project.runs[0]}' AND step = 1")
    assert project.names() == {"metric-removed"}


def test_t2_values_are_added_after_the_end(project: Forged) -> None:
    run = project.runs[0]
    env = {**project.env, "MLFLOW_TRACKING_URI": f"sqlite:///{project.folder}/mlflow.db"}
    subprocess.run(
        [sys.executable, "-c", LATE, run], cwd=project.folder, env=env, check=True, capture_output=True
    )
    found = project.audit(expect=1)["findings"]
    names = {each["name"]: each["severity"] for each in found}
    assert names == {
        "metric-added": "error",
        "metric-changed": "error",  # what lists show is the last value
        "parameter-added": "error",
        "tag-changed": "error",
        "tag-added": "warning",
    }
    late = [each["summary"] for each in found if each["name"] == "metric-added"]
    assert late == ["added after the run had ended"] * 2


def test_t3_an_artifact_is_replaced(project: Forged) -> None:
    (project.artifacts(project.runs[0]) / "model.txt").write_text("better weights")
    (project.artifacts(project.runs[1]) / "model.txt").unlink()
    (project.artifacts(project.runs[1]) / "more.txt").write_text("?")
    assert project.names() == {"artifact-changed", "artifact-removed"}


def forge(project: Forged, run: str) -> tuple[str, Any]:
    """A record with a better metric, and the artifacts and values in MLflow that fit it."""
    identity, record = project.record_of(run)
    metrics = tuple(
        msgspec.structs.replace(each, value="0x1.0p-10") if each.step == 4 else each
        for each in record.metrics
    )
    forged = msgspec.structs.replace(record, metrics=metrics)
    RecordStore(project.folder / ".reproof").write(forged)
    project.sql(
        f"UPDATE metrics SET value = {2.0**-10} WHERE run_uuid = '{run}' AND step = 4",
        f"UPDATE latest_metrics SET value = {2.0**-10} WHERE run_uuid = '{run}' AND key = 'rmse'",
    )
    (project.artifacts(run) / "reproof/record.json").write_bytes(encode(forged))
    new = record_id(encode(forged))
    project.sql(f"UPDATE tags SET value = '{new}' WHERE run_uuid = '{run}' AND key = 'reproof.record'")
    assert new != identity
    return new, forged


def enter(project: Forged, claim: claims.Claim, private: SigningKey, **signer: str) -> None:
    """What an attacker's own program writes into the log: any signer, any time."""

    def make(position: Any, previous: str) -> tuple[bytes, str]:
        facts = {
            "name": private.name,
            "identity": private.identity,
            "key": private.id,
            "time": now(),
            **signer,
        }
        return seal(claim.stated(Signer(**facts), position), private), now()

    GitLog(project.folder).append(make, private)


def test_t4_record_and_artifacts_are_replaced_and_signed_by_a_key_of_ones_own(
    project: Forged, eve: SigningKey
) -> None:
    identity, record = forge(project, project.runs[0])
    tracked = claims.TrackedRuns(uri=f"sqlite:///{project.folder}/mlflow.db", runs=(project.runs[0],))
    enter(project, claims.finished(identity, record, {}, tracked), eve)
    assert {"signer-unknown", "checkpoint-unsigned"} <= project.names()
    enter(
        project,
        claims.finished(identity, record, {}, tracked),
        eve,
        identity="ada@example.org",
        key=project.ada.id,
    )
    assert "signer-unknown" in project.names()


def test_t4_the_attacker_allows_himself_in_the_work_tree(
    project: Forged, eve: SigningKey, tmp_path: Path
) -> None:
    trusted = tmp_path / "trusted"
    trusted.write_text((project.folder / "allowed_signers").read_text())
    enter(project, claims.approved(project.record_of(project.runs[0])[0], "fine"), eve)
    line = line_for(eve.identity, eve.name, eve.public, meanings=MEANINGS, after="2020-01-01T00:00:00Z")
    project.write("allowed_signers", f"{trusted.read_text()}{line}\n")
    found = {each["name"] for each in project.audit(expect=1)["findings"]}
    assert {"signers-changed", "signer-unknown"} <= found
    project.commit()  # even so: an auditor brings a list of his own
    assert project.names(expect=0) == set()
    assert "signer-unknown" in project.names("--signers", str(trusted))


def test_t5_a_stolen_key_signs_after_it_was_revoked(project: Forged) -> None:
    stolen = project.ada
    bob = new_key(project.config, "bob@example.org")
    project.allow(bob)
    enter(
        project, claims.approved(project.record_of(project.runs[0])[0], "reviewed"), bob, meaning="reviewer"
    )
    moment = now().replace("-", "").replace(":", "").replace("T", "")[:14]
    time.sleep(1.1)
    project.allow(stolen, valid_before=f"{moment}Z")
    assert "signer-not-allowed" not in {
        each["name"] for each in project.audit()["findings"] if each["subject"] != "entry 5"
    }
    identity, record = forge(project, project.runs[1])
    tracked = claims.TrackedRuns(uri=f"sqlite:///{project.folder}/mlflow.db", runs=(project.runs[1],))
    claim = claims.finished(identity, record, {}, tracked)
    enter(project, claim, stolen)
    assert {"signer-not-allowed", "run-repeated"} <= project.names()


def test_t5_a_stolen_key_signs_with_an_old_date(project: Forged) -> None:
    enter(
        project,
        claims.approved(project.record_of(project.runs[0])[0], "ok"),
        project.ada,
        time="2026-01-01T00:00:00.000Z",
    )
    assert {"clock", "signer-not-allowed"} <= project.names()


def test_t6_an_old_entry_is_entered_again(project: Forged) -> None:
    entry = project.finished(project.runs[0])[1]
    GitLog(project.folder).append(lambda _position, _time: (entry.rstrip(b"\n"), now()), project.ada)
    assert {"log-order", "run-repeated"} <= project.names()


def test_t6_the_record_of_an_older_run_is_given_to_a_newer_one(project: Forged) -> None:
    old, new = project.runs
    identity, record = project.record_of(old)
    (project.artifacts(new) / "reproof/record.json").write_bytes(encode(record))
    project.sql(f"UPDATE tags SET value = '{identity}' WHERE run_uuid = '{new}' AND key = 'reproof.record'")
    found = project.audit(expect=1)["findings"]
    assert {each["name"] for each in found} == {"run-attached", "artifact-changed"}


def test_t7_the_record_of_one_run_is_attached_to_another_model(project: Forged) -> None:
    old, new = project.runs
    identity, _ = project.record_of(old)
    copy = "ab" * 16
    columns = "name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id, deleted_time"
    project.sql(
        f"INSERT INTO runs (run_uuid, {columns}) SELECT '{copy}', {columns} FROM runs WHERE run_uuid = '{new}'",
        f"INSERT INTO tags (key, value, run_uuid) VALUES ('reproof.record', '{identity}', '{copy}')",
    )
    found = project.audit(expect=1)["findings"]
    assert [(each["name"], each["expected"], each["actual"]) for each in found] == [
        ("run-attached", old, copy)
    ]


def test_t7_a_registered_model_names_another_run(project: Forged) -> None:
    old, new = project.runs
    place = project.artifacts(new)
    env = {**project.env, "MLFLOW_TRACKING_URI": f"sqlite:///{project.folder}/mlflow.db"}
    code = (
        "import sys; from mlflow import MlflowClient; c = MlflowClient(); c.create_registered_model('bikes');"
        "c.create_model_version('bikes', sys.argv[1], run_id=sys.argv[2])"
    )
    command = [sys.executable, "-c", code, str(place), old]
    subprocess.run(command, cwd=project.folder, env=env, check=True, capture_output=True)
    found = project.audit(expect=1)["findings"]
    assert [(each["name"], each["expected"], each["actual"]) for each in found] == [
        ("model-misattributed", new, old)
    ]


def test_t8_somebody_elses_result_is_claimed(project: Forged) -> None:
    bob = new_key(project.config, "bob@example.org")
    project.allow(bob)
    identity, record = project.record_of(project.runs[0])
    enter(project, claims.finished(identity, record, {}, claims.TrackedRuns()), bob)
    assert "run-copied" in project.names()
    early = msgspec.structs.replace(record.byproducts, started="2026-01-01T00:00:00.000Z")
    mine = msgspec.structs.replace(record, nonce="0" * 32, created=now(), byproducts=early)
    other = RecordStore(project.folder / ".reproof").write(mine)
    enter(project, claims.started(mine), bob)
    enter(project, claims.finished(other, mine, {}, claims.TrackedRuns()), bob)
    found = [each for each in project.audit(expect=1)["findings"] if other[:12] in each["subject"]]
    assert {"run-copied", "time-mismatch"} == {each["name"] for each in found}


def test_t9_the_log_is_cut_off(project: Forged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "checkpoint"
    kept.write_bytes(
        subprocess.run(["git", "show", f"{REF}:checkpoint"], capture_output=True, check=True).stdout
    )
    project.shell(f"git update-ref {REF} {REF}~2")
    assert project.names() == {"log-truncated", "record-unlogged"}
    shutil.rmtree(project.config / "logs")  # on another machine the cut log is whole in itself
    assert project.names() == {"record-unlogged"}
    assert "log-truncated" in project.names("--checkpoint", str(kept))


def test_t9_the_log_is_rewritten(project: Forged) -> None:
    project.shell(f"git update-ref {REF} {REF}~2")
    for reason in ("a", "b", "c"):
        enter(project, claims.approved("1" * 64, reason), project.ada)
    assert "log-forked" in project.names()


def test_t9_the_log_is_deleted_or_has_a_hole(project: Forged) -> None:
    tip = project.shell(f"git rev-parse {REF}").out.strip()
    project.shell(f"git update-ref -d {REF}")
    assert project.names() == {"log-gone"}
    warned = project.reproof("run", "--env-manager", "local", "--no-log", "--", "true", expect=0).err
    assert "the run is not logged" in warned
    project.shell(
        f"export GIT_INDEX_FILE=.git/hole; git read-tree {tip}; git rm -q --cached entries/0000/00000002.json;"
        f"git update-ref {REF} $(git commit-tree -m hole -p {tip} $(git write-tree))"
    )
    assert {"log-gap", "log-root", "log-order"} <= project.names()


def test_an_entry_is_changed(project: Forged) -> None:
    number, entry, statement = project.finished(project.runs[0])
    statement["predicate"]["reproof_result"]["state"] = "failed"
    envelope = json.loads(entry)
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    (project.folder / "forged").write_text(json.dumps(envelope))
    project.shell(
        f"export GIT_INDEX_FILE=.git/forged; git read-tree {REF};"
        f"git update-index --cacheinfo 100644,$(git hash-object -w forged),entries/0000/{number:08d}.json;"
        f"git update-ref {REF} $(git commit-tree -m x -p {REF} $(git write-tree)); rm forged"
    )
    assert {"log-root", "log-order", "log-forked", "signature-invalid"} <= project.names()


def test_t10_a_run_that_was_killed_is_seen_and_accounted_for(project: Forged) -> None:
    project.write("slow.py", "import time\nprint('started', flush=True)\ntime.sleep(60)\n")
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "reproof.cli.main",
            "run",
            "--env-manager",
            "local",
            "--no-log",
            "--",
            "python",
            "slow.py",
        ],
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdout is not None
    child.stdout.readline()
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    (finding,) = project.audit(expect=1)["findings"]
    assert finding["name"] == "run-unfinished"
    assert "slow.py" in finding["summary"]
    nonce = finding["subject"].removeprefix("run ")
    refused = project.reproof("audit", "sign", nonce, "--as", "author", expect=2)
    assert "say why" in refused.err
    project.reproof("audit", "sign", nonce, "--as", "author", "--reason", "power failure", expect=0)
    (finding,) = project.audit(expect=0)["findings"]
    assert (finding["name"], finding["severity"]) == ("run-unfinished", "warning")
    assert "power failure" in finding["summary"]


def test_t10_a_run_is_made_beside_the_log(project: Forged) -> None:
    tip = project.shell(f"git rev-parse {REF}").out.strip()
    project.shell(f"git update-ref -d {REF}")
    project.reproof("run", "--env-manager", "local", "--no-log", "--", "true", expect=0)
    project.shell(f"git update-ref {REF} {tip}")
    (finding,) = project.audit(expect=1)["findings"]
    assert finding["name"] == "record-unlogged"
    assert finding["subject"] == f"record {project.records()[-1].stem[:12]}"


def test_t10_seeds_are_planned_in_the_log_before_any_result(project: Forged) -> None:
    project.reproof("replicate", "--seeds", "3,4", "--no-log", "--output-format", "json")
    report = project.audit(expect=0)
    assert [each["kind"] for each in report["entries"][-2:]] == ["planned", "replicated"]
    assert report["entries"][-2]["said"] == "2 seeds"


def test_content_and_records_in_the_store_are_changed(project: Forged) -> None:
    objects = project.folder / ".reproof/objects/b3"
    for place in objects.rglob("*"):
        if place.is_file() and place.read_bytes() == b"weights 1":
            place.chmod(0o644)
            place.write_text("weights 9")
    identity, _ = project.record_of(project.runs[1])
    place = project.folder / f".reproof/records/{identity}.json"
    place.write_bytes(place.read_bytes().replace(b"train.py", b"other.py"))
    assert project.names() == {"content-changed", "record-changed"}


def test_a_verdict_is_entered_and_a_forged_one_is_not(project: Forged) -> None:
    identity, _ = project.record_of(project.runs[0])
    project.reproof("verify", identity[:12], "--isolation", "process", "--no-log", expect=0)
    report = project.audit(expect=0)
    assert [each["kind"] for each in report["entries"]][-1] == "verdict"
    place = project.folder / f".reproof/records/{identity}.verdict-1.json"
    text = place.read_text()
    word = json.loads(text)["word"]
    place.write_text(text.replace(f'"{word}"', '"inconclusive"', 1))
    assert project.names() == {"verdict-unlogged"}


def test_a_run_is_removed_from_mlflow(project: Forged) -> None:
    project.sql(f"UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = '{project.runs[0]}'")
    assert project.names() == {"run-removed"}


def test_a_store_that_cannot_be_read_is_said(project: Forged) -> None:
    (project.folder / "mlflow.db").write_text("nonsense, and long enough to be no database at all")
    report = project.audit(expect=3)
    assert report["findings"] == []
    assert len(report["unchecked"]) == 3
    assert project.audit("--no-tracking", expect=0)["unchecked"] == []


def test_a_run_is_signed_with_a_meaning(project: Forged) -> None:
    identity, _ = project.record_of(project.runs[0])
    said = project.reproof(
        "audit", "sign", identity[:12], "--as", "reviewer", "--reason", "checked", expect=0
    )
    assert "as reviewer: Ada Lovelace" in said.out
    (entry,) = [each for each in project.audit(expect=0)["entries"] if each["kind"] == "signature"]
    assert (entry["meaning"], entry["identity"], entry["trusted"]) == ("reviewer", "ada@example.org", True)


def test_who_may_not_sign_is_told_before(project: Forged, golden: Any) -> None:
    new_key(project.config, "eve@example.org")
    refused = project.reproof("audit", "sign", "--as", "author", "--key", "eve", expect=2)
    text = refused.err.replace(open_key(project.config / "keys/eve.pem").id[:12], "<key>")
    golden("attest/unknown_signer", text)
    project.allow(project.ada, valid_before="20210101")
    expired = project.reproof("audit", "sign", "--as", "author", expect=2)
    golden("attest/expired_signer", expired.err)


def test_a_log_is_opened_once(project: Forged) -> None:
    assert "has a log already" in project.reproof("audit", "init", expect=2).err
    assert config_directory() != project.config


def test_a_clock_in_the_past(project: Forged, golden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from reproof.errors import TrustError
    from reproof.workflow import trail

    monkeypatch.setattr(trail, "now", lambda: "2026-01-01T00:00:00.000Z")
    with pytest.raises(TrustError) as caught:
        project.trail(project.ada).enter(claims.approved("1" * 64, ""), "author", refuse_clock)
    error = caught.value
    error.details = tuple(
        (label, "<time>" if label == "last entry" else text) for label, text in error.details
    )
    golden("attest/clock_in_the_past", error)


def test_records_decode_after_all(project: Forged) -> None:
    identity, record = project.record_of(project.runs[0])
    assert decode_record(encode(record), where="x") == record
    assert record_id(encode(record)) == identity
