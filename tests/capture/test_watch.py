from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from reproof.capture.tree import scan
from reproof.capture.watch import Watch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is there on Linux only")


def make(top: Path, *names: str) -> None:
    for name in names:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")


def cat(*paths: Path) -> None:
    """Open files by a program that is no Python."""
    subprocess.run(["cat", *map(str, paths)], check=True, capture_output=True)


def below(watch: Watch, top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in watch.opened}


def test_a_native_reader_is_seen(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "data" / "read.parquet")
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "data" / "left-alone.parquet")
    script = (
        "import sys, pyarrow.parquet as pq\n"
        "hooked = []\n"
        "sys.addaudithook(lambda event, args: hooked.append(str(args[0])) if event == 'open' else None)\n"
        "pq.read_table(pq.ParquetFile.__module__ and sys.argv[1])\n"
        "print(any('read.parquet' in path for path in hooked))\n"
    )
    with Watch(tmp_path) as watch:
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "data" / "read.parquet")],
            check=True,
            capture_output=True,
            text=True,
        )
    assert done.stdout == "False\n"  # Python's own audit hook does not see it
    assert below(watch, tmp_path) == {"data/read.parquet"}
    assert watch.omissions == ()


def test_only_opens_between_start_and_stop_count(tmp_path: Path) -> None:
    make(tmp_path, "before", "during", "after", "never")
    watch = Watch(tmp_path)
    cat(tmp_path / "before")
    with watch:
        cat(tmp_path / "during")
    cat(tmp_path / "after")
    assert below(watch, tmp_path) == {"during"}


def test_a_scan_made_before_saves_another(tmp_path: Path) -> None:
    make(tmp_path, "a/b/c", "d")
    with Watch(tmp_path, tree=scan(tmp_path)) as watch:
        cat(tmp_path / "a/b/c")
    assert below(watch, tmp_path) == {"a/b/c"}


def test_folders_that_appear_later_are_watched(tmp_path: Path) -> None:
    with Watch(tmp_path) as watch:
        make(tmp_path, "new/deep/file")
        subprocess.run(["sleep", "0.1"], check=True)
        cat(tmp_path / "new/deep/file")
    assert "new/deep/file" in below(watch, tmp_path)


