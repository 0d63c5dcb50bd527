"""Prefixes laid out as Conda does, by hand: its channels are not to be had everywhere."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from reproof.environment.conda import Check, check_files, differences, list_packages, summarise, variables
from reproof.model.conda import CondaPackage


def describe(prefix: Path, name: str, files: dict[str, bytes], **facts: Any) -> Path:
    paths = []
    for path, data in files.items():
        (prefix / path).parent.mkdir(parents=True, exist_ok=True)
        (prefix / path).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        paths.append({"_path": path, "path_type": "hardlink", "sha256": "0" * 64, "sha256_in_prefix": digest})
    meta = {"name": name, "version": "1.2", "build": "h1_0", "build_number": 0, "depends": ["x"], **facts}
    meta["paths_data"] = {"paths_version": 1, "paths": paths}
    place = prefix / "conda-meta" / f"{name}-1.2-h1_0.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(meta))
    return place


def test_packages_with_digests_and_channels_without_tokens(tmp_path: Path) -> None:
    url = "https://me:canary@conda.example.org/t/canary-token/forge/linux-64/zlib-1.2-h1_0.conda"
    describe(tmp_path, "zlib", {}, url=url, sha256="a" * 64, md5="b" * 32)
    describe(tmp_path, "blas", {}, channel="conda-forge")
    assert list_packages(tmp_path) == (
        CondaPackage(name="blas", version="1.2", build="h1_0", channel="conda-forge"),
        CondaPackage(
            name="zlib",
            version="1.2",
            build="h1_0",
            channel="https://conda.example.org/forge",
            sha256="a" * 64,
            md5="b" * 32,
        ),
    )


def test_every_file_is_digested(tmp_path: Path) -> None:
    describe(tmp_path, "zlib", {"lib/libz.so": b"one", "include/zlib.h": b"two"})
    assert check_files(tmp_path) == Check(2, ())
    (tmp_path / "lib/libz.so").write_bytes(b"eno")
    (tmp_path / "include/zlib.h").unlink()
    assert check_files(tmp_path) == Check(2, ("`include/zlib.h` of zlib", "`lib/libz.so` of zlib"))


def test_files_without_digests_are_left_out(tmp_path: Path) -> None:
    place = describe(tmp_path, "zlib", {})
    meta = json.loads(place.read_text())
    meta["paths_data"]["paths"] = [{"_path": "a", "path_type": "softlink"}, {"_path": "b"}]
    place.write_text(json.dumps(meta))
    assert check_files(tmp_path) == Check()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "digests",
    [
        pytest.param({"sha256": "0" * 64, "sha256_in_prefix": sha(b"libz.so.1")}, id="of its text"),
        pytest.param({"sha256": "0" * 64}, id="of what the file had in the archive"),
    ],
)
def test_a_link_that_leads_elsewhere_is_named(tmp_path: Path, digests: dict[str, str]) -> None:
    place = describe(tmp_path, "zlib", {"lib/libz.so.1": b"one"})
    meta = json.loads(place.read_text())
    entry = {"_path": "lib/libz.so", "path_type": "softlink", **digests}
    meta["paths_data"]["paths"].append(entry)
    place.write_text(json.dumps(meta))
    (tmp_path / "lib/libz.so.2").write_bytes(b"two")
    link = tmp_path / "lib/libz.so"
    link.symlink_to("libz.so.1")
    assert check_files(tmp_path) == Check(2, ())
    for wrong in (lambda: link.symlink_to("libz.so.2"), lambda: link.write_bytes(b"one"), lambda: None):
        link.unlink(missing_ok=True)
        wrong()
        assert check_files(tmp_path) == Check(2, ("`lib/libz.so` of zlib",))


def test_of_a_link_to_a_folder_or_to_another_package_only_that_it_is_there_is_known(tmp_path: Path) -> None:
    place = describe(tmp_path, "zlib", {"lib/a": b"a"})
    describe(tmp_path, "other", {"lib/b": b"b"})
    meta = json.loads(place.read_text())
    links = {"lib64": ("lib", sha(b"")), "lib/ab": ("b", sha(b"older b"))}
    for name, (text, digest) in links.items():
        (tmp_path / name).symlink_to(text)
        meta["paths_data"]["paths"].append({"_path": name, "path_type": "softlink", "sha256": digest})
    place.write_text(json.dumps(meta))
    assert check_files(tmp_path) == Check(4, ())
    (tmp_path / "lib64").unlink()
    assert check_files(tmp_path) == Check(4, ("`lib64` of zlib",))


def test_what_activation_sets(tmp_path: Path) -> None:
    root = tmp_path / "miniforge"
    (root / "condabin").mkdir(parents=True)
    for place, name in (
        (root, "base"),
        (root / "envs/bikes", "bikes"),
        (tmp_path / "e", str(tmp_path / "e")),
    ):
        assert variables(place) == {"CONDA_PREFIX": str(place), "CONDA_DEFAULT_ENV": name}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": 3}', '{"name": "a"}', "\udcff"])
def test_what_cannot_be_read_is_left_out(tmp_path: Path, text: str) -> None:
    describe(tmp_path, "zlib", {})
    (tmp_path / "conda-meta/bad.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert [each.name for each in list_packages(tmp_path)] == ["zlib"]


def test_a_prefix_of_others(tmp_path: Path) -> None:
    assert list_packages(tmp_path) == ()
    assert check_files(tmp_path) == Check()


def test_differences() -> None:
    before = (CondaPackage(name="a", version="1", build="x"), CondaPackage(name="b", version="1"))
    after = (CondaPackage(name="a", version="1", build="y"), CondaPackage(name="c", version="2"))
    assert differences(before, after) == (
        "a 1 y, recorded 1 x",
        "b absent, recorded 1",
        "c 2, recorded absent",
    )
    assert differences(before, before) == ()
    assert summarise(("a", "b", "c", "d", "e", "f", "g")) == "a, b, c, d, e, 2 more"
