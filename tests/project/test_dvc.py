"""What DVC tracks and where it keeps it, read as DVC itself reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reproof.errors import ProjectError
from reproof.model.dvc import DvcEntry
from reproof.project.dvc import read_config, tracked

MD5 = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2


def run(folder: Path, *words: str) -> str:
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout


def dvc(folder: Path, *commands: str) -> str:
    """Run several commands of the real DVC in one process, whose start costs most."""
    code = (
        "import shlex, sys; from dvc.cli import main\n"
        "for line in sys.argv[1:]: assert main(shlex.split(line)) == 0, line"
    )
    return run(folder, sys.executable, "-c", code, *commands)


def write(top: Path, **files: str) -> Path:
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    return top


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path / "system"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    top = tmp_path / "project"
    top.mkdir()
    run(top, "git", "init", "-q", "-b", "main")
    return top


@pytest.mark.needs("dvc")
def test_what_the_real_dvc_writes(top: Path) -> None:
    write(top, **{"data/x.csv": "a,b\n1,2\n", "data/raw/1": "one", "data/raw/ü b": "two"})
    (top / "data/run.sh").write_text("#!/bin/sh\n")
    (top / "data/run.sh").chmod(0o755)
    pipeline = """\
stages:
  train:
    cmd: echo model > model.txt && echo '{"a":1}' > m.json
    wdir: work
    outs: [model.txt]
    metrics:
    - m.json: {cache: false}
  each:
    foreach: [a, b]
    do:
      cmd: echo ${item} > ${item}.txt
      outs: ["${item}.txt"]
