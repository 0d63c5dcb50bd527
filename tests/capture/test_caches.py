from __future__ import annotations

import os
from pathlib import Path

import pytest

from reproof.capture import caches

REPOSITORY = "models--org--name"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    top = tmp_path / "hub" / REPOSITORY
    for folder in ("refs", "blobs", "snapshots/one/part", "snapshots/two", ".no_exist/one"):
        (top / folder).mkdir(parents=True)
    for blob in ("a", "b"):
        (top / "blobs" / blob).write_text(blob)
    (top / "snapshots/one/config.json").symlink_to("../../blobs/a")
    (top / "snapshots/one/part/weights").symlink_to("../../../blobs/b")
    (top / "snapshots/two/weights").symlink_to("../../blobs/b")
    (top / ".no_exist/one/adapter.json").touch()
    return top


def test_places_that_are_there(tmp_path: Path) -> None:
    for folder in (".cache/huggingface/hub", "nltk_data", "elsewhere/torch", "more"):
        (tmp_path / folder).mkdir(parents=True)
    env = {
        "TORCH_HOME": str(tmp_path / "elsewhere/torch"),
        "NLTK_DATA": os.pathsep.join([str(tmp_path / "more"), str(tmp_path / "absent"), ""]),
        "HF_HUB_CACHE": str(tmp_path / ".cache/huggingface/hub"),
        "HF_HOME": "relative",
        "KERAS_HOME": str(tmp_path),
    }
    found = {path.relative_to(tmp_path).as_posix() for path in caches.places(env, tmp_path)}
    assert found == {".cache/huggingface", "nltk_data", "elsewhere/torch", "more"}


def test_another_cache_folder(tmp_path: Path) -> None:
    (tmp_path / "xdg/huggingface").mkdir(parents=True)
    (tmp_path / ".cache/huggingface").mkdir(parents=True)
    env = {"XDG_CACHE_HOME": str(tmp_path / "xdg")}
    assert caches.places(env, tmp_path) == (tmp_path / "xdg/huggingface",)


def test_a_blob_is_known_by_its_name_in_the_snapshot_in_use(repository: Path) -> None:
    reported = [f"{repository}/snapshots/one/config.json"]
    opened = [f"{repository}/blobs/b", f"{repository}/refs/main"]
    assert caches.belonging(reported, opened) == {
        f"{repository}/snapshots/one/part/weights",
        f"{repository}/refs/main",
        f"{repository}/.no_exist/one/adapter.json",
    }


def test_what_others_open_in_a_cache_is_not_ours(repository: Path, tmp_path: Path) -> None:
    opened = [f"{repository}/blobs/b", f"{tmp_path}/nltk_data/a.txt"]
    assert caches.belonging([f"{tmp_path}/train.py"], opened) == set()


def test_what_is_opened_beside_our_own_reads_is_ours(tmp_path: Path) -> None:
    reported = [f"{tmp_path}/datasets/x/info.json"]
    opened = [f"{tmp_path}/datasets/x/train.arrow", f"{tmp_path}/datasets/y/train.arrow"]
    assert caches.belonging(reported, opened) == {f"{tmp_path}/datasets/x/train.arrow"}


def test_a_blob_without_a_name_stands_for_itself(repository: Path) -> None:
    (repository / "blobs/c").write_text("c")
    found = caches.belonging([f"{repository}/refs/main"], [f"{repository}/blobs/c"])
    assert found == {f"{repository}/blobs/c"}


def test_what_is_named_by_content_or_version() -> None:
    assert caches.is_versioned(f"/h/hub/{REPOSITORY}/refs/main")
    assert caches.is_versioned("/h/.cache/torch/hub/checkpoints/resnet18-f37072fd.pth")
    assert not caches.is_versioned("/h/out/checkpoints/model-f37072fd.pth")
    assert not caches.is_versioned("/h/nltk_data/words.txt")


@pytest.mark.parametrize(
    ("target", "kept"), [("../real", True), ("../../../outside", False), ("/etc/hostname", False)]
)
def test_only_links_that_stay_inside_are_kept(tmp_path: Path, target: str, kept: bool) -> None:
    (tmp_path / "home/folder").mkdir(parents=True)
    (tmp_path / "home/folder/link").symlink_to(target)
    found = caches.content_of(str(tmp_path / "home/folder/link"), str(tmp_path / "home"))
    assert found == (target if kept else None)
    assert caches.content_of(str(tmp_path / "home/folder"), str(tmp_path)) is None


def test_a_link_to_a_link_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "b").symlink_to("c")
    (tmp_path / "a").symlink_to("b")
    assert caches.content_of(str(tmp_path / "a"), str(tmp_path)) is None
