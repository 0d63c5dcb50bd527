"""Bundles as files: the same each time, no byte changed unseen, nothing hostile unpacked."""

from __future__ import annotations

import errno
import json
import os
import resource
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import blake3
import pytest

from reproof.attest.archive import MANIFEST, Bundle, Part, write_bundle
from reproof.errors import ReproofError, StoreError, TrustError

Golden = Callable[[str, ReproofError | str], None]


@pytest.fixture
def parts(tmp_path: Path) -> list[Part]:
    (tmp_path / "data.bin").write_bytes(bytes(range(256)) * 20)
    return [
        Part(name="a.txt", data=b"first"),
        Part(name="deep/data.bin", path=tmp_path / "data.bin"),
        Part(name="empty", data=b""),
    ]


@pytest.fixture
def made(tmp_path: Path, parts: list[Part]) -> Path:
    write_bundle(tmp_path / "bundle.zip", parts)
    return tmp_path / "bundle.zip"


def test_it_comes_back_whole(made: Path, tmp_path: Path) -> None:
    with Bundle(made) as bundle:
        assert bundle.names == ("a.txt", "deep/data.bin", "empty")
        assert bundle.read("a.txt") == b"first"
        bundle.extract(tmp_path / "out")
        with pytest.raises(TrustError, match="has no `other`"):
            bundle.read("other")
    assert (tmp_path / "out/deep/data.bin").read_bytes() == bytes(range(256)) * 20
    assert zipfile.ZipFile(made).testzip() is None  # any other program reads it too


def test_made_twice_it_is_the_same(made: Path, tmp_path: Path, parts: list[Part]) -> None:
    os.utime(tmp_path / "data.bin", (1, 1))
    assert write_bundle(tmp_path / "again.zip", parts) == made.stat().st_size
    assert (tmp_path / "again.zip").read_bytes() == made.read_bytes()


def test_every_single_byte_counts(made: Path, tmp_path: Path) -> None:
    """Each byte of a small bundle, one after the other."""
    data = made.read_bytes()
    target = tmp_path / "changed.zip"
    steps = [*range(400), *range(400, len(data) - 900, 97), *range(len(data) - 900, len(data))]
    for place in steps:
        target.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(TrustError) as caught, Bundle(target):
            pass
        assert "was changed" in caught.value.message or "not a bundle" in caught.value.message, place


def test_the_changed_part_is_named(made: Path, tmp_path: Path, golden: Golden) -> None:
    data = made.read_bytes()

    def refusal(old: bytes, new: bytes) -> TrustError:
        assert data.count(old) >= 1
        (tmp_path / "changed.zip").write_bytes(data.replace(old, new, 1))
        with pytest.raises(TrustError) as caught:
            Bundle(tmp_path / "changed.zip")
        return caught.value

    golden("attest/bundle_changed", refusal(b"first", b"First"))
    assert "`deep/data.bin`" in refusal(bytes(range(256)), bytes(range(255)) + b"\0").message
    assert "`manifest.json`" in refusal(b'"schema"', b'"schemA"').message
    assert "the header of `a.txt`" in refusal(b"PK\3\4\x14", b"PK\3\4\x15").message


