"""Clones that have the bytes of their source, and nothing else of it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import zlib
from pathlib import Path

import pytest

from reproof.base.cloning import Checkout, add_bundle, apply_patch, bundle, clone, clone_at
from reproof.base.git import altered, checkout_settings, diff_binary, head, submodules, untracked
from reproof.errors import MaterialError, ProjectError


def run(directory: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=directory, capture_output=True, check=True)
    return os.fsdecode(done.stdout).strip()


def commit_all(directory: Path, message: str = "change") -> str:
    run(directory, "add", "-A")
    run(directory, "commit", "-q", "-m", message)
    return run(directory, "rev-parse", "HEAD")


def make(top: Path) -> Path:
    top.mkdir(parents=True)
    run(top, "init", "-q", "-b", "main")
    (top / "train.py").write_text("print(1)\n")
    (top / "data.bin").write_bytes(bytes(range(256)))
    commit_all(top, "first")
    return top


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make(tmp_path / "project")


def tree(top: Path) -> dict[str, tuple[int, bytes]]:
    """Files of the work tree with mode and content."""
    return {
        os.path.relpath(path, top): (
            path.lstat().st_mode,
            os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes(),
        )
        for path in top.rglob("*")
        if ".git" not in path.relative_to(top).parts and (path.is_symlink() or path.is_file())
    }


def test_clone_has_the_same_bytes_and_shares_no_file(repository: Path, tmp_path: Path) -> None:
    commit = head(repository).commit
    done = clone_at(repository, tmp_path / "room", commit, Checkout(branch="main"))
    assert done.commit == commit
    assert tree(tmp_path / "room") == tree(repository)
    assert head(tmp_path / "room") == head(repository)
    inodes = {path.stat().st_ino for path in repository.rglob("*")}
    assert not inodes & {path.stat().st_ino for path in (tmp_path / "room").rglob("*")}
    assert run(tmp_path / "room", "remote") == ""
    assert str(repository) not in (tmp_path / "room/.git/config").read_text()


def test_patch_brings_the_clone_to_the_dirty_state(repository: Path, tmp_path: Path) -> None:
    (repository / "gone.txt").write_text("x\n")
    (repository / 'odd "name"\n.txt').write_text("x\n")
    commit = commit_all(repository)
    (repository / "train.py").write_bytes(b"print(2)  \n\n\nno newline at the end \t")
    (repository / "train.py").chmod(0o755)
    (repository / "data.bin").write_bytes(bytes(reversed(range(256))))
    (repository / "gone.txt").unlink()
    (repository / 'odd "name"\n.txt').write_text("y\n")
    (repository / "link").symlink_to("train.py")
    (repository / "crlf.txt").write_bytes(b"a\r\nb\nc\r\n")
    run(repository, "add", "link", "crlf.txt")
    clone_at(repository, tmp_path / "room", commit)
    apply_patch(tmp_path / "room", diff_binary(repository))
    assert tree(tmp_path / "room") == tree(repository)


def test_empty_patch_changes_nothing_and_a_foreign_one_is_refused(repository: Path, tmp_path: Path) -> None:
    clone_at(repository, tmp_path / "room", head(repository).commit)
    before = tree(tmp_path / "room")
    apply_patch(tmp_path / "room", b"")
    assert tree(tmp_path / "room") == before
    hostile = b"diff --git a/../evil b/../evil\nnew file mode 100644\n--- /dev/null\n+++ b/../evil\n@@ -0,0 +1 @@\n+x\n"
    with pytest.raises(ProjectError):
        apply_patch(tmp_path / "room", hostile)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("autocrlf", ["true", "input", "false"])
def test_line_endings_of_the_user_are_re_created(repository: Path, tmp_path: Path, autocrlf: str) -> None:
    run(repository, "config", "core.autocrlf", autocrlf)
    (repository / "train.py").unlink()
    run(repository, "checkout", "--", "train.py")
    (repository / "mixed.txt").write_bytes(b"a\nb\n")
    commit = commit_all(repository)
    (repository / "mixed.txt").unlink()
    run(repository, "checkout", "--", "mixed.txt")
    line = b"b\r\n" if autocrlf == "true" else b"b\n"
    (repository / "mixed.txt").write_bytes(b"a" + line[1:] + b"changed" + line[1:])
    clone_at(repository, tmp_path / "room", commit, Checkout(settings=checkout_settings(repository)))
    apply_patch(tmp_path / "room", diff_binary(repository))
    assert altered(repository) == {}
    assert tree(tmp_path / "room") == tree(repository)


def test_settings_of_the_user_do_not_reach_the_clone(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "ran"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "post-checkout").write_text(f'#!/bin/sh\ntouch "{trace}"\n')
    (hooks / "post-checkout").chmod(0o755)
    template = tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    (template / "hooks/post-checkout").write_text(f'#!/bin/sh\ntouch "{trace}"\n')
    (template / "hooks/post-checkout").chmod(0o755)
    (tmp_path / "attributes").write_text("* text eol=crlf filter=evil\n")
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[core]\nhooksPath = {hooks}\nautocrlf = true\nattributesFile = {tmp_path}/attributes\n"
        f"[init]\ntemplateDir = {template}\n[apply]\nwhitespace = fix\n[core]\nwhitespace = trailing-space\n"
        f'[filter "evil"]\nsmudge = touch {trace}; cat\nclean = touch {trace}; cat\n'
    )
    commit = head(repository).commit
    (repository / "train.py").write_text("print(1)   \n")
    patch = diff_binary(repository)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    clone_at(repository, tmp_path / "room", commit)
    apply_patch(tmp_path / "room", patch)
    assert tree(tmp_path / "room") == tree(repository)
    assert not trace.exists()


def test_commit_that_no_branch_holds_is_found(repository: Path, tmp_path: Path) -> None:
    (repository / "train.py").write_text("print('lost')\n")
    lost = commit_all(repository)
    run(repository, "reset", "-q", "--hard", "HEAD~1")
    clone_at(repository, tmp_path / "room", lost)
    assert (tmp_path / "room/train.py").read_text() == "print('lost')\n"


def test_shallow_source_and_linked_work_tree(repository: Path, tmp_path: Path) -> None:
    (repository / "train.py").write_text("print(2)\n")
    commit = commit_all(repository)
    run(tmp_path, "clone", "-q", "--depth=1", f"file://{repository}", "shallow")
    clone_at(tmp_path / "shallow", tmp_path / "room", commit)
    assert tree(tmp_path / "room") == tree(repository)
    run(repository, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"), "HEAD~1")
    clone_at(tmp_path / "linked", tmp_path / "room2", head(tmp_path / "linked").commit)
    assert (tmp_path / "room2/train.py").read_text() == "print(1)\n"


def test_source_that_borrows_objects_is_cloned_whole(repository: Path, tmp_path: Path) -> None:
    run(tmp_path, "clone", "-q", "--shared", str(repository), "borrower")
    clone_at(tmp_path / "borrower", tmp_path / "room", head(repository).commit)
    assert not (tmp_path / "room/.git/objects/info/alternates").exists()
    repository.rename(tmp_path / "moved")
    assert run(tmp_path / "room", "fsck") == ""


def test_unknown_commit_is_named(repository: Path, tmp_path: Path, golden) -> None:
    with pytest.raises(ProjectError) as caught:
        clone_at(repository, tmp_path / "room", "0123456789" * 4)
    golden("base/unknown_commit", caught.value)


def test_forged_object_is_noticed(repository: Path, tmp_path: Path, golden) -> None:
    """Git does not hash what it reads: a clone would silently carry other code under the same id."""
    oid = run(repository, "rev-parse", "HEAD:train.py")
    place = repository / ".git/objects" / oid[:2] / oid[2:]
    place.chmod(0o644)
    place.write_bytes(zlib.compress(b"blob 9\0print(6)\n"))
    with pytest.raises(MaterialError) as caught:
        clone_at(repository, tmp_path / "room", head(repository).commit)
    text = [part.replace(head(repository).commit, "<commit>") for _, part in caught.value.details]
    assert text == [oid, "<commit>"]
    assert caught.value.message == "`train.py` in the Git repository does not have its recorded content"


def test_submodules_come_from_the_checkout_at_their_commits(repository: Path, tmp_path: Path) -> None:
    library = make(tmp_path / "library")
    allow = ("-c", "protocol.file.allow=always")
    run(repository, *allow, "submodule", "--quiet", "add", str(library), "libs/it")
    commit = commit_all(repository)
    (repository / "libs/it/train.py").write_text("print('not pushed anywhere')\n")
    inner = commit_all(repository / "libs/it")
    found = submodules(repository)
    assert [sub.commit for sub in found] == [inner]
    library.rename(tmp_path / "moved")
    done = clone_at(repository, tmp_path / "room", commit, Checkout(submodules=found))
    assert done.absent == ()
    assert tree(tmp_path / "room") == tree(repository)


def test_submodule_that_the_source_does_not_have_is_absent(repository: Path, tmp_path: Path) -> None:
    library = make(tmp_path / "library")
    run(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "it")
    commit = commit_all(repository)
    found = submodules(repository)
    run(tmp_path, "clone", "-q", str(repository), "without")
    assert clone_at(tmp_path / "without", tmp_path / "room", commit, Checkout(submodules=found)).absent == (
        "it",
    )


def test_lfs_content_comes_from_the_source_and_is_verified(repository: Path, tmp_path: Path) -> None:
    (repository / ".gitattributes").write_text("*.dat filter=lfs\n")
    for name, kept in (("good.dat", b"weights"), ("bad.dat", b"corrupted"), ("none.dat", None)):
        content = name.encode() if name != "good.dat" else b"weights"
        oid = hashlib.sha256(content).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"
        (repository / name).write_text(pointer)
        if kept is not None:
            place = repository / ".git/lfs/objects" / oid[:2] / oid[2:4]
            place.mkdir(parents=True)
            (place / oid).write_bytes(kept)
    commit = commit_all(repository)
    done = clone_at(repository, tmp_path / "room", commit)
    assert set(done.pointers) == {"bad.dat", "none.dat"}
    assert (tmp_path / "room/good.dat").read_bytes() == b"weights"


def test_bundle_holds_what_no_remote_has(repository: Path, tmp_path: Path) -> None:
    first = head(repository).commit
    run(tmp_path, "init", "-q", "--bare", "-b", "main", "remote.git")
    run(repository, "remote", "add", "origin", str(tmp_path / "remote.git"))
    run(repository, "push", "-q", "origin", "main")
    assert bundle(repository, [first], tmp_path / "none.bundle") is False
    assert not (tmp_path / "none.bundle").exists()
    (repository / "train.py").write_text("print('only here')\n")
    second = commit_all(repository)
    refs = run(repository, "for-each-ref")
    assert bundle(repository, [second], tmp_path / "some.bundle") is True
    assert run(repository, "for-each-ref") == refs
    with pytest.raises(ProjectError):
        clone_at(tmp_path / "some.bundle", tmp_path / "alone", second)
    clone(str(tmp_path / "remote.git"), tmp_path / "copy")
    add_bundle(tmp_path / "copy", tmp_path / "some.bundle")
    clone_at(tmp_path / "copy", tmp_path / "room", second)
    assert (tmp_path / "room/train.py").read_text() == "print('only here')\n"


def test_bundle_without_remotes_stands_alone(repository: Path, tmp_path: Path) -> None:
    commit = head(repository).commit
    assert bundle(repository, [commit], tmp_path / "all.bundle")
    clone_at(tmp_path / "all.bundle", tmp_path / "room", commit)
    assert tree(tmp_path / "room") == tree(repository)


@pytest.mark.parametrize("form", ["main", "v1", "short", "full", None])
def test_clone_by_address_and_revision(repository: Path, tmp_path: Path, form: str | None) -> None:
    commit = head(repository).commit
    run(repository, "tag", "-a", "v1", "-m", "annotated")
    revision = {"short": commit[:9], "full": commit}.get(form, form) if form else None
    assert clone(str(repository), tmp_path / "copy", revision) == commit
    assert head(tmp_path / "copy").branch == ("main" if form in ("main", None) else None)
    assert tree(tmp_path / "copy") == tree(repository)
    assert untracked(tmp_path / "copy") == []


def test_unknown_revision_lists_the_known(repository: Path, tmp_path: Path, golden) -> None:
    run(repository, "tag", "v1.0")
    with pytest.raises(ProjectError) as caught:
        clone(str(repository), tmp_path / "copy", "v1.1")
    golden("base/unknown_revision", caught.value)


def test_dangling_default_branch_names_the_others(repository: Path, tmp_path: Path, golden) -> None:
    run(repository, "symbolic-ref", "HEAD", "refs/heads/none")
    with pytest.raises(ProjectError) as caught:
        clone(str(repository), tmp_path / "copy")
    golden("base/no_default_branch", caught.value)


def test_address_that_does_not_exist(tmp_path: Path, golden) -> None:
    with pytest.raises(ProjectError) as caught:
        clone(str(tmp_path / "nowhere"), tmp_path / "copy")
    golden("base/unknown_address", caught.value)


def test_existing_folder_is_not_overwritten(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room/mine").write_text("mine")
    with pytest.raises(ProjectError):
        clone_at(repository, tmp_path / "room", head(repository).commit)
    assert (tmp_path / "room/mine").read_text() == "mine"
