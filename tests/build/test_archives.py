"""Taking archives apart, adjusting and refusing them, and the names of causes."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from reproof.build.adjusting import adjust_sdist, check_sdist
from reproof.build.causes import _NAMES, KNOWN, findings_of, name_cause
from reproof.build.conditions import FACTORS
from reproof.build.members import FAILED, Listing, Trait, differing, list_members
from reproof.build.trees import settle
from reproof.errors import ProjectError

EPOCH = 1_767_225_600


def tar_gz(path: Path, members: list[tarfile.TarInfo], stamp: int = 0) -> Path:
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", mtime=stamp, fileobj=raw) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for each in members:
            archive.addfile(each, io.BytesIO(b"x" * each.size))
    return path


def member(name: str, **facts: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mtime = EPOCH
    for key, value in facts.items():
        setattr(info, key, value)
    return info


def wheel(
    path: Path, files: dict[str, bytes], *, date: tuple = (2026, 1, 1, 0, 0, 0), mode: int = 0o644
) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, date)
            info.external_attr = (0o100000 | mode) << 16
            archive.writestr(info, data)
    return path


def test_an_archive_without_later_times_stays_as_it_is(tmp_path: Path) -> None:
    path = tar_gz(tmp_path / "a.tar.gz", [member("a-1/x", uname="me", uid=1000)])
    before = path.read_bytes()
    assert adjust_sdist(path, EPOCH) == ()
    assert path.read_bytes() == before


def test_later_times_and_owners_are_taken_out(tmp_path: Path) -> None:
    paths = [
        tar_gz(
            tmp_path / f"{number}.tar.gz",
            [
                member("a-1", type=tarfile.DIRTYPE, mode=0o755),
                member("a-1/old", mtime=EPOCH - 5, size=3, uname="me", uid=number),
                member("a-1/new", mtime=EPOCH + number + 0.5, size=2000, gname="us"),
                member("a-1/link", type=tarfile.SYMTYPE, linkname="old"),
            ],
            stamp=EPOCH + number,
        )
        for number in (1, 2)
    ]
    for path in paths:
        assert adjust_sdist(path, EPOCH)
        assert adjust_sdist(path, EPOCH) == ()
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with tarfile.open(paths[0]) as archive:
        facts = {info.name: (info.mtime, info.uid, info.uname, info.size) for info in archive}
    assert facts["a-1/old"] == (EPOCH - 5, 0, "", 3)
    assert facts["a-1/new"] == (EPOCH, 0, "", 2000)


@pytest.mark.parametrize(
    "bad",
    [
        member("../evil"),
        member("/etc/evil"),
        member("a-1/../../evil"),
        member("a-1/link", type=tarfile.SYMTYPE, linkname="../../evil"),
        member("a-1/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("a-1/link", type=tarfile.LNKTYPE, linkname="b-1/x"),
        member("a-1/pipe", type=tarfile.FIFOTYPE),
    ],
    ids=lambda bad: f"{bad.name}-{bad.linkname}",
)
def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    path = tar_gz(tmp_path / "a.tar.gz", [member("a-1/x"), bad])
    with pytest.raises(ProjectError, match="leads out of its folder"):
        check_sdist(path)


def test_what_is_no_archive_is_refused(tmp_path: Path, golden: Callable[..., None]) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"not at all")
    with pytest.raises(ProjectError) as caught:
        check_sdist(path)
    golden("build/sdist_unreadable", caught.value)


def test_what_differs_is_told_by_member(tmp_path: Path) -> None:
    one = list_members(wheel(tmp_path / "a.whl", {"x.py": b"1", "y.py": b"2"}))
    content = list_members(wheel(tmp_path / "b.whl", {"x.py": b"3", "z.py": b"2"}))
    assert differing(one, content) == {
        Trait("x.py", "content"),
        Trait("y.py", "presence"),
        Trait("z.py", "presence"),
    }
    date = list_members(wheel(tmp_path / "c.whl", {"x.py": b"1", "y.py": b"2"}, date=(2020, 1, 1, 0, 0, 0)))
    assert {trait.what for trait in differing(one, date)} == {"time"}
    mode = list_members(wheel(tmp_path / "d.whl", {"x.py": b"1", "y.py": b"2"}, mode=0o600))
    assert {trait.what for trait in differing(one, mode)} == {"mode"}
    order = list_members(wheel(tmp_path / "e.whl", {"y.py": b"2", "x.py": b"1"}))
    assert {trait.what for trait in differing(one, order)} == {"order"}
    assert differing(one, one) == frozenset()
    assert differing(one, Listing(failure="no")) == {Trait(FAILED, "failure")}


def test_every_cause_has_words_and_a_remedy() -> None:
    assert set(_NAMES) >= set(FACTORS)
    for names in _NAMES.values():
        assert "" in names
        assert set(names.values()) <= set(KNOWN)


def test_names_follow_what_differs(tmp_path: Path) -> None:
    listing = list_members(wheel(tmp_path / "a.whl", {"x.so": b"\x7fELF....", "x.py": b"", "x.pyc": b""}))
    traits = [Trait("x.so", "content"), Trait("x.py", "content"), Trait("x.pyc", "content")]
    named = {cause.name: cause.files for cause in name_cause("path", traits, "a.whl", listing)}
    assert named == {
        "path-in-binary": ("a.whl: x.so",),
        "path-in-file": ("a.whl: x.py",),
        "path-in-bytecode": ("a.whl: x.pyc",),
    }
    (failed,) = name_cause("locale", [Trait(FAILED, "failure")], "a.whl", listing)
    assert failed.words == "the build fails when the locale is another"
    assert failed.held


def test_dated_byte_code_is_seen(tmp_path: Path) -> None:
    dated = b"\xa7\r\r\n" + b"\0" * 12
    hashed = b"\xa7\r\r\n" + b"\3" + b"\0" * 11
    path = wheel(tmp_path / "a.whl", {"old.pyc": dated, "good.pyc": hashed})
    (found,) = findings_of(path)
    assert (found.name, found.files) == ("pyc-time", ("a.whl: old.pyc",))


def test_trees_get_the_modes_and_times_that_are_given(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / ".git").mkdir(parents=True)
    (top / ".git/index").write_text("x")
    (top / "run.sh").write_text("x")
    (top / "run.sh").chmod(0o700)
    (top / "data").write_text("x")
    (top / "data").chmod(0o664)
    (top / "link").symlink_to("nowhere")
    state = (top / ".git/index").stat()
    settle(top, umask=0o022, epoch=EPOCH, touched=False)
    assert oct((top / "run.sh").stat().st_mode & 0o777) == "0o755"
    assert oct((top / "data").stat().st_mode & 0o777) == "0o644"
    assert {path.lstat().st_mtime for path in (top / "data", top / "link", top)} == {EPOCH}
    assert (top / ".git/index").stat().st_mtime_ns == state.st_mtime_ns
    settle(top, umask=0o077, epoch=EPOCH, touched=True)
    assert oct((top / "run.sh").stat().st_mode & 0o777) == "0o700"
    assert len({path.lstat().st_mtime for path in (top / "data", top / "link", top / "run.sh")}) == 3
    assert (top / "data").stat().st_mtime < EPOCH
