from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reproof.capture import packages
from reproof.capture.elf import build_id
from reproof.capture.native import describe, with_pools
from reproof.model.observation import Pooled
from reproof.model.record import NativeLibrary

LIBC = next(
    (
        path
        for path in map(Path, ("/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6"))
        if path.exists()
    ),
    None,
)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(place))
    return place


def library(place: Path, content: bytes = b"\x7fELF, nearly") -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def test_within_the_environment_size_and_build_id_are_enough(tmp_path: Path) -> None:
    path = library(tmp_path / "env/lib/python/site-packages/numpy.libs/libopenblas.so")
    assert describe([str(path)], tmp_path / "env") == (
        NativeLibrary(
            path="${ENV}/lib/python/site-packages/numpy.libs/libopenblas.so", size=path.stat().st_size
        ),
    )


def test_an_environment_reached_through_a_symlink_is_the_environment(tmp_path: Path) -> None:
    path = library(tmp_path / "real/lib/x.so")
    (tmp_path / "env").symlink_to("real")
    found = describe([str(path), str(tmp_path / "env/lib/x.so")], tmp_path / "env")
    assert {each.path for each in found} == {"${ENV}/lib/x.so"}


def test_outside_the_content_is_digested(tmp_path: Path) -> None:
    path = library(tmp_path / "opt/libfast.so", b"fast")
    (found,) = describe([str(path)], tmp_path / "env")
    assert found.path == str(path)
    assert found.digest == hashlib.sha256(b"fast").hexdigest()
    assert found.build_id is None
    assert found.package is None


def test_below_home_the_user_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    path = library(tmp_path / "me/.local/lib/x.so")
    (found,) = describe([str(path)], tmp_path / "env")
    assert found.path == "${HOME}/.local/lib/x.so"


def test_what_is_remembered_is_forgotten_when_the_file_changes(tmp_path: Path, cache: Path) -> None:
    path = library(tmp_path / "x.so", b"one")
    first = describe([str(path)], tmp_path / "env")
    assert (cache / "libraries.json").exists()
    assert describe([str(path)], tmp_path / "env") == first
    status = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    (found,) = describe([str(path)], tmp_path / "env")
    assert found.digest == hashlib.sha256(b"two").hexdigest()


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"/x": [[1, 2], null]}', b"\xff"])
def test_damaged_memory_is_made_anew(tmp_path: Path, cache: Path, content: bytes) -> None:
    path = library(tmp_path / "x.so", b"one")
    for name in ("libraries.json", "dpkg.json"):
        (cache / name).write_bytes(content)
    (found,) = describe([str(path)], tmp_path / "env")
    assert found.digest == hashlib.sha256(b"one").hexdigest()


def test_a_memory_that_cannot_be_written_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path / "file"))
    (found,) = describe([str(library(tmp_path / "x.so", b"one"))], tmp_path / "env")
    assert found.digest is not None


def test_a_very_large_library_is_named_by_its_build_id_alone(tmp_path: Path) -> None:
    path = library(tmp_path / "libcublas.so")
    os.truncate(path, (64 << 20) + 1)
    (found,) = describe([str(path)], tmp_path / "env")
    assert found.size == (64 << 20) + 1
    assert found.digest is None


def test_gone_and_odd_paths_are_told_as_far_as_they_go(tmp_path: Path) -> None:
    odd = library(Path(os.fsdecode(os.fsencode(tmp_path) + b"/[x]*?\\y.so")))
    paths = [f"{tmp_path}/gone.so (deleted)", str(odd), "[vdso]", "", str(tmp_path)]
    found = describe(paths, tmp_path / "env")
    assert {(Path(each.path).name, each.size > 0) for each in found} >= {
        ("gone.so", False),
        ("[x]*?\\y.so", True),
    }
    assert len(found) == 3


