"""What an explanation puts into a store is gone afterwards; what was there stays."""

from __future__ import annotations

from pathlib import Path

from reproof.store.directory import DirectoryStore
from reproof.workflow.explain.loan import Loan


def test_what_was_there_stays(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    old = store.put_bytes(b"old")
    file = tmp_path / "file"
    file.write_bytes(b"new too")
    loan = Loan(tmp_path / "store")
    added = [loan.put_bytes(b"old"), loan.put_bytes(b"new"), loan.put_bytes(b"new"), loan.put(file)]
    assert added[0] == old
    assert all(digest in store for digest in added)
    loan.end()
    assert list(store) == [old]
    loan.end()