def test_folders_that_are_moved_are_seen_under_their_last_name(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    make(outside, "deep/file")
    top = tmp_path / "top"
    make(top, "first/x")
    with Watch(top) as watch:
        outside.rename(top / "moved-in")
        (top / "first").rename(top / "second")
        subprocess.run(["sleep", "0.1"], check=True)
        cat(top / "moved-in/deep/file", top / "second/x")
    assert below(watch, top) == {"moved-in/deep/file", "second/x"}


def test_targets_of_symlinks_outside_are_seen_under_the_name_of_the_link(tmp_path: Path) -> None:
    top, outside = tmp_path / "top", tmp_path / "outside"
    make(outside, "store/ab12", "store/cd34", "folder/inner/x", "folder/y")
    make(top, "inside.txt")
    (top / "data.csv").symlink_to(outside / "store/ab12")
    (top / "again.csv").symlink_to(outside / "store/ab12")
    (top / "unread.csv").symlink_to(outside / "store/cd34")
    (top / "folder").symlink_to(outside / "folder")
    (top / "alias.txt").symlink_to("inside.txt")
    (top / "broken").symlink_to("nowhere")
    (top / "loop").symlink_to("loop")
    with Watch(top) as watch:
        cat(top / "data.csv", top / "folder/inner/x", top / "alias.txt")
    assert below(watch, top) == {"data.csv", "again.csv", "folder/inner/x", "inside.txt"}
    assert watch.omissions == ()


def test_what_the_run_sees_in_the_tree_and_lies_elsewhere_has_its_name_in_the_tree(tmp_path: Path) -> None:
    top, outside = tmp_path / "top", tmp_path / "outside"
    make(outside, "big.csv", "unread.csv", "images/deep/x", "images/y")
    make(top, "data/big.csv", "data/unread.csv", "data/images/deep/x")
    elsewhere = {f"data/{name}": outside / name for name in ("big.csv", "unread.csv", "images")}
    with Watch(top, elsewhere=elsewhere) as watch:
        cat(outside / "big.csv", outside / "images/deep/x")
    assert below(watch, top) == {"data/big.csv", "data/images/deep/x"}


def test_a_symlink_into_what_is_left_out_is_watched(tmp_path: Path) -> None:
    make(tmp_path, ".dvc/cache/files/md5/ab")
    (tmp_path / "data.csv").symlink_to(".dvc/cache/files/md5/ab")
    with Watch(tmp_path) as watch:
        cat(tmp_path / "data.csv")
        cat(tmp_path / ".dvc/cache/files/md5/ab")
    assert below(watch, tmp_path) == {"data.csv"}


def test_symlinks_that_appear_later_are_watched(tmp_path: Path) -> None:
    top, outside = tmp_path / "top", tmp_path / "outside"
    make(outside, "x")
    top.mkdir()
    with Watch(top) as watch:
        (top / "late").symlink_to(outside / "x")
        subprocess.run(["sleep", "0.1"], check=True)
        cat(top / "late")
    assert below(watch, top) == {"late"}


def test_what_is_left_out_is_not_seen(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "__pycache__/a.pyc", "b.pyc", ".git/HEAD", "venv/pyvenv.cfg", "venv/x")
    with Watch(tmp_path) as watch:
        cat(*(tmp_path / name for name in ("a.py", "__pycache__/a.pyc", "b.pyc", ".git/HEAD", "venv/x")))
        make(tmp_path, "later/__pycache__/y.pyc", "later/z.py")
    assert below(watch, tmp_path) <= {"a.py", "later/z.py"}
    assert "a.py" in below(watch, tmp_path)


def test_listing_a_folder_is_not_reading_its_files(tmp_path: Path) -> None:
    make(tmp_path, "a/b")
    with Watch(tmp_path) as watch:
        subprocess.run(["ls", "-R", str(tmp_path)], check=True, capture_output=True)
    assert watch.opened == set()


def test_names_that_are_not_utf_8_are_told(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    path.write_bytes(b"1")
    with Watch(tmp_path) as watch:
        cat(path)
    assert watch.opened == {path}
    assert watch.opened_paths == {str(path)}


def test_many_opens_at_once_are_all_seen(tmp_path: Path) -> None:
    make(tmp_path, *(f"d{n % 20}/f{n}" for n in range(4000)))
    script = (
        "import os, sys\n"
        "for folder, _, files in os.walk(sys.argv[1]):\n"
        "    for name in files: os.close(os.open(f'{folder}/{name}', os.O_RDONLY))\n"
    )
    with Watch(tmp_path) as watch:
        workers = [subprocess.Popen([sys.executable, "-S", "-c", script, str(tmp_path)]) for _ in range(2)]
        assert [worker.wait() for worker in workers] == [0, 0]
    assert len(watch.opened_paths) == 4000
    assert watch.omissions == ()


def test_a_queue_that_runs_over_is_an_omission(tmp_path: Path) -> None:
    make(tmp_path, *(f"f{n}" for n in range(200)))
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip("the queue is too long to fill")
    with Watch(tmp_path) as watch:
        blocked = threading.Event()  # holds the reader up, as a busy machine would
        take = watch._take
        watch._take = lambda data: (blocked.wait(30), take(data))[1]  # type: ignore[method-assign]
        for _ in range(limit // 100 + 2):
            for number in range(200):
                os.close(os.open(tmp_path / f"f{number}", os.O_RDONLY))
        blocked.set()
    assert [omission.reason for omission in watch.omissions] == [
        "too many files were opened at once: some native reads were not seen"
    ]
    assert len(watch.opened) == 200


@pytest.mark.parametrize("top", ["nowhere", "file"])
def test_a_top_that_cannot_be_watched_is_an_omission(tmp_path: Path, top: str) -> None:
    make(tmp_path, "file")
    with Watch(tmp_path / top) as watch:
        pass
    assert watch.opened == set()
    assert [omission.subject for omission in watch.omissions] == ["files read by native code"]


def test_a_limit_of_instances_is_an_omission(tmp_path: Path) -> None:
    script = (
        "import sys, resource\n"
        "from pathlib import Path\n"
        "from reproof.capture.watch import Watch\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        "with Watch(Path(sys.argv[1])) as watch: pass\n"
        "print(*[omission.reason for omission in watch.omissions])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert done.stdout == ("native reads are not seen: the limit fs.inotify.max_user_instances is reached\n")


def test_nothing_is_left_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    threads = threading.active_count()
    for _ in range(3):
        with Watch(tmp_path):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert threading.active_count() == threads
