"""Plans that travel: packed on one machine, settled on another that sees nothing of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from reproof.base.digesting import digest_bytes
from reproof.base.files import remove_tree
from reproof.errors import MaterialError, ProjectError
from reproof.model.artifact import Artifact
from reproof.model.record import CodeSection, ProjectSection, Record, Submodule, Tool
from reproof.project.settings import Settings
from reproof.store.directory import DirectoryStore
from reproof.workflow import parcel
from reproof.workflow.cluster import unpack
from reproof.workflow.parcel import pack, settle
from reproof.workflow.room import Plan


def artifact(name: str, content: bytes, **more: object) -> Artifact:
    made = Artifact(name=name, digests={"blake3": digest_bytes(content)["blake3"]}, size=len(content))
    return msgspec.structs.replace(made, **more)


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Of a run with a patch, an untracked file, and an input in the HOME; each is in one place only."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path / "cache"))
    top = tmp_path / "first" / "project"
    top.mkdir(parents=True)
    (tmp_path / "home").mkdir()
    (top / "train.py").write_text("print(1)\n")
    (tmp_path / "home" / "rows.txt").write_bytes(b"rows")
    git(top, "init", "-q", ".")
    git(top, "add", "-A")
    git(top, "commit", "-qm", "first")
    git(top, "update-ref", "refs/remotes/origin/main", "HEAD")  # which a remote has: it travels all the same
    store = DirectoryStore(top / ".reproof")
    store.put_bytes(b"patch")
    store.put_bytes(b"notes")
    store.put_bytes(b"result")
    record = Record(
        tool=Tool(version="0"),
        state="finished",
        created="2026-01-01T00:00:00Z",
        nonce="n",
        project=ProjectSection(name="p", command="true"),
        code=CodeSection(
            commit=git(top, "rev-parse", "HEAD"),
            tree=git(top, "rev-parse", "HEAD^{tree}"),
            patch=artifact("patch", b"patch"),
            untracked=(artifact("notes.txt", b"notes"),),
        ),
        materials=(artifact("${HOME}/rows.txt", b"rows", origin="external"),),
        products=(artifact("result.txt", b"result", kept=True),),
    )
    return Plan(record=record, source=top, store=store, settings=Settings(), rooms=tmp_path / "rooms")


def elsewhere(plan: Plan, tmp_path: Path) -> Plan:
    """The plan where it arrives, and nothing of the first machine is left."""
    packed = pack(plan)
    remove_tree(tmp_path / "first")
    unpack(packed.luggage)
    return settle(packed.plan)


def test_a_plan_settles_where_nothing_is_left_of_its_origin(plan: Plan, tmp_path: Path) -> None:
    there = elsewhere(plan, tmp_path)
    assert there.source.is_relative_to(tmp_path / "cache")
    assert there.source.name == "project"
    assert (there.source / "train.py").read_text() == "print(1)\n"
    assert git(there.source, "rev-parse", "HEAD") == plan.record.code.commit
    assert (there.parcel, there.rooms, there.record) == (None, None, plan.record)
    for content in (b"patch", b"notes", b"rows"):
        digest = artifact("", content).digest
        assert digest is not None
        assert there.store.get_bytes(digest) == content
    result = artifact("", b"result").digest
    assert result not in there.store  # what came out is compared where the run was recorded


def test_a_place_is_made_once_for_all_re_runs(plan: Plan) -> None:
    packed = pack(plan)
    unpack(packed.luggage)
    one = settle(packed.plan).source
    (one / "mark").touch()
    assert settle(packed.plan).source == one
    assert (one / "mark").exists()
    assert [path.name for path in one.parent.parent.iterdir()] == [one.parent.name]  # nothing half-made


def test_a_plan_of_this_machine_stays_as_it_is(plan: Plan) -> None:
    assert settle(plan) is plan


def test_without_its_luggage_it_does_not_settle(plan: Plan, tmp_path: Path) -> None:
    packed = pack(plan)
    remove_tree(tmp_path / "cache")
    with pytest.raises(Exception, match="is not in the store"):
        settle(packed.plan)
    assert list((tmp_path / "cache" / "parcels").iterdir()) == []


def test_an_input_that_changed_does_not_travel(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "home" / "rows.txt").write_bytes(b"others")
    digests = set(pack(plan).luggage)
    assert digest_bytes(b"others")["blake3"] not in digests
    assert digest_bytes(b"rows")["blake3"] not in digests


def test_what_cannot_travel_is_named(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    code = plan.record.code
    lost = msgspec.structs.replace(code, commit="0" * 40)
    with pytest.raises(ProjectError, match="is not in"):
        pack(with_code(plan, lost))
    inner = msgspec.structs.replace(code, submodules=(Submodule(path="inner", commit="1" * 40),))
    with pytest.raises(MaterialError, match="submodules do not travel"):
        pack(with_code(plan, inner))
    monkeypatch.setattr(parcel, "LIMIT", 3)
    with pytest.raises(MaterialError, match="too large to travel"):
        pack(plan)


def with_code(plan: Plan, code: CodeSection) -> Plan:
    return msgspec.structs.replace(plan, record=msgspec.structs.replace(plan.record, code=code))
