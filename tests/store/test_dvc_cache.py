"""Restoring what DVC keeps: from the first sound copy, and never from a corrupted one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from reproof.base.digesting import digest_file
from reproof.errors import MaterialError, StoreError
from reproof.model.dvc import DvcEntry, DvcRemote
from reproof.model.event import Event
from reproof.store.directory import DirectoryStore
from reproof.store.dvc_cache import DvcSources, restore

CONTENT = b"a,b\n1,2\n"


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def keep(
    cache: Path, data: bytes, *, name: str | None = None, ending: str = "", legacy: bool = False
) -> Path:
    """Put an object into a cache as DVC does: read-only, under its MD5 (or a lie)."""
    name = (name or md5(data)) + ending
    place = cache / ("" if legacy else "files/md5") / name[:2] / name[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    place.chmod(0o444)
    return place


def spoil(place: Path, data: bytes = b"evil") -> None:
    place.chmod(0o644)
    place.write_bytes(data)
    place.chmod(0o444)


def folder(cache: Path, files: dict[str, bytes]) -> DvcEntry:
    rows = [{"md5": keep_and_name(cache, data), "relpath": path} for path, data in sorted(files.items())]
    data = json.dumps(rows, sort_keys=True).encode()
    keep(cache, data, ending=".dir")
    size = sum(map(len, files.values()))
    return DvcEntry(path="data/raw", md5=md5(data), is_dir=True, size=size, source="data/raw.dvc")


def keep_and_name(cache: Path, data: bytes) -> str:
    keep(cache, data)
    return md5(data)


ENTRY = DvcEntry(path="data/bikes.csv", md5=md5(CONTENT), size=len(CONTENT), source="data/bikes.csv.dvc")


def local(path: Path, name: str = "origin") -> DvcRemote:
    return DvcRemote(name=name, kind="local", address=str(path), shown=str(path))


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / "room").mkdir()
    return tmp_path / "room"


def left(top: Path) -> list[str]:
    return sorted(str(path.relative_to(top)) for path in top.rglob("*") if not path.is_dir())


def test_file_from_the_cache_with_both_digests(top: Path, tmp_path: Path) -> None:
    place = keep(tmp_path / "cache", CONTENT)
    done = restore(ENTRY, top, DvcSources(caches=(tmp_path / "cache",)))
    target = top / "data/bikes.csv"
    assert target.read_bytes() == CONTENT
    assert done.artifact.digests == digest_file(target, ("md5", "blake3"))
    assert (done.artifact.name, done.artifact.size, done.artifact.mode) == ("data/bikes.csv", 8, 0o644)
    assert (done.artifact.origin, done.artifact.source) == ("dvc", "data/bikes.csv.dvc")
    assert done.corrupted == ()
    assert target.stat().st_ino != place.stat().st_ino
    target.write_bytes(b"changed")
    assert place.read_bytes() == CONTENT
    assert left(top) == ["data/bikes.csv"]


def test_exec_bit(top: Path, tmp_path: Path) -> None:
    keep(tmp_path / "cache", CONTENT)
    entry = msgspec.structs.replace(ENTRY, executable=True)
    restore(entry, top, DvcSources(caches=(tmp_path / "cache",)))
    assert (top / entry.path).stat().st_mode & 0o777 == 0o755


def test_corrupted_cache_is_named_and_the_remote_used(top: Path, tmp_path: Path) -> None:
    """DVC itself restores the corrupted object: its mode 0444 is all that it looks at."""
    place = keep(tmp_path / "cache", CONTENT)
    spoil(place)
    keep(tmp_path / "remote", CONTENT)
    events: list[Event] = []
    sources = DvcSources(caches=(tmp_path / "cache",), remotes=(local(tmp_path / "remote"),))
    done = restore(ENTRY, top, sources, events.append)
    assert (top / "data/bikes.csv").read_bytes() == CONTENT
    assert done.sources == (f"remote `origin` ({tmp_path / 'remote'})",)
    (bad,) = done.corrupted
    assert (bad.name, bad.place, bad.expected.value, bad.found.value) == (
        "data/bikes.csv",
        str(place),
        md5(CONTENT),
        md5(b"evil"),
    )
    (warning,) = events
    assert warning.kind == "warning"
    assert warning.hint == f"run `rm -f {place} && dvc fetch data/bikes.csv.dvc`"
    assert place.read_bytes() == b"evil"


def test_corrupted_in_all_copies_is_refused(top: Path, tmp_path: Path, golden) -> None:
    for where in ("cache", "remote"):
        spoil(keep(tmp_path / where, CONTENT))
    sources = DvcSources(caches=(tmp_path / "cache",), remotes=(local(tmp_path / "remote"),))
    with pytest.raises(MaterialError) as caught:
        restore(ENTRY, top, sources)
    golden("store/dvc_all_corrupted", caught.value)
    assert left(top) == []


def test_content_in_no_place(top: Path, tmp_path: Path, golden) -> None:
    web = DvcRemote(
        name="bucket", kind="other", address="s3://b/x", shown="s3://b/x", unusable="`s3` needs DVC itself"
    )
    store = DirectoryStore(tmp_path / "own")
    sources = DvcSources(store=store, caches=(tmp_path / "cache",), remotes=(local(tmp_path / "remote"),))
    with pytest.raises(MaterialError) as caught:
        restore(ENTRY, top, sources)
    golden("store/dvc_missing", caught.value)
    with pytest.raises(MaterialError) as caught:
        restore(ENTRY, top, DvcSources(caches=(tmp_path / "cache",), remotes=(web,)))
    golden("store/dvc_missing_other_remote", caught.value)
    with pytest.raises(MaterialError) as caught:
        restore(ENTRY, top, DvcSources())
    golden("store/dvc_missing_no_source", caught.value)


def test_problem_of_the_entry(top: Path, golden) -> None:
    entry = msgspec.structs.replace(ENTRY, md5="", problem="DVC has not kept its content yet")
    with pytest.raises(MaterialError) as caught:
        restore(entry, top, DvcSources())
    golden("store/dvc_not_kept", caught.value)


def test_own_store_comes_first_and_is_verified_as_well(top: Path, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "own")
    digest = store.put_bytes(CONTENT)
    sources = DvcSources(store=store, known={md5(CONTENT): digest.value})
    assert restore(ENTRY, top, sources).sources == (f"`{tmp_path / 'own'}`",)
    (top / ENTRY.path).unlink()
    wrong = store.put_bytes(b"something else")
    keep(tmp_path / "cache", CONTENT)
    lying = DvcSources(store=store, known={md5(CONTENT): wrong.value}, caches=(tmp_path / "cache",))
    done = restore(ENTRY, top, lying)
    assert done.sources == (f"`{tmp_path / 'cache'}`",)
    assert len(done.corrupted) == 1


def test_corrupted_own_store_is_told_and_passed_over(top: Path, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "own")
    digest = store.put_bytes(CONTENT)
    spoil(store.path(digest))
    keep(tmp_path / "cache", CONTENT)
    events: list[Event] = []
    sources = DvcSources(store=store, known={md5(CONTENT): digest.value}, caches=(tmp_path / "cache",))
    restore(ENTRY, top, sources, events.append)
    assert (top / ENTRY.path).read_bytes() == CONTENT
    assert "corrupted" in events[0].message


@pytest.mark.parametrize("spoiled", [b"", b"a,b\n1,", CONTENT + b" "])
def test_truncated_empty_and_longer_objects(top: Path, tmp_path: Path, spoiled: bytes) -> None:
    spoil(keep(tmp_path / "cache", CONTENT), spoiled)
    with pytest.raises(MaterialError, match="no sound copy"):
        restore(ENTRY, top, DvcSources(caches=(tmp_path / "cache",)))


def test_entries_of_dvc_2_count_line_ends_as_one(top: Path, tmp_path: Path) -> None:
    dos = b"a,b\r\n1,2\r\n"
    keep(tmp_path / "cache", dos, name=md5(CONTENT), legacy=True)
    entry = msgspec.structs.replace(ENTRY, hash_name="md5-dos2unix")
    done = restore(entry, top, DvcSources(caches=(tmp_path / "cache",)))
    assert (top / ENTRY.path).read_bytes() == dos
    assert done.artifact.digests["md5-dos2unix"] == md5(CONTENT)
    (top / ENTRY.path).unlink()
    with pytest.raises(MaterialError):
        restore(ENTRY, top, DvcSources(caches=(tmp_path / "cache",)))


def test_folder(top: Path, tmp_path: Path) -> None:
    files = {"1": b"one", "deep/er/2": b"two", "ü b": b"one", "empty": b""}
    entry = folder(tmp_path / "cache", files)
    events: list[Event] = []
    done = restore(entry, top, DvcSources(caches=(tmp_path / "cache",)), events.append)
    assert {name: (top / "data/raw" / name).read_bytes() for name in files} == files
    assert left(top) == sorted(f"data/raw/{name}" for name in files)
    assert [member.name for member in done.members] == sorted(f"data/raw/{name}" for name in files)
    assert all({"md5", "blake3"} == member.digests.keys() for member in done.members)
    assert (done.artifact.digests, done.artifact.size) == ({"md5": entry.id}, 9)
    assert [event.kind for event in events] == ["start", "advance", "finish"]


def test_folder_with_members_missing_and_corrupted(top: Path, tmp_path: Path, golden) -> None:
    entry = folder(tmp_path / "cache", {f"{i}": f"content {i}".encode() for i in range(9)})
    for i in (3, 5):
        digest = md5(f"content {i}".encode())
        (tmp_path / "cache/files/md5" / digest[:2] / digest[2:]).unlink()
    spoil(tmp_path / "cache/files/md5" / md5(b"content 7")[:2] / md5(b"content 7")[2:])
    with pytest.raises(MaterialError) as caught:
        restore(entry, top, DvcSources(caches=(tmp_path / "cache",)))
    golden("store/dvc_folder_incomplete", caught.value)
    assert left(top) == []
    assert not (top / "data/raw").exists()


def test_corrupted_list_of_a_folder(top: Path, tmp_path: Path) -> None:
    entry = folder(tmp_path / "cache", {"1": b"one"})
    spoil(tmp_path / "cache/files/md5" / entry.id[:2] / entry.id[2:], b'[{"md5": "x", "relpath": "../evil"}]')
    with pytest.raises(MaterialError, match="no sound copy"):
        restore(entry, top, DvcSources(caches=(tmp_path / "cache",)))


def test_hostile_list_of_a_folder_writes_nothing(top: Path, tmp_path: Path, golden) -> None:
    entry = folder(tmp_path / "cache", {"ok": b"1", "../../../evil": b"evil"})
    with pytest.raises(MaterialError) as caught:
        restore(entry, top, DvcSources(caches=(tmp_path / "cache",)))
    golden("store/dvc_hostile_folder", caught.value)
    assert left(top) == []
    assert not list(tmp_path.rglob("evil"))


def test_places_that_must_not_be_written(top: Path, tmp_path: Path) -> None:
    keep(tmp_path / "cache", CONTENT)
    sources = DvcSources(caches=(tmp_path / "cache",))
    (tmp_path / "outside").mkdir()
    (top / "data").symlink_to(tmp_path / "outside")
    with pytest.raises(StoreError, match="leads out"):
        restore(ENTRY, top, sources)
    assert not list((tmp_path / "outside").iterdir())
    (top / "data").unlink()
    (top / "data").mkdir()
    (top / "data/bikes.csv").write_text("mine")
    with pytest.raises(StoreError, match="it exists"):
        restore(ENTRY, top, sources)
    assert (top / "data/bikes.csv").read_text() == "mine"
    (top / "data/bikes.csv").unlink()
    (top / "data/bikes.csv").symlink_to("nowhere")
    with pytest.raises(StoreError, match="it exists"):
        restore(ENTRY, top, sources)


def test_unreadable_and_odd_objects_are_passed_over(top: Path, tmp_path: Path) -> None:
    place = keep(tmp_path / "cache", CONTENT)
    place.unlink()
    os.mkfifo(place)
    keep(tmp_path / "remote", CONTENT)
    sources = DvcSources(caches=(tmp_path / "cache",), remotes=(local(tmp_path / "remote"),))
    restore(ENTRY, top, sources)
    assert (top / ENTRY.path).read_bytes() == CONTENT


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; asks for a header where the server says so."""

    def do_GET(self) -> None:
        server = self.server
        server.asked.append(self.path)  # type: ignore[attr-defined]
        if server.status != 200:  # type: ignore[attr-defined]
            self.send_error(server.status)  # type: ignore[attr-defined]
            return
        if server.header and self.headers.get("X-Key") != server.header:  # type: ignore[attr-defined]
            self.send_error(403)
            return
        super().do_GET()

    def log_message(self, *words: object) -> None:
        pass


