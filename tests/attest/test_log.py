"""The log in a Git ref: grows, is read back, touches nothing else, loses nothing to a second writer."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from attesting import NOW, statement
from reproof.attest import checkpoint as notes
from reproof.attest.checkpoint import Checkpoint
from reproof.attest.dsse import seal
from reproof.attest.examine import examine
from reproof.attest.keys import SigningKey
from reproof.attest.log import REF, GitLog, remembered
from reproof.attest.merkle import leaf_hash, root_of
from reproof.errors import TrustError
from reproof.model.statement import Signer


def run(top: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=top, check=True, capture_output=True, text=True).stdout


def add(log: GitLog, key: SigningKey | None, origin: str = "", **facts: Any) -> int:
    signer = Signer(time=NOW, identity=key.identity, key=key.id) if key else None
    return log.append(lambda at, _: (seal(statement(at, signer, **facts), key), NOW), key, origin=origin)[0]


def test_it_grows_and_is_read_back(repository: Path, key: SigningKey) -> None:
    log = GitLog(repository)
    assert log.state() is None
    assert log.read() is None
    with pytest.raises(TrustError, match="no log"):
        add(log, key)
    assert add(log, key, "reproof/x/1") == 0
    assert [add(log, key, number=number) for number in range(1, 5)] == list(range(1, 5))
    state = log.state()
    assert state is not None
    log.write([b"%d" % number for number in range(5, 105)], state, key)
    content = log.read()
    assert content is not None
    assert len(content.entries) == 105
    note = notes.read(content.checkpoint, where="x")
    assert (note.origin, note.size) == ("reproof/x/1", 105)
    assert note.root == root_of([leaf_hash(entry) for entry in content.entries])
    assert note.signed_by({key.public: key.identity}) == {key.public}
    assert remembered("reproof/x/1") == content.checkpoint
    found = {each.name for each in examine(content, (), (content.checkpoint,)).findings}
    assert found == {"signer-unknown", "log-damaged"}
    with pytest.raises(TrustError, match="already"):
        add(log, key, "reproof/x/2")


def test_nothing_else_is_touched(repository: Path, key: SigningKey) -> None:
    (repository / "train.py").write_text("changed\n")
    before = (
        run(repository, "status", "--porcelain"),
        run(repository, "log", "--all", "--oneline", "--", "train.py"),
    )
    index = (repository / ".git/index").read_bytes()
    add(GitLog(repository), key, "reproof/x/1")
    after = (
        run(repository, "status", "--porcelain"),
        run(repository, "log", "--branches", "--oneline", "--", "train.py"),
    )
    assert before == after
    assert (repository / ".git/index").read_bytes() == index
    assert run(repository, "for-each-ref", "--format=%(refname)", "refs/reproof").split() == [REF]


def test_two_writers_at_once_lose_nothing(repository: Path, key: SigningKey) -> None:
    add(GitLog(repository), key, "reproof/x/1")
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda n: add(GitLog(repository), key, number=n), range(12)))
    assert sorted(numbers) == list(range(1, 13))
    content = GitLog(repository).read()
    assert content is not None
    findings = {each.name for each in examine(content, (), ()).findings}
    assert findings == {"signer-unknown"}


def test_it_travels_with_fetch_and_a_hook_of_the_users_does_not_run(
    repository: Path, key: SigningKey, tmp_path: Path
) -> None:
    hook = repository / ".git/hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    add(GitLog(repository), key, "reproof/x/1")
    hook.unlink()
    run(tmp_path, "clone", "-q", str(repository), "clone")
    assert GitLog(tmp_path / "clone").read() is None
    run(tmp_path / "clone", "fetch", "-q", "origin", f"{REF}:{REF}")
    assert GitLog(tmp_path / "clone").read() == GitLog(repository).read()


def test_a_state_that_was_tampered_with_is_refused(repository: Path, key: SigningKey) -> None:
    add(GitLog(repository), key, "reproof/x/1")
    script = (
        f"export GIT_INDEX_FILE=.git/x; git read-tree {REF};"
        'git update-index --cacheinfo 100644,$(echo \'{"origin":"reproof/x/1"}\' | git hash-object -w --stdin),state.json;'
        f"git update-ref {REF} $(git commit-tree -m x $(git write-tree))"
    )
    subprocess.run(["bash", "-c", script], cwd=repository, check=True)
    with pytest.raises(TrustError, match="do not agree"):
        add(GitLog(repository), key)


def test_an_unsigned_log_is_called_so(repository: Path) -> None:
    add(GitLog(repository), None, "reproof/x/1")
    content = GitLog(repository).read()
    assert content is not None
    (finding,) = examine(content, (), ()).findings
    assert (finding.name, finding.severity) == ("unsigned", "warning")


@pytest.mark.parametrize(
    "text", ["", "a\n1\n", "a\n-1\nAAAA\n\n", "a\nx\nAAAA\n\n", "a\n1\nAAAA\n\nnonsense\n", "a\n1\n!\n\n"]
)
def test_texts_that_are_no_checkpoints(text: str) -> None:
    with pytest.raises(TrustError, match="not a checkpoint"):
        notes.read(text.encode(), where="x")


def test_a_changed_checkpoint_does_not_verify(key: SigningKey) -> None:
    text = notes.write("reproof/x/1", 7, b"\1" * 32, key)
    sound = notes.read(text, where="x")
    assert sound.signed_by({key.public: key.identity}) == {key.public}
    changed = notes.read(text.replace(b"\n7\n", b"\n8\n"), where="x")
    assert isinstance(changed, Checkpoint)
    assert changed.signed_by({key.public: key.identity}) == frozenset()
