"""Content in, the same content out, or a clear refusal; whatever happens to the folder."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reproof.errors import StoreError
from reproof.model.digest import Digest
from reproof.store.directory import DirectoryStore


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def corrupt(path: Path, data: bytes = b"evil") -> None:
    mode = path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(mode)


def leftovers(store: DirectoryStore) -> list[Path]:
    return [path for path in (store.root / "incoming").rglob("*") if path.exists()]


def test_round_trip(store: DirectoryStore, tmp_path: Path) -> None:
    source = write(tmp_path / "in", b"content")
    digest = store.put(source)
    assert digest in store
    assert list(store) == [digest]
    assert store.path(digest).stat().st_mode & 0o777 == 0o444
    store.get(digest, tmp_path / "deep/out")
    assert (tmp_path / "deep/out").read_bytes() == b"content"
    assert (tmp_path / "deep/out").stat().st_mode & 0o777 == 0o644
    store.get(digest, tmp_path / "run.sh", mode=0o755)
    assert (tmp_path / "run.sh").stat().st_mode & 0o777 == 0o755
    assert leftovers(store) == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=5000))
def test_any_bytes_come_back(store: DirectoryStore, data: bytes) -> None:
    digest = store.put_bytes(data)
    assert store.get_bytes(digest) == data
    assert store.put_bytes(data) == digest


def test_copies_are_private(store: DirectoryStore, tmp_path: Path) -> None:
    source = write(tmp_path / "in", b"content")
    digest = store.put(source)
    source.write_bytes(b"CONTENT")
    store.get(digest, tmp_path / "out")
    (tmp_path / "out").write_bytes(b"changed")
    assert store.get_bytes(digest) == b"content"


def test_mode_of_an_unreadable_source_folder_is_not_taken_over(store: DirectoryStore, tmp_path: Path) -> None:
    source = write(tmp_path / "in", b"content")
    source.chmod(0o000)
    if os.geteuid() != 0:
        with pytest.raises(StoreError):
            store.put(source)
        return
    assert store.path(store.put(source)).stat().st_mode & 0o777 == 0o444


def test_corrupted_object_is_noticed_named_and_set_aside(
    store: DirectoryStore, tmp_path: Path, golden
) -> None:
    digest = store.put_bytes(b"good")
    corrupt(store.path(digest))
    assert [(bad.expected, bad.path) for bad in store.check()] == [(digest, store.path(digest))]
    with pytest.raises(StoreError) as caught:
        store.get(digest, tmp_path / "out")
    golden("store/corrupted_object", caught.value)
    assert not (tmp_path / "out").exists()
    assert digest not in store
    assert [path.read_bytes() for path in (store.root / "quarantine").iterdir()] == [b"evil"]
    assert store.put_bytes(b"good") == digest
    assert store.get_bytes(digest) == b"good"


def test_putting_again_heals_a_corrupted_object(store: DirectoryStore, tmp_path: Path) -> None:
    source = write(tmp_path / "in", b"good")
    digest = store.put(source)
    for spoil in (b"evil", b"", b"good "):
        corrupt(store.path(digest), spoil)
        assert store.put(source) == digest
        assert store.get_bytes(digest) == b"good"
    assert list(store.check()) == []


def test_corrupted_bytes_are_refused(store: DirectoryStore) -> None:
    digest = store.put_bytes(b"good")
    corrupt(store.path(digest))
    with pytest.raises(StoreError, match="corrupted"):
        store.get_bytes(digest)


def test_absent_content(store: DirectoryStore, tmp_path: Path, golden) -> None:
    absent = Digest("blake3", "ab" * 32)
    assert absent not in store
    assert list(store) == []
    assert list(store.check()) == []
    with pytest.raises(StoreError) as caught:
        store.get(absent, tmp_path / "out")
    golden("store/absent_object", caught.value)
    with pytest.raises(StoreError):
        store.get_bytes(absent)
    store.remove(absent)


@pytest.mark.parametrize("value", ["../../../etc/passwd", "ab", "AB" * 32, "zz" * 32, "ab" * 31 + "/x"])
def test_only_blake3_names_content(store: DirectoryStore, value: str) -> None:
    with pytest.raises(StoreError):
        store.path(Digest("blake3", value))
    assert Digest("md5", value) not in store


def test_remove(store: DirectoryStore) -> None:
    digest = store.put_bytes(b"x")
    store.remove(digest)
    assert digest not in store


@pytest.mark.parametrize("kind", ["folder", "fifo", "missing", "device"])
def test_what_is_no_file_is_refused_and_does_not_hang(
    store: DirectoryStore, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "thing"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path = Path(os.devnull)
    with pytest.raises(StoreError):
        store.put(path)


def test_existing_target_is_not_overwritten(store: DirectoryStore, tmp_path: Path) -> None:
    digest = store.put_bytes(b"x")
    mine = write(tmp_path / "mine", b"mine")
    with pytest.raises(StoreError):
        store.get(digest, mine)
    assert mine.read_bytes() == b"mine"


def test_foreign_files_in_the_folder_are_passed_over(store: DirectoryStore) -> None:
    digest = store.put_bytes(b"x")
    write(store.root / "objects/b3/README", b"")
    write(store.root / "objects/b3/ab/.nfs0001", b"")
    assert list(store) == [digest]
    assert list(store.check()) == []


def script(store: DirectoryStore, body: str) -> list[str]:
    text = f"""
        import sys
        from pathlib import Path
        from reproof.store.directory import DirectoryStore
        store = DirectoryStore(Path({str(store.root)!r}))
    """
    return [sys.executable, "-c", textwrap.dedent(text) + textwrap.dedent(body)]


def test_full_disk_leaves_the_store_whole(store: DirectoryStore, tmp_path: Path, golden) -> None:
    small = store.put_bytes(b"small")
    big = write(tmp_path / "big", b"x" * 200_000)
    body = f"""
        import resource
        from reproof.errors import StoreError
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        for put, what in ((store.put, Path({str(big)!r})), (store.put_bytes, b"y" * 200_000)):
            try:
                put(what)
            except StoreError as error:
                print(error.message, dict(error.details)["reason"], error.hint, sep="\\n")
    """
    done = subprocess.run(script(store, body), capture_output=True, text=True, check=True)
    golden("store/full_disk", done.stdout)
    assert list(store) == [small]
    assert leftovers(store) == []


def test_store_that_cannot_be_made_is_a_clear_error(tmp_path: Path, golden) -> None:
    blocked = DirectoryStore(tmp_path / "file/store")
    write(tmp_path / "file", b"a file where a folder should be")
    with pytest.raises(StoreError) as caught:
        blocked.put_bytes(b"y")
    golden("store/no_folder", caught.value)


def test_processes_that_put_the_same_content_at_once(store: DirectoryStore, tmp_path: Path) -> None:
    write(tmp_path / "in", os.urandom(3_000_000))
    body = f"""
        for _ in range(5):
            digest = store.put(Path({str(tmp_path / "in")!r}))
            store.remove(digest)
            store.put(Path({str(tmp_path / "in")!r}))
    """
    running = [subprocess.Popen(script(store, body), stderr=subprocess.PIPE) for _ in range(3)]
    assert [(process.wait(), process.stderr.read()) for process in running] == [(0, b"")] * 3
    assert len(list(store)) == 1
    assert list(store.check()) == []


def test_a_hundred_kills_at_any_point_leave_a_valid_store(store: DirectoryStore, tmp_path: Path) -> None:
    """Two processes put, get and remove without pause; both are killed, and others begin."""
    body = f"""
        import itertools, os, random, signal, time
        from reproof.model.digest import Digest
        def work(number):
            chance = random.Random(number)
            for turn in itertools.count():
                digest = store.put_bytes(bytes([chance.randrange(40)]) * chance.choice([10, 5_000, 200_000]))
                target = Path({str(tmp_path)!r}) / f"{{number}}-{{turn}}"
                if chance.random() < 0.5:
                    try:
                        store.get(digest, target)
                    except Exception:
                        assert digest not in store or not store.path(digest).exists()
                else:
                    store.remove_unused(digest, time.time() + 1)
        chance = random.Random(0)
        for turn in range(50):
            children = []
            for number in (2 * turn, 2 * turn + 1):
                if not (child := os.fork()):
                    try:
                        work(number)
                    finally:
                        os._exit(1)
                children.append(child)
            time.sleep(chance.random() * 0.03)
            for child in children:
                os.kill(child, signal.SIGKILL)
            ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
            assert ended == [-9, -9], ended
            assert list(store.check()) == []
        print(len(list(store)))
    """
    done = subprocess.run(script(store, body), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert 0 < int(done.stdout) <= 120
    digest = store.put_bytes(b"after all that")
    assert store.get_bytes(digest) == b"after all that"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
def test_really_full_file_system(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("may not mount here")
    try:
        store = DirectoryStore(folder / "store")
        kept = store.put_bytes(b"k" * 50_000)
        with pytest.raises(StoreError) as caught:
            store.put_bytes(b"x" * 300_000)
        assert dict(caught.value.details)["reason"] == "No space left on device"
        assert list(store) == [kept]
        assert store.get_bytes(kept) == b"k" * 50_000
        assert leftovers(store) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """A folder `store` that can be made read-only, for root too."""
    folder = tmp_path / "store"
    folder.mkdir()
    if os.geteuid() != 0:

        def close() -> None:
            for each in (folder, *filter(Path.is_dir, folder.rglob("*"))):
                each.chmod(0o555)

        yield close
        for each in (folder, *folder.rglob("*")):
            each.chmod(0o755)
        return
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("may not mount here")
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    finally:
        subprocess.run(["umount", str(folder)], check=False)


def test_a_read_only_store_gives_what_it_has_and_says_why_it_takes_no_more(
    store: DirectoryStore, read_only: Callable[[], None], tmp_path: Path
) -> None:
    digest = store.put_bytes(b"kept")
    damaged = store.put_bytes(b"damaged")
    corrupt(store.path(damaged))
    read_only()
    assert store.put_bytes(b"kept") == digest  # it is there already
    store.get(digest, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"kept"
    with pytest.raises(StoreError, match="cannot keep") as caught:
        store.put_bytes(b"more")
    assert dict(caught.value.details)["reason"] in ("Read-only file system", "Permission denied")
    with pytest.raises(StoreError, match="corrupted"):
        store.get(damaged, tmp_path / "no")
    assert not (tmp_path / "no").exists()
    assert [each.expected for each in store.check()] == [damaged]


def test_what_a_killed_removal_had_set_aside_comes_back(store: DirectoryStore) -> None:
    digest = store.put_bytes(b"put again a moment ago")
    aside = store.root / "incoming" / f"unused-{digest.value}-4194999"
    store.path(digest).rename(aside)
    store.recover()
    assert store.get_bytes(digest) == b"put again a moment ago"
    mine = store.root / "incoming" / f"unused-{digest.value}-{os.getpid()}"
    store.path(digest).rename(mine)
    store.recover()  # that removal goes on
    assert mine.exists()
