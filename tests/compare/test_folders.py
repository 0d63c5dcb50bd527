from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec
import pytest
from samples import LINES, written, zipped

from reproof.compare import compare, compare_folders, folders, registry
from reproof.compare.protocol import Context, Source
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import Policy, Rule, Tolerance


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    for side in ("one", "two"):
        written(
            tmp_path / side,
            {"a.txt": LINES, "sub/b.json": b'{"a": 0.1}', "sub/deep/c.bin": bytes(range(256))},
        )
        (tmp_path / side / "link").symlink_to("a.txt")
        (tmp_path / side / "empty").mkdir()
    return tmp_path / "one", tmp_path / "two"


def parts(found: Difference) -> dict[str, str]:
    return {part.subject: part.summary for part in found.children}


def check(sides: tuple[Path, Path]) -> Difference:
    found, back = compare(*sides), compare(*reversed(sides))
    assert found.outcome is back.outcome
    msgspec.json.encode(found)
    return found


def test_equal_folders_are_identical(sides: tuple[Path, Path]) -> None:
    found = check(sides)
    assert (found.outcome, found.kind, found.summary) == (Outcome.IDENTICAL, "folder", "5 identical")
    assert found.children == ()


def test_files_are_compared_by_their_kind(sides: tuple[Path, Path]) -> None:
    (sides[1] / "sub/b.json").write_bytes(b'{"a":0.1}')
    found = check(sides)
    assert (found.outcome, parts(found)) == (Outcome.EQUIVALENT, {"sub/b.json": "same values, other layout"})
    (sides[1] / "a.txt").write_bytes(b"other\n")
    found = check(sides)
    assert (found.outcome, found.summary) == (Outcome.DIFFERENT, "3 identical, 1 equivalent, 1 different")


def test_added_and_removed(sides: tuple[Path, Path]) -> None:
    (sides[0] / "a.txt").unlink()
    (sides[1] / "empty").rmdir()
    (sides[1] / "new").mkdir()
    assert parts(check(sides)) == {
        "a.txt": "is new: a file of 574 bytes",
        "empty": "is gone; it was a folder",
        "new": "is new: a folder",
    }


def test_renamed_files_are_paired_by_content(sides: tuple[Path, Path]) -> None:
    (sides[1] / "sub/deep/c.bin").rename(sides[1] / "moved.bin")
    assert check(sides).outcome is Outcome.DIFFERENT
    assert parts(compare(*sides)) == {"sub/deep/c.bin": "renamed to `moved.bin`, same bytes"}


def test_a_renamed_copy_is_paired_once(sides: tuple[Path, Path]) -> None:
    (sides[1] / "a.txt").unlink()
    for name in ("x.txt", "y.txt"):
        (sides[1] / name).write_bytes(LINES)
    found = parts(compare(*sides))
    assert found == {"a.txt": "renamed to `x.txt`, same bytes", "y.txt": "is new: a file of 574 bytes"}


def test_permission_to_execute_is_content_other_modes_are_not(sides: tuple[Path, Path]) -> None:
    (sides[1] / "a.txt").chmod(0o600)
    assert check(sides).outcome is Outcome.IDENTICAL
    (sides[1] / "a.txt").chmod(0o755)
    found = check(sides)
    assert (found.outcome, parts(found)["a.txt"]) == (
        Outcome.DIFFERENT,
        "now executable; identical bytes (574)",
    )


def test_symlinks_are_compared_by_target_and_never_followed(sides: tuple[Path, Path]) -> None:
    for side, target in zip(sides, ("/nowhere/a", "/nowhere/b"), strict=True):
        (side / "broken").symlink_to(target)
        (side / "loop").symlink_to("loop")
        (side / "up").symlink_to("..")
    found = check(sides)
    assert (found.outcome, parts(found)) == (
        Outcome.DIFFERENT,
        {"broken": "link to `/nowhere/a` -> `/nowhere/b`"},
    )


def test_another_kind_of_thing(sides: tuple[Path, Path]) -> None:
    (sides[1] / "link").unlink()
    (sides[1] / "link").write_bytes(LINES)
    (sides[1] / "empty").rmdir()
    (sides[1] / "empty").write_bytes(b"")
    assert parts(check(sides)) == {"link": "was a symlink, is a file", "empty": "was a folder, is a file"}


def test_a_folder_that_was_filled(sides: tuple[Path, Path]) -> None:
    (sides[1] / "empty/now").write_bytes(b"x")
    assert parts(check(sides)) == {"empty/now": "is new: a file of 1 bytes"}


def test_special_files_are_named_and_never_opened(sides: tuple[Path, Path]) -> None:
    for side in sides:
        os.mkfifo(side / "fifo")
    os.mkfifo(sides[0] / "was")
    (sides[1] / "was").write_bytes(b"")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(sides[0])
        server.bind("socket")
        found = check(sides)
    assert parts(found) == {
        "fifo": "is a fifo, which is not read",
        "was": "was a fifo, is a file",
        "socket": "is gone; it was a socket",
    }


