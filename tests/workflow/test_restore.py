"""Materials are put where they belong, and nowhere else, whatever links the record or its commit has."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from minimal import minimal_record
from reproof.base.naming import Naming
from reproof.errors import MaterialError
from reproof.model.artifact import Artifact
from reproof.model.event import silent
from reproof.store.directory import DirectoryStore
from reproof.workflow.restore import Sources, restore_materials


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def put_back(artifacts: list[Artifact], store: DirectoryStore, top: Path) -> None:
    top.mkdir(exist_ok=True)
    record = msgspec.structs.replace(minimal_record(), materials=tuple(artifacts))
    naming = Naming(top=str(top), home=str(top.parent / "home"))
    restore_materials(record, Sources(store=store, top=top.parent, home=top.parent), naming, silent)


def kept(name: str, content: bytes, store: DirectoryStore) -> Artifact:
    digests = {"blake3": store.put_bytes(content).value}
    return Artifact(name=name, digests=digests, size=len(content), origin="external", mode=0o600, kept=True)


def test_kept_files_come_back_with_their_modes_and_links(store: DirectoryStore, tmp_path: Path) -> None:
    top = tmp_path / "room"
    linked = msgspec.structs.replace(kept("data/last.bin", b"last", store), target="v/2.bin")
    put_back([kept("data/a/1.bin", b"one", store), kept("data/a/2.bin", b"two", store), linked], store, top)
    assert (top / "data/a/1.bin").read_bytes() == b"one"
    assert (top / "data/a/2.bin").stat().st_mode & 0o777 == 0o600
    assert (top / "data/last.bin").readlink() == Path("v/2.bin")
    assert (top / "data/v/2.bin").read_bytes() == b"last"


def test_a_folder_that_becomes_a_link_out_of_the_room_is_noticed(
    store: DirectoryStore, tmp_path: Path
) -> None:
    """It was sound when the first file was put there."""
    top, outside = tmp_path / "room", tmp_path / "outside"
    (top / "real").mkdir(parents=True)
    (top / "data").symlink_to("real")
    outside.mkdir()
    turned = Artifact(name="data", kind="symlink", target="../outside", origin="external", kept=True)
    turned = msgspec.structs.replace(turned, digests={"blake3": store.put_bytes(b"../outside").value})
    with pytest.raises(MaterialError, match="not in the clean room"):
        put_back([kept("data/1", b"one", store), turned, kept("data/2", b"two", store)], store, top)
    assert list(outside.iterdir()) == []


def test_a_corrupted_object_is_named_with_the_file(store: DirectoryStore, tmp_path: Path) -> None:
    artifact = kept("data/1.bin", b"one", store)
    assert artifact.digest is not None
    damaged = store.path(artifact.digest)
    damaged.chmod(0o644)
    damaged.write_bytes(b"two")
    with pytest.raises(MaterialError, match=r"cannot restore `data/1\.bin`.*corrupted"):
        put_back([artifact], store, tmp_path / "room")
    assert not (tmp_path / "room/data/1.bin").exists()
