from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samples import LINES, MEMBERS, written, zipped

from reproof.compare import Context, Limits, compare, compare_files, compare_folders, new_context, registry
from reproof.compare.protocol import Comparator, ContentError, LimitError, Source
from reproof.compare.registry import comparator, compare_sources, kinds, recognized
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import Tolerance


def pair(folder: Path, one: bytes, two: bytes, name: str = "it.bin") -> tuple[Path, Path]:
    first, second = written(folder, {f"one/{name}": one, f"two/{name}": two})
    return first, second


class Speaker:
    """A comparator of another distribution, for files that end with `.own`."""

    name = "own"
    failure: BaseException | None = None
    outcome = Outcome.IDENTICAL

    def recognizes(self, expected: Source, actual: Source) -> bool:
        return expected.name.endswith(".own")

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        if self.failure is not None:
            raise self.failure
        return Difference(subject=subject, outcome=self.outcome, summary="own words", kind=self.name)


@pytest.fixture
def speaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Speaker]:
    """Installed as an entry point would be."""

    class Point:
        name = value = "own"

        def load(self) -> Any:
            return lambda: made

    made = Speaker()
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: [Point()] if group == registry.GROUP else []
    )
    registry._installed.cache_clear()
    yield made
    monkeypatch.undo()
    registry._installed.cache_clear()


def test_equal_bytes_are_identical_and_nothing_is_parsed(tmp_path: Path) -> None:
    broken = b'{"a": 1, "a": 2'
    found = compare(*pair(tmp_path, broken, broken, "it.json"), subject="subject")
    assert (found.subject, found.outcome, found.kind) == ("subject", Outcome.IDENTICAL, "bytes")


def test_unknown_content_is_different(tmp_path: Path) -> None:
    found = compare(*pair(tmp_path, b"\0\1\2", b"\0\1\3"))
    assert (found.outcome, found.kind, found.subject) == (Outcome.DIFFERENT, "bytes", "it.bin")


def test_content_counts_before_the_name(tmp_path: Path) -> None:
    found = compare(*pair(tmp_path, zipped(MEMBERS), zipped(MEMBERS, date=(2000, 1, 1, 0, 0, 0)), "it.dat"))
    assert (found.kind, found.outcome) == ("zip", Outcome.EQUIVALENT)


def test_two_kinds_are_different_and_named(tmp_path: Path) -> None:
    found = compare(*pair(tmp_path, zipped(MEMBERS), b'{"a": 1}', "it"))
    assert found.outcome is Outcome.DIFFERENT
    assert found.summary.startswith("was zip, is json; ")
    assert found.evidence["kinds"] == ["zip", "json"]


def test_every_entry_can_be_loaded_and_is_called_what_it_says() -> None:
    for entry in registry.TABLE:
        loaded = comparator(entry.kind)
        assert isinstance(loaded, Comparator)
        assert loaded.name == entry.kind
    assert len(set(kinds())) == len(kinds())
    with pytest.raises(KeyError):
        comparator("nothing")


def test_importing_the_package_loads_no_comparator() -> None:
    import subprocess
    import sys

    code = "import sys, reproof.compare; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "reproof.compare.registry" in loaded
    assert not {"numpy", "pyarrow", "yaml", "zipfile", "reproof.compare.archives"} & set(loaded)


def test_comparators_of_others_speak_first(speaker: Speaker, tmp_path: Path) -> None:
    speaker.outcome = Outcome.DIFFERENT
    found = compare(*pair(tmp_path, b"{}", b"[]", "it.own"))
    assert (found.kind, found.summary) == ("own", "own words")
    assert kinds()[0] == "own"
    assert comparator("own") is speaker


@pytest.mark.parametrize("outcome", [Outcome.IDENTICAL, Outcome.EQUIVALENT])
def test_other_bytes_are_never_identical_and_never_equivalent_without_a_name(
    outcome: Outcome, speaker: Speaker, tmp_path: Path
) -> None:
    speaker.outcome = outcome
    found = compare(*pair(tmp_path, b"a", b"b", "it.own"))
    assert (found.outcome, found.canonicalised) == (Outcome.EQUIVALENT, ("own encoding",))


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (ContentError("it is odd"), "it is odd"),
        (LimitError("too much"), "too much"),
        (MemoryError(), "more memory than there is"),
        (RecursionError(), "nested too deeply"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (OSError(5, "Input/output error"), "input/output error"),
    ],
)
def test_a_failing_comparator_leaves_unknown_with_the_reason(
    failure: BaseException, words: str, speaker: Speaker, tmp_path: Path
) -> None:
    speaker.failure = failure
    found = compare(*pair(tmp_path, b"abc", b"abd", "it.own"))
    assert found.outcome is Outcome.UNKNOWN
    assert words in found.summary
    assert found.evidence["offset"] == 2
    assert words in found.evidence["reason"]


def test_a_comparator_that_cannot_be_imported_leaves_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = registry.Entry("gone", "reproof.compare.nowhere:Nothing", suffixes=(".gone",))
    monkeypatch.setattr(registry, "TABLE", (gone, *registry.TABLE))
    found = compare(*pair(tmp_path, b"a", b"b", "it.gone"))
    assert (found.outcome, "ModuleNotFoundError" in found.summary) == (Outcome.UNKNOWN, True)