class Short(BaseHTTPRequestHandler):
    """Promises more than it sends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"short")

    def log_message(self, *words: object) -> None:
        pass


def serve(handler: object) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    server.asked, server.status, server.header = [], 200, ""  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    (tmp_path / "web").mkdir()
    yield from serve(partial(Handler, directory=str(tmp_path / "web")))


def web(server: ThreadingHTTPServer, **more: object) -> DvcRemote:
    address = f"http://127.0.0.1:{server.server_port}"
    return DvcRemote(name="web", kind="http", address=address, shown="http://web", **more)


def test_http_remote(top: Path, tmp_path: Path, server: ThreadingHTTPServer) -> None:
    keep(tmp_path / "web", CONTENT)
    done = restore(ENTRY, top, DvcSources(remotes=(web(server),)))
    assert (top / ENTRY.path).read_bytes() == CONTENT
    assert done.sources == ("remote `web` (http://web)",)


def test_http_remote_with_a_header(top: Path, tmp_path: Path, server: ThreadingHTTPServer) -> None:
    keep(tmp_path / "web", CONTENT)
    server.header = "secret"
    with pytest.raises(MaterialError):
        restore(ENTRY, top, DvcSources(remotes=(web(server),)))
    restore(ENTRY, top, DvcSources(remotes=(web(server, headers={"X-Key": "secret"}),)))


def test_http_remote_with_a_corrupted_object(
    top: Path, tmp_path: Path, server: ThreadingHTTPServer, golden
) -> None:
    spoil(keep(tmp_path / "web", CONTENT))
    with pytest.raises(MaterialError) as caught:
        restore(ENTRY, top, DvcSources(remotes=(web(server),)))
    golden("store/dvc_http_corrupted", caught.value)


def test_http_remote_that_fails_is_asked_once(
    top: Path, tmp_path: Path, server: ThreadingHTTPServer, golden
) -> None:
    entry = folder(tmp_path / "elsewhere", {str(i): str(i).encode() for i in range(20)})
    server.status = 503
    with pytest.raises(MaterialError) as caught:
        restore(entry, top, DvcSources(remotes=(web(server),)))
    golden("store/dvc_http_unavailable", caught.value)
    assert len(server.asked) == 1


def test_http_remote_that_breaks_off(top: Path) -> None:
    for server in serve(Short):
        with pytest.raises(MaterialError):
            restore(ENTRY, top, DvcSources(remotes=(web(server),)))
    assert left(top) == []


def test_http_remote_that_is_not_there_or_not_asked(top: Path, golden) -> None:
    remote = DvcRemote(name="web", kind="http", address="http://127.0.0.1:9", shown="http://web")
    with pytest.raises(MaterialError) as caught:
        restore(ENTRY, top, DvcSources(remotes=(remote,)))
    golden("store/dvc_http_no_connection", caught.value)
    with pytest.raises(MaterialError) as caught:
        restore(ENTRY, top, DvcSources(remotes=(remote,), offline=True))
    golden("store/dvc_http_offline", caught.value)


@pytest.mark.needs("dvc")
def test_what_the_real_dvc_keeps_is_restored(
    tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """End to end with the readers of project/: add, push, lose the cache, restore; then the trap."""
    from reproof.project.dvc import read_config, tracked

    for name in ("GLOBAL", "SYSTEM"):
        monkeypatch.setenv(f"DVC_{name}_CONFIG_DIR", str(tmp_path / name))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    source = tmp_path / "source"
    (source / "data/raw").mkdir(parents=True)
    (source / "data/x.csv").write_bytes(b"a,b\r\n1,2\r\n")
    (source / "data/raw/1").write_bytes(b"\xff\x00bin")
    (source / "data/raw/ü b").write_text("two")

    code = (
        "import shlex, sys; from dvc.cli import main\n"
        "for line in sys.argv[1:]: assert main(shlex.split(line)) == 0, line"
    )
    commands = ["init -q", "remote add -d origin ../store", "add -q data/x.csv data/raw", "push -q"]
    for words in (["git", "init", "-q"], [sys.executable, "-c", code, *commands]):
        subprocess.run(words, cwd=source, check=True, capture_output=True)
    config = read_config(source)
    sources = DvcSources(caches=(Path(config.cache),), remotes=config.remotes)
    entries = tracked(source)
    for entry in entries:
        restore(entry, top, sources)
    for name in ("data/x.csv", "data/raw/1", "data/raw/ü b"):
        assert (top / name).read_bytes() == (source / name).read_bytes()
    for place in (source / ".dvc/cache/files").rglob("*"):
        if place.is_file():
            spoil(place)
    (tmp_path / "again").mkdir()
    corrupted = [copy for entry in entries for copy in restore(entry, tmp_path / "again", sources).corrupted]
    assert {copy.name for copy in corrupted} == {"data/x.csv", "data/raw", "data/raw/1", "data/raw/ü b"}
    assert (tmp_path / "again/data/x.csv").read_bytes() == (source / "data/x.csv").read_bytes()