def test_names_that_are_not_utf8_or_not_printable(sides: tuple[Path, Path]) -> None:
    for number, side in enumerate(sides):
        (side / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"%d" % number)
        (side / "a\nb").write_bytes(b"%d" % number)
    assert set(parts(check(sides))) == {"caf\\xe9.txt", "a\\nb"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_folders_and_files(sides: tuple[Path, Path]) -> None:
    (sides[1] / "sub/deep").chmod(0)
    (sides[1] / "a.txt").chmod(0)
    try:
        found = check(sides)
        assert found.outcome is Outcome.UNKNOWN
        assert set(parts(found).values()) == {
            "cannot be read: permission denied",
            "it cannot be read: permission denied",
        }
    finally:
        (sides[1] / "sub/deep").chmod(0o755)


def test_a_folder_that_vanishes_while_it_is_read(
    sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.scandir

    def scandir(place: str) -> object:
        if str(place).endswith("sub/deep"):
            raise PermissionError(13, "Permission denied")
        return original(place)

    monkeypatch.setattr(folders.os, "scandir", scandir)
    found = compare(*sides)
    assert (found.outcome, parts(found)["sub/deep"]) == (Outcome.UNKNOWN, "cannot be read: permission denied")


def test_rules_hold_for_members_by_path(sides: tuple[Path, Path]) -> None:
    (sides[1] / "sub/b.json").write_bytes(b'{"a": 0.10000000000000002}')
    (sides[1] / "a.txt").write_bytes(b"x")
    (sides[1] / "sub/deep/c.bin").write_bytes(b"x")
    policy = Policy(
        rules=(
            Rule(pattern="*.json", tolerance=Tolerance(ulp=1)),
            Rule(pattern="*.txt", ignore="a log"),
            Rule(pattern="*.bin", stable="name"),
        )
    )
    found = compare_folders(*sides, policy=policy)
    assert found.outcome is Outcome.CLOSE
    assert {part.subject: part.outcome for part in found.children} == {
        "sub/b.json": Outcome.CLOSE,
        "a.txt": Outcome.EQUIVALENT,
        "sub/deep/c.bin": Outcome.EQUIVALENT,
    }
    assert parts(found)["a.txt"] == "not compared: a log"
    assert found.canonicalisations == (
        "content (declared stable by name only)",
        "content ignored by rule `*.txt`",
    )
    (sides[1] / "sub/deep/c.bin").unlink()
    (sides[1] / "a.txt").unlink()
    found = compare_folders(*sides, policy=policy)
    assert parts(found)["sub/deep/c.bin"] == "is gone; it was a file of 256 bytes"
    assert parts(found)["a.txt"] == "not compared: a log"


def test_a_tolerance_holds_where_no_rule_speaks(sides: tuple[Path, Path]) -> None:
    (sides[1] / "sub/b.json").write_bytes(b'{"a": 0.10000000000000002}')
    assert compare(*sides).outcome is Outcome.DIFFERENT
    assert compare(*sides, tolerance=Tolerance(ulp=1)).outcome is Outcome.CLOSE


def test_archives_within_folders(sides: tuple[Path, Path]) -> None:
    for side, value in zip(sides, (b"1", b"2"), strict=True):
        (side / "it.zip").write_bytes(zipped([("inner.zip", zipped([("a.json", b'{"a": ' + value + b"}")]))]))
    (part,) = check(sides).children
    assert [node.subject for node in part.walk()] == ["it.zip", "inner.zip", "a.json", "$.a"]


def test_many_differing_files_are_counted_beyond_the_first_thousand(tmp_path: Path) -> None:
    for side in ("one", "two"):
        (tmp_path / side).mkdir()
        for number in range(1500):
            (tmp_path / side / f"{number:04}").write_text(f"{side if number > 99 else 'same'}{number}")
    found = compare(tmp_path / "one", tmp_path / "two")
    assert found.summary == "100 identical, 1,400 different"
    assert (len(found.children), found.children[-1].summary) == (1001, "400 different not shown")


def test_large_equal_files_are_read_to_the_end(sides: tuple[Path, Path]) -> None:
    data = bytes(range(256)) * 8192
    for side in sides:
        (side / "large").write_bytes(data)
    assert check(sides).outcome is Outcome.IDENTICAL
    (sides[1] / "large").write_bytes(data[:-1] + b"\0")
    assert parts(check(sides)).keys() == {"large"}


def test_a_comparator_for_folders_of_its_kind_takes_them_whole(
    sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deep:
        name = "deep"

        def recognizes(self, expected: Source, actual: Source) -> bool:
            return expected.is_folder and expected.name == "deep"

        def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
            return Difference(subject=subject, outcome=Outcome.DIFFERENT, summary="own words", kind="deep")

    monkeypatch.setattr(registry, "_installed", lambda: ((Deep(),), ()))
    (sides[1] / "sub/deep/c.bin").unlink()
    found = compare(*sides)
    assert parts(found) == {"sub/deep": "own words"}