def test_cut_off_extended_or_something_else(made: Path, tmp_path: Path) -> None:
    data = made.read_bytes()
    for wrong in (data[:-1], data[: len(data) // 2], data + b"x", b"", b"PK", b"hello" * 100):
        (tmp_path / "wrong.zip").write_bytes(wrong)
        with pytest.raises(TrustError):
            Bundle(tmp_path / "wrong.zip")
    with pytest.raises(TrustError, match="No such file"):
        Bundle(tmp_path / "nowhere.zip")


def sealed(path: Path, members: list[tuple[zipfile.ZipInfo, bytes]], manifest: object = None) -> Path:
    """A bundle by an attacker who knows the format."""
    listed = [
        {"name": info.filename, "size": len(data), "blake3": blake3.blake3(data).hexdigest()}
        for info, data in members
    ]
    document = {"schema": "reproof/bundle/1", "files": listed} if manifest is None else manifest
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = b"reproof/bundle/1 blake3:" + b"0" * 64
        for info, data in members:
            archive.writestr(info, data, info.compress_type)
        archive.writestr(zipfile.ZipInfo(MANIFEST), json.dumps(document))
    data = path.read_bytes()
    path.write_bytes(data[:-64] + blake3.blake3(data[:-88]).hexdigest().encode())
    return path


def member(name: str, mode: int = 0o100644, kind: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr, info.create_system, info.compress_type = mode << 16, 3, kind
    return info


@pytest.mark.parametrize(
    "info",
    [
        member("../evil"),
        member("/etc/evil"),
        member("a/../../evil"),
        member("a\\..\\evil"),
        member("C:/evil"),
        member("a//b"),
        member("./a"),
        member("a\nb"),
        member("link", stat.S_IFLNK | 0o777),
        member("device", stat.S_IFCHR | 0o666),
        member("bomb", kind=zipfile.ZIP_DEFLATED),
        member("folder/"),
    ],
    ids=lambda info: ascii(info.filename),
)
def test_hostile_members_are_refused(info: zipfile.ZipInfo, tmp_path: Path) -> None:
    path = sealed(tmp_path / "evil.zip", [(info, b"x" * 1000)])
    with pytest.raises(TrustError, match=r"could do harm|not a bundle"):
        Bundle(path)


def test_hostile_paths_are_named(tmp_path: Path, golden: Golden) -> None:
    with pytest.raises(TrustError) as caught:
        Bundle(sealed(tmp_path / "evil.zip", [(member("../../.ssh/authorized_keys"), b"x")]))
    golden("attest/bundle_hostile", caught.value)


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        pytest.raises(TrustError, match=r"stands twice|could do harm"),
    ):
        Bundle(sealed(tmp_path / "evil.zip", [(member("a"), b"x"), (member("a"), b"y")]))
    with pytest.raises(TrustError, match="could do harm"):
        Bundle(sealed(tmp_path / "evil.zip", [(member("a"), b"x"), (member("A"), b"y")]))


@pytest.mark.parametrize(
    "manifest", [[], {}, {"schema": "x", "files": []}, {"schema": "reproof/bundle/1", "files": []}]
)
def test_a_manifest_that_lies_is_refused(manifest: object, tmp_path: Path) -> None:
    with pytest.raises(TrustError):
        Bundle(sealed(tmp_path / "evil.zip", [(member("a"), b"x")], manifest))


def test_the_disk_is_full(tmp_path: Path, golden: Golden) -> None:
    """A limit on the size of files stands for a full disk: the system says no in the same place."""
    code = f"""
import resource, signal, sys
from pathlib import Path
from reproof.attest.archive import Part, write_bundle
from reproof.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_bundle(Path({str(tmp_path)!r}) / "bundle.zip", [Part(name="a", data=b"x" * 1_000_000)])
except StoreError as error:
    print(error.message); print(dict(error.details)["reason"]); print(error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert resource.RLIMIT_FSIZE is not None
    golden("attest/bundle_disk_full", done.stdout)
    assert list(tmp_path.glob("*zip*")) == list(tmp_path.glob(".*zip*")) == []


def test_a_part_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        write_bundle(tmp_path / "bundle.zip", [Part(name="a", path=tmp_path / "nowhere")])
    assert os.strerror(errno.ENOENT) in str(caught.value.details)
    assert not (tmp_path / "bundle.zip").exists()


def test_an_old_bundle_stays_when_a_new_one_fails(made: Path, tmp_path: Path) -> None:
    before = made.read_bytes()
    with pytest.raises(StoreError):
        write_bundle(made, [Part(name="a", path=tmp_path / "nowhere")])
    assert made.read_bytes() == before