@pytest.mark.needs("dpkg-query")
@pytest.mark.skipif(LIBC is None, reason="another place of the C library")
def test_system_libraries_have_an_owner(tmp_path: Path) -> None:
    assert LIBC is not None
    paths = [str(LIBC), f"/usr{LIBC}", str(library(tmp_path / "own.so"))]
    found = {each.path: each for each in describe(paths, tmp_path / "env")}
    version = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}\n", "libc6"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]
    for path in paths[:2]:
        assert found[path].package == f"libc6 {version}"
        assert found[path].build_id == build_id(LIBC)
    assert found[paths[2]].package is None


@pytest.mark.needs("dpkg-query")
def test_the_database_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = shutil.which("dpkg-query")
    log = tmp_path / "log"
    fake = library(
        tmp_path / "bin/dpkg-query", f'#!/bin/sh\necho "$1" >>{log}\nexec {program} "$@"\n'.encode()
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    paths = [str(Path(sys.executable).resolve()), str(library(tmp_path / "a.so")), "/usr/bin/env"]
    first = describe(paths, tmp_path / "env")
    assert describe(paths, tmp_path / "env") == first
    assert log.read_text().splitlines() == ["--search", "--show"]


@pytest.mark.needs("rpm", "rpmbuild")
def test_libraries_of_rpm_have_an_owner(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that owns two libraries, in a database of its own."""
    owned, other, own = (library(tmp_path / f"lib/lib{name}.so") for name in ("one", "two", "own"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".rpmmacros").write_text(f"%_dbpath {tmp_path}/rpm\n%_topdir {tmp_path}/top\n")
    head = "Name: probe\nVersion: 1.2\nRelease: 3\nEpoch: 4\nSummary: x\nLicense: x\nBuildArch: noarch\n"
    copies = "".join(f"install -D {path} %{{buildroot}}{path}\n" for path in (owned, other))
    spec = f"{head}%define __os_install_post %{{nil}}\n%description\nx\n%install\n{copies}%files\n{owned}\n{other}\n"
    (tmp_path / "probe.spec").write_text(spec)
    for words in (
        ["rpmbuild", "-bb", "--quiet", tmp_path / "probe.spec"],
        ["rpm", "-i", "--nodeps", "--justdb", tmp_path / "top/RPMS/noarch/probe-1.2-3.noarch.rpm"],
    ):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    monkeypatch.setattr(packages, "_DPKG_STATUS", tmp_path / "none")
    monkeypatch.setattr(packages, "_RPM_FOLDERS", (tmp_path / "rpm",))
    for _ in range(2):
        found = {
            each.path: each.package for each in describe(map(str, (owned, other, own)), tmp_path / "env")
        }
        assert found == {
            "${HOME}/lib/libone.so": "probe 4:1.2-3",
            "${HOME}/lib/libtwo.so": "probe 4:1.2-3",
            "${HOME}/lib/libown.so": None,
        }
    assert (cache / "rpm.json").exists()


def test_without_the_program_nothing_has_an_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [each.package for each in describe(["/usr/bin/env"], tmp_path / "env")] == [None]


def test_libraries_for_arithmetic_keep_what_they_said(tmp_path: Path) -> None:
    path = library(tmp_path / "env/lib/libopenblas.so")
    other = library(tmp_path / "opt/libgomp.so")
    pools = {
        str(path): Pooled(
            p=1,
            path=str(path),
            kind="OpenBLAS",
            version="0.3.30",
            layer="pthreads",
            architecture="Haswell",
            threads=2,
        ),
        str(other): Pooled(p=1, path=str(other), kind="GNU OpenMP", threads=1),
        "/gone.so": Pooled(p=1, path="/gone.so", kind="MKL"),
    }
    found = with_pools(describe([str(path), str(other)], tmp_path / "env"), pools, tmp_path / "env")
    assert {each.path: each.said for each in found} == {
        "${ENV}/lib/libopenblas.so": "OpenBLAS 0.3.30, pthreads, Haswell, 2 threads",
        str(other): "GNU OpenMP, 1 thread",
    }
