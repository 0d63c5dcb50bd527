"""Reading repositories, with every setting that makes Git hide, convert or run something."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from reproof.base import git as reading
from reproof.base.git import git_bytes
from reproof.errors import ProjectError


def run(directory: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=directory, capture_output=True, check=True)
    return os.fsdecode(done.stdout).strip()


def commit_all(directory: Path, message: str = "change") -> str:
    run(directory, "add", "-A")
    run(directory, "commit", "-q", "-m", message)
    return run(directory, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    top = tmp_path / "project"
    top.mkdir()
    run(top, "init", "-q", "-b", "main")
    (top / "train.py").write_text("print(1)\n")
    (top / "data.bin").write_bytes(bytes(range(256)))
    commit_all(top, "first")
    return top


def whole(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below `folder`, .git included, with its time of change and content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_no_repository_is_an_error_that_its_hint_cures(tmp_path: Path, golden) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "train.py").write_text("")
    with pytest.raises(ProjectError) as caught:
        reading.require_top(folder)
    golden("base/no_repository", caught.value)
    command = caught.value.hint.removeprefix("run `").removesuffix("`")
    subprocess.run(command, shell=True, cwd=folder, check=True, capture_output=True)
    assert reading.head(reading.require_top(folder)).commit


def test_no_commit_is_an_error_that_its_hint_cures(tmp_path: Path, golden) -> None:
    folder = tmp_path / "young"
    folder.mkdir()
    run(folder, "init", "-q")
    (folder / "train.py").write_text("")
    with pytest.raises(ProjectError) as caught:
        reading.head(reading.require_top(folder))
    golden("base/no_commit", caught.value)
    command = caught.value.hint.removeprefix("run `").removesuffix("`")
    subprocess.run(command, shell=True, cwd=folder, check=True, capture_output=True)
    assert reading.head(folder).commit


def test_head_names_commit_tree_and_branch(repository: Path) -> None:
    found = reading.head(repository)
    assert found == (
        run(repository, "rev-parse", "HEAD"),
        run(repository, "rev-parse", "HEAD^{tree}"),
        "main",
    )
    run(repository, "checkout", "-q", "--detach")
    assert reading.head(repository).branch is None


def test_top_of_a_subdirectory_and_of_nothing(repository: Path, tmp_path: Path) -> None:
    (repository / "sub").mkdir()
    assert reading.find_top(repository / "sub") == repository
    assert reading.require_top(repository / "sub") == repository
    assert reading.find_top(tmp_path) is None


def test_variables_of_a_git_hook_do_not_redirect_us(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = reading.head(repository)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    assert reading.head(repository) == expected
    assert reading.diff_binary(repository) == b""


def test_clean_then_changed_then_untracked(repository: Path) -> None:
    assert not reading.is_dirty(repository)
    (repository / "new file.txt").write_text("x")
    assert reading.is_dirty(repository)
    assert reading.untracked(repository) == ["new file.txt"]
    (repository / ".gitignore").write_text("*.txt\n")
    assert reading.untracked(repository) == [".gitignore"]


def test_names_with_newlines_quotes_and_no_utf8(repository: Path) -> None:
    names = [b"a\nb", b'q"uote', b"\xff\xfe.bin", b"-dash", "ü ä".encode()]
    for name in names:
        Path(os.fsdecode(os.fsencode(repository) + b"/" + name)).write_bytes(b"x")
    assert set(map(os.fsencode, reading.untracked(repository))) == set(names)
    commit_all(repository)
    assert set(map(os.fsencode, reading.ls_files(repository))) == {*names, b"train.py", b"data.bin"}


def test_nothing_in_the_repository_is_written(repository: Path) -> None:
    (repository / "train.py").write_text("print(2)\n")
    os.utime(repository / "data.bin")  # makes the index stale: plain `git status` would rewrite it
    before = whole(repository)
    reading.is_dirty(repository)
    reading.diff_binary(repository)
    reading.altered(repository)
    reading.submodules(repository)
    reading.is_pushed(repository, "HEAD")
    assert whole(repository) == before


def test_the_users_diff_programs_and_monitors_do_not_run(repository: Path, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{trace}"\ncat\n')
    program.chmod(0o755)
    for name, value in {
        "diff.external": f"{program} external",
        "diff.mine.textconv": f"{program} textconv",
        "diff.mine.command": f"{program} command",
        "core.fsmonitor": f"{program} fsmonitor",
        "diff.noprefix": "true",
        "diff.relative": "true",
        "diff.renames": "copies",
        "color.ui": "always",
        "filter.mine.clean": f"{program} clean",
        "filter.mine.smudge": f"{program} smudge",
    }.items():
        run(repository, "config", name, value)
    (repository / ".git/info/attributes").write_text("*.py diff=mine\n*.bin filter=mine\n")
    (repository / "train.py").write_text("print(3)\n")
    (repository / "data.bin").write_bytes(b"other")
    patch = reading.diff_binary(repository)
    reading.is_dirty(repository)
    assert b"diff --git a/train.py b/train.py" in patch
    assert b"+print(3)" in patch
    assert not trace.exists(), trace.read_text()


def test_flags_that_hide_changes_are_seen_through(repository: Path) -> None:
    run(repository, "update-index", "--assume-unchanged", "train.py")
    run(repository, "update-index", "--skip-worktree", "data.bin")
    (repository / "train.py").write_text("print('hidden')\n")
    (repository / "data.bin").write_bytes(b"hidden too")
    assert run(repository, "status", "--porcelain") == ""
    before = whole(repository)
    patch = reading.diff_binary(repository)
    assert b"a/train.py" in patch
    assert b"a/data.bin" in patch
    assert whole(repository) == before


def test_same_size_edit_with_kept_time_is_seen(repository: Path) -> None:
    run(repository, "config", "core.trustctime", "false")
    run(repository, "config", "core.checkStat", "minimal")
    times = (repository / "train.py").stat()
    os.utime(repository / "train.py", ns=(0, 10**18))
    run(repository, "update-index", "--refresh")
    time.sleep(1.1)  # Git keeps times of change in whole seconds
    (repository / "train.py").write_text("print(9)\n")
    os.utime(repository / "train.py", ns=(0, 10**18))
    assert times.st_size == (repository / "train.py").stat().st_size
    assert b"+print(9)" in reading.diff_binary(repository)


def test_replaced_objects_do_not_stand_in_for_the_real_ones(repository: Path) -> None:
    first = run(repository, "rev-parse", "HEAD:train.py")
    (repository / "train.py").write_text("print('replacement')\n")
    other = run(repository, "hash-object", "-w", "train.py")
    run(repository, "replace", first, other)
    assert git_bytes(repository, "cat-file", "blob", first) == b"print(1)\n"


def test_removed_added_and_mode_changes_are_in_the_patch(repository: Path) -> None:
    (repository / "data.bin").unlink()
    (repository / "train.py").chmod(0o755)
    (repository / "new.py").write_text("x = 1\n")
    run(repository, "add", "-N", "new.py")
    patch = reading.diff_binary(repository)
    assert b"deleted file mode 100644" in patch
    assert b"new mode 100755" in patch
    assert b"+x = 1" in patch


def test_remote_address_has_no_secrets(repository: Path) -> None:
    assert reading.remote_address(repository) is None
    run(repository, "remote", "add", "backup", "https://example.org/backup.git")
    assert reading.remote_address(repository) == "https://example.org/backup.git"
    run(repository, "remote", "add", "origin", "https://me:hunter2@example.org/x.git?private_token=hunter2")
    assert reading.remote_address(repository) == "https://example.org/x.git"
    run(repository, "remote", "set-url", "origin", "git@example.org:team/x.git")
    assert reading.remote_address(repository) == "git@example.org:team/x.git"


def test_pushed_is_what_a_remote_branch_contains(repository: Path, tmp_path: Path) -> None:
    first = run(repository, "rev-parse", "HEAD")
    run(tmp_path, "init", "-q", "--bare", "remote.git")
    run(repository, "remote", "add", "origin", str(tmp_path / "remote.git"))
    assert not reading.is_pushed(repository, first)
    run(repository, "push", "-q", "origin", "main")
    assert reading.is_pushed(repository, first)
    (repository / "train.py").write_text("print(2)\n")
    assert not reading.is_pushed(repository, commit_all(repository))


def test_submodules_are_named_with_the_commit_that_is_checked_out(repository: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    run(library, "init", "-q", "-b", "main")
    (library / "lib.py").write_text("a = 1\n")
    first = commit_all(library)
    run(
        repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "libs/it"
    )
    commit_all(repository)
    assert [(sub.path, sub.commit) for sub in reading.submodules(repository)] == [("libs/it", first)]
    assert not reading.is_dirty(repository)
    (repository / "libs/it/lib.py").write_text("a = 2\n")
    assert reading.dirty_submodules(repository) == ("libs/it",)
    assert reading.is_dirty(repository)
    assert reading.diff_binary(repository) == b""


def test_line_endings_that_git_calls_unchanged_are_named(repository: Path) -> None:
    (repository / ".gitattributes").write_text("*.csv text\n*.bat eol=crlf\n")
    (repository / "a.csv").write_bytes(b"1,2\n")
    (repository / "b.bat").write_bytes(b"echo\r\n")
    commit_all(repository)
    assert reading.altered(repository) == {}
    (repository / "a.csv").write_bytes(b"1,2\r\n")
    assert reading.diff_binary(repository) == b""
    assert reading.altered(repository) == {"a.csv": "line endings"}


def test_autocrlf_is_recorded_and_expected(repository: Path) -> None:
    run(repository, "config", "core.autocrlf", "true")
    assert reading.checkout_settings(repository) == {"core.autocrlf": "true"}
    (repository / "train.py").unlink()
    run(repository, "checkout", "-q", "--", "train.py")
    assert (repository / "train.py").read_bytes() == b"print(1)\r\n"
    assert reading.altered(repository) == {}
    (repository / "train.py").write_bytes(b"print(1)\n")
    assert reading.altered(repository) == {"train.py": "line endings"}


def test_filtered_files_are_named_not_patched(repository: Path) -> None:
    run(repository, "config", "filter.upper.clean", "tr a-z A-Z")
    run(repository, "config", "filter.upper.smudge", "tr A-Z a-z")
    (repository / ".gitattributes").write_text("*.txt filter=upper\n")
    for name in ("kept.txt", "gone.txt"):
        (repository / name).write_text("words\n")
    commit_all(repository)
    assert run(repository, "show", "HEAD:kept.txt") == "WORDS"
    (repository / "kept.txt").write_text("other words\n")
    (repository / "gone.txt").unlink()
    assert reading.altered(repository) == {"kept.txt": "filter upper"}
    patch = reading.diff_binary(repository)
    assert b"kept.txt" not in patch
    assert b"deleted file mode" in patch


def test_a_nested_repository_is_named_as_a_folder(repository: Path) -> None:
    (repository / "inner").mkdir()
    run(repository / "inner", "init", "-q")
    (repository / "inner/x").write_text("x")
    assert reading.untracked(repository) == ["inner/"]


def test_failure_names_the_command_and_hides_the_password(repository: Path) -> None:
    with pytest.raises(ProjectError) as caught:
        git_bytes(repository, "-c", "a.b=c", "fetch", "--quiet", "https://me:hunter2@localhost:1/x.git")
    assert caught.value.message == f"`git fetch` failed in `{repository}`"
    assert "hunter2" not in str(caught.value.details)
