"""Folders and addresses, told apart without touching either."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reproof.errors import ProjectError
from reproof.project.location import locate


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for name in ("project/sub", "with#hash"):
        (tmp_path / name).mkdir(parents=True)
    for words in (["init", "-q", "-b", "main", "project"], ["init", "-q", "--bare", "bare.git"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        (".", ""),
        ("project", "project"),
        ("'project'", "project"),
        ("project#sub", "project/sub"),
        ("project#", "project"),
        ("./project/../project#./sub/", "project/sub"),
        ("with#hash", "with#hash"),
        ("{base}/project", "project"),
        ("file://{base}/project#sub", "project/sub"),
        ("file://{base}/with%23hash", "with#hash"),
    ],
)
def test_folders(base: Path, uri: str, folder: str) -> None:
    found = locate(uri.replace("{base}", str(base)), cwd=base)
    assert found.kind == "folder"
    assert found.folder == base / folder


@pytest.mark.parametrize(
    ("uri", "address", "subdirectory"),
    [
        ("https://example.org/x.git", "https://example.org/x.git", ""),
        ("https://example.org/x#examples/sklearn", "https://example.org/x", "examples/sklearn"),
        ("git+https://example.org/x.git#v1.0", "https://example.org/x.git", "v1.0"),
        ("ssh://git@example.org:22/x.git", "ssh://git@example.org:22/x.git", ""),
        ("git@example.org:team/x.git#sub", "git@example.org:team/x.git", "sub"),
        ("example.org:x", "example.org:x", ""),
        ("bare.git#sub", "{base}/bare.git", "sub"),
        ("project/.git", "{base}/project/.git", ""),
        ("file://{base}/bare.git", "{base}/bare.git", ""),
    ],
)
def test_addresses(base: Path, uri: str, address: str, subdirectory: str) -> None:
    found = locate(uri.replace("{base}", str(base)), cwd=base)
    assert found.kind == "git"
    assert (found.address, found.subdirectory) == (address.replace("{base}", str(base)), subdirectory)


def test_a_revision_of_a_local_folder_is_cloned_not_checked_out(base: Path) -> None:
    found = locate("project/sub", "main", cwd=base)
    assert (found.kind, found.address, found.subdirectory) == ("git", str(base / "project"), "sub")
    assert locate("project#sub", "main", cwd=base).subdirectory == "sub"
    assert locate("project", "main", cwd=base).subdirectory == ""


def test_a_folder_behind_a_symlink_is_named_as_git_names_it(base: Path) -> None:
    (base / "alias").symlink_to("project")
    assert locate("alias#sub", cwd=base).folder == (base / "project/sub").resolve()


def test_bundle_file(base: Path) -> None:
    (base / "x.bundle").write_bytes(b"")
    assert locate("x.bundle", cwd=base).kind == "git"


def test_no_secrets_are_shown(base: Path) -> None:
    found = locate("https://me:hunter2@example.org/x.git?token=hunter2#sub", cwd=base)
    assert "hunter2" in found.address
    assert found.shown == "https://example.org/x.git#sub"


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("missing_folder", "projct"),
        ("missing_subdirectory", "project#sup"),
        ("way_out", "project#../other"),
        ("way_out_of_address", "https://example.org/x#a/../../b"),
        ("file", "train.py"),
        ("archive", "x.zip"),
        ("transport", "ext::sh -c evil"),
        ("scheme", "s3://bucket/x"),
        ("option", "--upload-pack=evil"),
        ("empty", ""),
    ],
)
def test_errors(base: Path, golden, name: str, uri: str) -> None:
    for file in ("train.py", "x.zip"):
        (base / file).write_text("")
    with pytest.raises(ProjectError) as caught:
        locate(uri, cwd=base)
    golden(f"project/location_{name}", caught.value)


def test_revision_that_is_an_option(base: Path) -> None:
    with pytest.raises(ProjectError):
        locate("https://example.org/x", "--upload-pack=evil", cwd=base)