def test_interrupting_is_not_swallowed(speaker: Speaker, tmp_path: Path) -> None:
    speaker.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        compare(*pair(tmp_path, b"a", b"b", "it.own"))


def test_entry_points_that_cannot_be_loaded_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Point:
        name, value = "bad", "nowhere:Nothing"

        def load(self) -> Any:
            raise ImportError("no module named nowhere")

    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [Point()])
    registry._installed.cache_clear()
    try:
        assert registry.broken_entry_points() == (
            "bad (nowhere:Nothing): ImportError: no module named nowhere",
        )
        assert compare(*pair(tmp_path, b"a", b"b")).outcome is Outcome.DIFFERENT
    finally:
        monkeypatch.undo()
        registry._installed.cache_clear()


def test_depth_is_limited(tmp_path: Path) -> None:
    sides = [Source.of(path) for path in pair(tmp_path, b'{"a":1}', b'{"a": 1}', "it.json")]
    context = new_context(sides[0], sides[1], limits=Limits(max_depth=-1))
    assert compare_sources(sides[0], sides[1], "it", context).outcome is Outcome.UNKNOWN


def test_no_time_left_is_unknown(tmp_path: Path) -> None:
    sides = [Source.of(path) for path in pair(tmp_path, zipped(MEMBERS), zipped(MEMBERS, comment=b"x"))]
    context = new_context(sides[0], sides[1], limits=Limits(seconds=0))
    assert context.expired()
    found = compare_sources(sides[0], sides[1], "it", context)
    assert (found.outcome, "time limit" in str(found)) == (Outcome.UNKNOWN, True)


def test_a_tolerance_reaches_nested_content(tmp_path: Path) -> None:
    one, two = (zipped([("a.json", text)]) for text in (b'{"a": 0.1}', b'{"a": 0.10000000000000002}'))
    assert compare_files(*pair(tmp_path, one, two)).outcome is Outcome.DIFFERENT
    assert compare_files(*pair(tmp_path, one, two), tolerance=Tolerance(ulp=1)).outcome is Outcome.CLOSE


def test_missing_files(tmp_path: Path) -> None:
    (there,) = written(tmp_path, {"there": b"x"})
    for sides in ((there, tmp_path / "gone"), (tmp_path / "gone", there)):
        found = compare(*sides)
        assert (found.outcome, "is missing" in found.summary) == (Outcome.DIFFERENT, True)
    assert compare(tmp_path / "gone", tmp_path / "gone").outcome is Outcome.UNKNOWN


def test_a_folder_against_a_file(tmp_path: Path) -> None:
    (there,) = written(tmp_path, {"there": b"x"})
    found = compare(there, tmp_path)
    assert (found.outcome, found.summary) == (Outcome.DIFFERENT, "was a file, is a folder")
    assert compare_folders(tmp_path, there).summary == "was a folder, is a file"


def test_special_files_are_named_and_never_opened(tmp_path: Path) -> None:
    (there,) = written(tmp_path, {"there": b"x"})
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for place, word in (
            (tmp_path / "fifo", "a fifo"),
            (tmp_path / "socket", "a socket"),
            (Path("/dev/zero"), "a character device"),
        ):
            for sides in ((there, place), (place, there), (place, place)):
                found = compare(*sides)
                assert found.outcome is Outcome.UNKNOWN
                assert f"is {word}, which is not read" in found.summary


def test_symlinks_are_followed_when_they_can_be(tmp_path: Path) -> None:
    there, other = pair(tmp_path, b"x", b"x")
    (tmp_path / "link").symlink_to(there)
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    assert compare(tmp_path / "link", other).outcome is Outcome.IDENTICAL
    found = compare(tmp_path / "broken", other)
    assert (found.outcome, "is a broken symlink to `nowhere`" in found.summary) == (Outcome.UNKNOWN, True)
    found = compare(other, tmp_path / "loop")
    assert (found.outcome, "too many levels of symbolic links" in found.summary) == (Outcome.UNKNOWN, True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_files(tmp_path: Path) -> None:
    there, other = pair(tmp_path, b"x", b"y")
    other.chmod(0)
    found = compare(there, other)
    assert (found.outcome, "permission denied" in found.summary) == (Outcome.UNKNOWN, True)


def test_a_file_that_changes_while_it_is_read_is_unknown(speaker: Speaker, tmp_path: Path) -> None:
    one, two = pair(tmp_path, b"a", b"b", "it.own")
    original = speaker.compare

    def compare_and_write(*arguments: Any) -> Difference:
        two.write_bytes(b"longer than before")
        return original(*arguments)

    speaker.compare = compare_and_write  # type: ignore[method-assign]
    found = compare(one, two)
    assert (found.outcome, found.summary) == (Outcome.UNKNOWN, "it changed while it was read")


def test_comparing_from_several_threads(tmp_path: Path) -> None:
    sides = pair(tmp_path, zipped(MEMBERS), zipped(MEMBERS, comment=b"x"))
    found: list[Difference] = []
    threads = [threading.Thread(target=lambda: found.append(compare(*sides))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.outcome for each in found} == {Outcome.EQUIVALENT}


def test_two_texts_are_recognised_last(tmp_path: Path) -> None:
    one, two = (Source.of(path) for path in pair(tmp_path, LINES, LINES + b"x", "it.unknown"))
    assert recognized(one, two).name == "text"
