"""What an editable install leaves in the project travels with the record."""

from __future__ import annotations

from pathlib import Path

from minimal import minimal_record
from reproof.base.digesting import digest_file
from reproof.base.naming import Naming
from reproof.model.artifact import Artifact
from reproof.store.directory import DirectoryStore
from reproof.workflow.package_metadata import keep_metadata


def test_metadata_is_kept_and_data_is_not(tmp_path: Path) -> None:
    names = ["src/p.egg-info/PKG-INFO", "src/p.egg-info/SOURCES.txt", "data/x.csv"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    record = minimal_record(
        materials=tuple(
            Artifact(name=name, digests=digest_file(tmp_path / name), size=9, origin="external")
            for name in names
        ),
    )
    (tmp_path / names[1]).write_text("changed since")
    (tmp_path / "store").mkdir()
    store = DirectoryStore(tmp_path / "store")
    kept = keep_metadata(record, Naming(top=str(tmp_path), home="/home/me"), store).materials
    assert [each.kept for each in kept] == [True, False, False]
    assert kept[0].digest in store
    assert kept[2].digest not in store