"""
    write(top, **{"pipe/dvc.yaml": pipeline, "pipe/work/.keep": ""})
    dvc(top, "init -q", "add -q data/x.csv data/raw data/run.sh", "repro -q pipe/dvc.yaml")
    found = {entry.path: entry for entry in tracked(top)}
    assert sorted(found) == [
        "data/raw",
        "data/run.sh",
        "data/x.csv",
        "pipe/a.txt",
        "pipe/b.txt",
        "pipe/work/m.json",
        "pipe/work/model.txt",
    ]
    raw = found["data/raw"]
    assert (raw.is_dir, raw.size, raw.nfiles, raw.source, raw.hash_name) == (
        True,
        6,
        2,
        "data/raw.dvc",
        "md5",
    )
    assert (found["data/x.csv"].size, found["data/x.csv"].cached) == (8, True)
    assert found["data/run.sh"].executable
    assert found["pipe/work/model.txt"].cached
    assert not found["pipe/work/m.json"].cached
    assert found["pipe/a.txt"].source == "pipe/dvc.lock"
    cache = read_config(top).cache
    for entry in found.values():
        if entry.cached:
            assert (Path(cache) / "files/md5" / entry.id[:2] / entry.id[2:]).is_file()


@pytest.mark.needs("dvc")
def test_config_as_the_real_dvc_writes_it(top: Path, tmp_path: Path) -> None:
    dvc(
        top,
        "init -q",
        "remote add -d origin ../store",
        "remote add web https://example.org/data",
        "remote modify --local web auth basic",
        "remote modify --local web user me",
        "remote modify --local web password hunter2",
        "remote add --global bucket s3://bucket/x",
        f"cache dir --local '{tmp_path}/shared cache'",
    )
    config = read_config(top)
    assert config.cache == str(tmp_path / "shared cache")
    assert config.default == "origin"
    origin, *rest = config.remotes
    assert (origin.name, origin.kind, origin.address) == ("origin", "local", str(tmp_path / "store"))
    others = {remote.name: remote for remote in rest}
    assert others["web"].headers == {"Authorization": "Basic bWU6aHVudGVyMg=="}
    assert others["bucket"].unusable == "`s3` needs DVC itself"


def test_layers_are_merged_the_later_wins(top: Path, tmp_path: Path) -> None:
    remote = "['remote \"{}\"']\n    url = {}\n"
    write(tmp_path, **{"system/config": remote.format("a", "/sys/a") + remote.format("b", "/sys/b")})
    write(tmp_path, **{"global/config": remote.format("b", "relative") + "[core]\nremote = B\n"})
    write(top, **{".dvc/config": '[remote "c"]\nurl = "../c # not a comment"  # a comment\n; old\n'})
    write(top, **{".dvc/config.local": "[cache]\ndir = ~/cache\n" + remote.format("d", "remote://c/sub")})
    config = read_config(top)
    assert config.cache == str(Path.home() / "cache")
    assert {each.name: each.address for each in config.remotes} == {
        "a": "/sys/a",
        "b": str(tmp_path / "global/relative"),
        "c": str(top / "c # not a comment"),
        "d": str(top / "c # not a comment/sub"),
    }
    assert config.remotes[0].name == "b"


def test_no_configuration_at_all(top: Path) -> None:
    assert read_config(top).cache == str(top / ".dvc/cache")
    assert read_config(top).remotes == ()
    assert tracked(top) == ()


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ("url = s3://b\nversion_aware = true", "version_aware"),
        ("url = /data\nworktree = true", "worktree"),
        ("url = https://x\nauth = basic\nuser = me", "password"),
        ("url = https://x\nauth = digest\nuser = me\npassword = x", "digest"),
        ("url = https://x\nssl_verify = false", "ssl_verify"),
        ("url = gdrive://x", "gdrive"),
    ],
)
def test_remotes_that_are_left_to_dvc(top: Path, settings: str, part: str) -> None:
    write(top, **{".dvc/config": f"['remote \"r\"']\n{settings}\n"})
    assert part in read_config(top).remotes[0].unusable


def test_credentials_in_an_address_become_a_header(top: Path) -> None:
    write(top, **{".dvc/config": "['remote \"r\"']\nurl = https://me:hunter2@example.org:8080/x\n"})
    remote = read_config(top).remotes[0]
    assert (remote.address, remote.shown) == ("https://example.org:8080/x", "https://example.org:8080/x")
    assert remote.headers == {"Authorization": "Basic bWU6aHVudGVyMg=="}


def test_custom_header(top: Path) -> None:
    text = (
        "['remote \"r\"']\nurl = https://x\nauth = custom\ncustom_auth_header = X-Key\npassword = hunter2\n"
    )
    write(top, **{".dvc/config": text})
    assert read_config(top).remotes[0].headers == {"X-Key": "hunter2"}


def test_bad_configuration(top: Path, golden) -> None:
    write(top, **{".dvc/config": "[core]\nremote = x\nnonsense\n"})
    with pytest.raises(ProjectError) as caught:
        read_config(top)
    golden("project/dvc_config", caught.value)


def test_entries_of_dvc_2(top: Path) -> None:
    write(top, **{"x.csv.dvc": f"outs:\n- md5: {MD5}\n  size: 3\n  path: x.csv\n"})
    assert tracked(top) == (
        DvcEntry(path="x.csv", md5=MD5, size=3, hash_name="md5-dos2unix", source="x.csv.dvc"),
    )


def test_working_folder_and_paths_that_stay_within(top: Path) -> None:
    write(top, **{"a/b/x.dvc": f"wdir: ../..\nouts:\n- {{md5: {MD5}, hash: md5, path: data/x}}\n"})
    write(top, **{"a/y.dvc": f"outs:\n- {{md5: {MD5}, hash: md5, path: ../data/y}}\n"})
    assert [entry.path for entry in tracked(top)] == ["data/x", "data/y"]


def test_a_dvc_repository_below_the_top(top: Path) -> None:
    write(top, **{"sub/.dvc/config": "", "sub/deep/x.dvc": f"outs:\n- {{md5: {MD5}, hash: md5, path: x}}\n"})
    assert tracked(top)[0].root == "sub"


def test_old_lock_without_schema(top: Path) -> None:
    write(top, **{"dvc.lock": f"train:\n  cmd: x\n  outs:\n  - path: m\n    md5: {MD5}\n"})
    assert tracked(top)[0].path == "m"


def test_ignored_removed_and_internal_files_are_not_read(top: Path) -> None:
    write(top, **{".gitignore": "ignored.dvc\n", "ignored.dvc": "[", ".dvc/tmp/x.dvc": "[", "gone.dvc": "["})
    run(top, "git", "add", "gone.dvc")
    (top / "gone.dvc").unlink()
    assert tracked(top) == ()


@pytest.mark.parametrize(
    ("out", "part"),
    [
        ("path: x", "not kept"),
        ("path: x\n  etag: abc", "`etag`"),
        ("path: x\n  cloud: {r: {version_id: y}}", "version_aware"),
        ("path: x\n  files: [{relpath: a, version_id: y}]", "version_aware"),
    ],
)
def test_content_that_has_no_digest_is_a_problem_of_that_entry(top: Path, out: str, part: str) -> None:
    write(top, **{"x.dvc": f"outs:\n- {out}\n"})
    assert part in tracked(top)[0].problem


def test_imports_name_where_they_come_from(top: Path) -> None:
    text = f"deps:\n- path: x\n  repo: {{url: https://me:pw@example.org/r.git}}\nouts:\n- {{md5: {MD5}, path: x}}\n"
    write(top, **{"x.dvc": text})
    assert tracked(top)[0].imported_from == "https://example.org/r.git"


OUT = f"md5: {MD5}, hash: md5"
BAD = {
    "not_yaml": {"x.dvc": "outs: [\n"},
    "a_list": {"x.dvc": "- outs\n"},
    "outs_mapping": {"x.dvc": "outs: {path: x}\n"},
    "out_text": {"x.dvc": "outs:\n- x.csv\n"},
    "no_path": {"x.dvc": f"outs:\n- {{{OUT}}}\n"},
    "path_number": {"x.dvc": f"outs:\n- {{{OUT}, path: 3}}\n"},
    "bad_md5": {"x.dvc": "outs:\n- {md5: ../../etc/passwd, path: x}\n"},
    "md5_number": {"x.dvc": "outs:\n- {md5: 12345678, path: x}\n"},
    "unknown_hash": {"x.dvc": f"outs:\n- {{md5: {MD5}, hash: crc32, path: x}}\n"},
    "size_text": {"x.dvc": f"outs:\n- {{{OUT}, size: big, path: x}}\n"},
    "size_negative": {"x.dvc": f"outs:\n- {{{OUT}, size: -1, path: x}}\n"},
    "upwards": {"data/x.dvc": f"outs:\n- {{{OUT}, path: ../../evil}}\n"},
    "upwards_by_wdir": {"x.dvc": f"wdir: ..\nouts:\n- {{{OUT}, path: x}}\n"},
    "absolute": {"x.dvc": f"outs:\n- {{{OUT}, path: /etc/passwd}}\n"},
    "address": {"x.dvc": f"outs:\n- {{{OUT}, path: 's3://bucket/x'}}\n"},
    "nul": {"x.dvc": f'outs:\n- {{{OUT}, path: "a\\0b"}}\n'},
    "device": {"x.dvc": f"outs:\n- {{{OUT}, path: CON}}\n"},
    "into_git": {"x.dvc": f"outs:\n- {{{OUT}, path: .git/hooks/post-checkout}}\n"},
    "whole_repository": {"x.dvc": f"outs:\n- {{{OUT}, path: .}}\n"},
    "two_contents": {
        "a.dvc": f"outs:\n- {{{OUT}, path: x}}\n",
        "b.dvc": f"outs:\n- {{md5: {OTHER}, hash: md5, path: x}}\n",
    },
    "lock_against_file": {
        "a.dvc": f"outs:\n- {{{OUT}, path: x}}\n",
        "dvc.lock": f"schema: '2.0'\nstages:\n  fit:\n    outs:\n    - {{md5: {OTHER}, hash: md5, path: x}}\n",
    },
    "one_within_another": {
        "a.dvc": f"outs:\n- {{md5: {MD5}.dir, path: data}}\n",
        "b.dvc": f"outs:\n- {{{OUT}, path: data/x}}\n",
    },
    "lock_stage_list": {"dvc.lock": "schema: '2.0'\nstages:\n  train: [a]\n"},
    "lock_outs_text": {"dvc.lock": "schema: '2.0'\nstages:\n  train:\n    outs: x\n"},
}


@pytest.mark.parametrize("name", BAD)
def test_malformed_and_hostile_files(top: Path, golden, name: str) -> None:
    write(top, **BAD[name])
    with pytest.raises(ProjectError) as caught:
        tracked(top)
    golden(f"project/dvc_{name}", caught.value)


def test_the_same_content_named_twice_is_no_contradiction(top: Path) -> None:
    write(
        top,
        **{"a.dvc": f"outs:\n- {{{OUT}, path: x}}\n", "dvc.lock": f"s:\n  outs:\n  - {{{OUT}, path: x}}\n"},
    )
    assert len(tracked(top)) == 1
