"""What waits to be written waits in a file, whole, and is not lost when more comes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproof.tracking.sync import done, pending, write_pending
from reproof.tracking.values import Finish, Finished

TEXT = st.text(max_size=20).filter(lambda text: text.isprintable())


def finish(**more: object) -> Finish:
    return Finish(record="f" * 64, uri="http://host", **more)


@given(st.dictionaries(TEXT, TEXT), st.dictionaries(TEXT, st.binary()), st.none() | st.integers(0, 2**60))
def test_survives_the_way_through_the_file(
    tmp_path_factory: pytest.TempPathFactory,
    tags: dict[str, str],
    artifacts: dict[str, bytes],
    ended: int | None,
) -> None:
    folder = tmp_path_factory.mktemp("pending")
    given_finish = finish(tags=tags, artifacts=artifacts, ended=ended, status="KILLED")
    path = write_pending(folder, given_finish)
    (found,) = pending(folder)
    assert (found.path, found.finish, found.problem) == (path, given_finish, None)
    done(path)
    done(path)
    assert pending(folder) == ()


def test_a_run_made_on_the_way_is_kept(tmp_path: Path) -> None:
    write_pending(tmp_path, finish(), Finished(status="deferred", uri="http://host", run_id="a" * 32))
    (found,) = pending(tmp_path)
    assert found.finish is not None
    assert found.finish.run_id == "a" * 32


def test_a_verdict_joins_a_record_that_waits(tmp_path: Path) -> None:
    write_pending(tmp_path, finish(status="FAILED", tags={"a": "1", "b": "1"}, artifacts={"r": b"r"}))
    write_pending(tmp_path, finish(run_id="x", tags={"b": "2"}, artifacts={"v": b"v"}))
    (found,) = pending(tmp_path)
    expected = finish(
        run_id="x", status="FAILED", tags={"a": "1", "b": "2"}, artifacts={"r": b"r", "v": b"v"}
    )
    assert found.finish == expected


def test_damaged_files_are_told_and_do_not_block(tmp_path: Path) -> None:
    write_pending(tmp_path, finish())
    (tmp_path / "0.pending.json").write_bytes(b'{"record": 1')
    (tmp_path / "1.pending.json").write_bytes(b"\xff")
    (tmp_path / "other.json").write_text("{}")
    first, second, whole = pending(tmp_path)
    assert first.finish is None
    assert first.problem
    assert second.problem
    assert whole.finish is not None
    assert pending(tmp_path / "absent") == ()


def test_others_cannot_read_what_waits(tmp_path: Path) -> None:
    assert write_pending(tmp_path, finish()).stat().st_mode & 0o077 == 0
