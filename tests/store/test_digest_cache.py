"""What a cache of digests must notice: every way in which DVC's does not notice a change, and its own end."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import blake3
import pytest

from reproof.base.mounts import Mounts
from reproof.store.digest_cache import TRUSTED, DigestCache
from reproof.store.manifest import describe_folder, dvc_id, identity

MARGIN = 0.05


@pytest.fixture
def place(tmp_path: Path) -> Path:
    if Mounts().kind(str(tmp_path)) not in TRUSTED:
        pytest.skip("the temporary folder lies on a file system that no cache believes")
    return tmp_path


def old(path: Path) -> Path:
    """The file, when its times are older than the margin."""
    time.sleep(max(0.0, path.stat().st_ctime + 2 * MARGIN - time.time()))
    return path


def digest(cache: DigestCache, path: Path) -> str:
    (found,) = cache.digest_files([str(path)])
    assert isinstance(found, dict)
    assert found["blake3"] == blake3.blake3(path.read_bytes()).hexdigest()
    return found["blake3"]


def reads(cache: DigestCache, path: Path) -> bool:
    """Whether the cache would read the file now."""
    return cache._known(str(path), ("blake3",)) is None


@pytest.fixture
def cache(place: Path) -> Iterator[DigestCache]:
    with DigestCache(place / "own", margin=MARGIN) as cache:
        yield cache


def test_what_is_known_is_not_read_again_not_even_by_another_process(place: Path) -> None:
    file = place / "file"
    file.write_bytes(b"content")
    old(file)
    for expected in (True, False):
        with DigestCache(place / "own", margin=MARGIN) as cache:
            assert reads(cache, file) is expected
            digest(cache, file)


def test_a_same_size_edit_with_its_time_put_back_is_noticed(place: Path, cache: DigestCache) -> None:
    file = place / "file"
    file.write_bytes(b"hello-good")
    before = old(file).stat()
    digest(cache, file)
    cache._flush()
    assert not reads(cache, file)
    with file.open("r+b") as opened:
        opened.write(b"hello-evil")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    digest(cache, file)


def test_a_write_through_a_map_after_hashing_is_noticed(place: Path, cache: DigestCache) -> None:
    """The second store to a dirty page moves no time, unless the page was forced out before."""
    file = place / "file"
    file.write_bytes(bytes(4096))
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as content:
        content[0] = 1
        old(file)
        digest(cache, file)
        cache._flush()
        content[0] = 2
        content.flush()
        digest(cache, file)


def test_a_young_file_is_not_believed(place: Path) -> None:
    file = place / "file"
    file.write_bytes(b"1")
    with DigestCache(place / "own", margin=1000) as cache:
        digest(cache, file)
        cache._flush()
        assert reads(cache, file)


def test_times_of_the_future_are_not_believed(place: Path, cache: DigestCache) -> None:
    file = place / "file"
    file.write_bytes(b"1")
    os.utime(file, (time.time() + 1e6, time.time() + 1e6))
    old(file)
    digest(cache, file)
    cache._flush()
    assert reads(cache, file)


def test_a_file_moved_over_another_is_noticed(place: Path, cache: DigestCache) -> None:
    one, two = place / "one", place / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    times = (old(two).stat().st_atime_ns, one.stat().st_mtime_ns)
    os.utime(two, ns=times)
    old(two)
    assert digest(cache, one) != digest(cache, two)
    two.replace(one)
    digest(cache, one)


def test_memory_is_not_believed(cache: DigestCache) -> None:
    memory = Path("/dev/shm")
    if Mounts().kind(str(memory)) != "tmpfs":
        pytest.skip("no tmpfs here")
    file = memory / f"reproof-test-{os.getpid()}"
    try:
        file.write_bytes(b"1")
        old(file)
        digest(cache, file)
        cache._flush()
        assert reads(cache, file)
        assert DigestCache(memory / "absent")._database is None
        assert not (memory / "absent").exists()
    finally:
        file.unlink()


def test_one_algorithm_more_is_read_once(place: Path, cache: DigestCache) -> None:
    file = place / "file"
    file.write_bytes(b"1")
    old(file)
    digest(cache, file)
    cache._flush()
    (both,) = cache.digest_files([str(file)], ("md5", "blake3"))
    cache._flush()
    assert both == {"md5": "c4ca4238a0b923820dcc509a6f75849b", "blake3": blake3.blake3(b"1").hexdigest()}
    assert not reads(cache, file)
    assert cache._known(str(file), ("md5", "blake3")) == both


def test_what_cannot_be_read_is_told(place: Path, cache: DigestCache) -> None:
    found = list(cache.digest_files([str(place / "absent"), str(place)]))
    assert [type(each) for each in found] == [FileNotFoundError, IsADirectoryError]


def test_a_folder_is_known_until_anything_in_it_changes(place: Path, cache: DigestCache) -> None:
    folder = place / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a").write_bytes(b"1")
    (folder / "b").write_bytes(b"2")
    (folder / "link").symlink_to("b")
    old(folder / "b")

    def check() -> str:
        facts, manifest = cache.describe(folder), describe_folder(folder, md5=True)
        assert (facts.blake3, facts.dvc_id) == (identity(manifest).value, dvc_id(manifest))
        assert (facts.size, facts.files) == (manifest.size, manifest.files)
        return facts.blake3

    first = check()
    assert cache._run("SELECT count(*) FROM sets", ()) == [(1,)]
    assert check() == first
    for change in (
        lambda: (folder / "b").chmod(0o755),
        (folder / "empty").mkdir,
        lambda: (folder / "b").rename(folder / "c"),
        lambda: (folder / "c").write_bytes(b"3"),
    ):
        change()
        assert check() != first


@pytest.mark.parametrize("damage", [b"", b"no database at all, but long enough to be looked at" * 100])
def test_a_damaged_database_is_made_again(place: Path, damage: bytes) -> None:
    file = place / "file"
    file.write_bytes(b"1")
    old(file)
    database = place / "own" / "digests.sqlite"
    for content in (None, damage, None):
        if content is not None:
            database.write_bytes(content)
        with DigestCache(place / "own", margin=MARGIN) as cache:
            digest(cache, file)
    with DigestCache(place / "own", margin=MARGIN) as cache:
        assert not reads(cache, file)


def test_damage_within_pages_stops_nothing(place: Path) -> None:
    files = [place / str(number) for number in range(2000)]
    for file in files:
        file.write_bytes(file.name.encode())
    os.sync()
    os.utime(files[-1])
    old(files[-1])
    with DigestCache(place / "own", margin=MARGIN) as cache:
        cache._forced = -10_000
        list(cache.digest_files(map(str, files)))
    database = place / "own" / "digests.sqlite"
    content = database.read_bytes()
    assert len(content) > 100_000
    database.write_bytes(content[:8192] + os.urandom(len(content) - 8192))
    with DigestCache(place / "own", margin=MARGIN) as cache:
        for file in files[::97]:
            digest(cache, file)


def test_a_folder_that_cannot_be_written_is_no_obstacle(place: Path) -> None:
    (place / "own").write_text("a file where the folder should be")
    (place / "file").write_bytes(b"1")
    with DigestCache(place / "own") as cache:
        digest(cache, place / "file")


WORKER = """
import sys
from pathlib import Path
from reproof.store.digest_cache import DigestCache
folder = Path(sys.argv[1])
for _ in range(5):
    with DigestCache(folder / "own", margin=0.01) as cache:
        print(cache.describe(folder / "data").blake3)
"""


def test_several_processes_at_once(place: Path) -> None:
    folder = place / "data"
    folder.mkdir()
    for number in range(300):
        (folder / str(number)).write_bytes(str(number).encode())
    old(folder / "299")
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER), str(place)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    said = {line for worker in workers for line in worker.communicate(timeout=60)[0].split()}
    assert all(worker.returncode == 0 for worker in workers)
    assert said == {identity(describe_folder(folder)).value}
