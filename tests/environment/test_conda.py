"""Prefixes laid out as Conda does, by hand: its channels are not to be had everywhere."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from reproof.environment.conda import Check, check_files, differences, list_packages, summarise
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


def test_links_and_files_without_digests_are_left_out(tmp_path: Path) -> None:
    place = describe(tmp_path, "zlib", {})
    meta = json.loads(place.read_text())
    meta["paths_data"]["paths"] = [{"_path": "a", "path_type": "softlink", "sha256": "1"}, {"_path": "b"}]
    place.write_text(json.dumps(meta))
    assert check_files(tmp_path) == Check()


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
