"""What only the re-runs of `explain` want: one thing after the other, and the lines that look at what may vary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reproof.workflow.sites import places, read_sites

_IN_ORDER = """
import concurrent.futures, multiprocessing, random, threading, time
done = []
def work(number):
    time.sleep(random.random() / 50)
    done.append(number)
    return number
def main():
    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(work, number) for number in range(5)]
        print([each.result() for each in concurrent.futures.as_completed(futures)])
        failed = pool.submit(int, "x").exception()
        print(type(failed).__name__)
    with concurrent.futures.ProcessPoolExecutor(3) as pool:
        futures = [pool.submit(work, number) for number in range(5)]
        print([each.result() for each in concurrent.futures.as_completed(futures)])
    with multiprocessing.Pool(3) as pool:
        print(list(pool.imap_unordered(work, range(5))))
    print(done)
if __name__ == "__main__":
    main()
"""


def test_threads_and_pools_work_one_after_the_other(any_place: Any) -> None:
    told = any_place.run(_IN_ORDER, REPROOF_SERIAL="1")
    assert told.stderr == ""
    order = "[0, 1, 2, 3, 4]"
    assert told.stdout.splitlines() == [order, "ValueError", order, order, "[0, 1, 2, 3, 4, 0, 1, 2, 3, 4]"]


def test_threads_that_wait_for_the_first_one_do_not_stop_it(place: Any) -> None:
    code = """
import queue, threading
todo = queue.Queue()
def work():
    print(todo.get())
helper = threading.Thread(target=work, daemon=True)
helper.start()
todo.put("fed"); helper.join()
"""
    told = place.run(code, REPROOF_SERIAL="1")
    assert (told.status, told.stdout) == (0, "fed\n")


_LOOKS = """import json, os, tempfile, threading, time
from datetime import datetime
time.time()
os.listdir(".")
datetime.fromtimestamp(0)
os.path.getmtime("main.py")
[name for name in os.environ]
hash("x")
os.cpu_count()
id(json)
json.dumps({})
threading.Thread(target=time.time_ns).start()
os.path.abspath("a")
"""


def test_lines_that_look_at_what_may_vary_are_named(any_place: Any, tmp_path: Path) -> None:
    file = tmp_path / "sites.jsonl"
    told = any_place.run(_LOOKS, REPROOF_SITES=str(file))
    assert told.stderr == ""
    assert told.failures() == []
    sites = read_sites(file)

    def lines(kind: str) -> list[int]:
        return [int(place.rpartition(":")[2]) for place in places(kind, sites)]

    assert lines("clock")[0] == 3
    assert lines("readdir") == [4]
    assert lines("time-zone") == [5]
    assert lines("file-times") == [6]
    assert lines("environment-order") == [7]
    assert lines("hash-seed") == [8]
    assert lines("cpu-count") == [9]
    assert lines("aslr") == [10]  # not that of json.dumps
    assert lines("threads") == [12]
    assert 13 in lines("path")
    assert lines("memory") == []
    assert all(site.where.startswith("${PROJECT}/main.py:") for site in sites)


@pytest.mark.needs("numpy")
def test_memory_that_numpy_leaves_as_it_is(place: Any, tmp_path: Path) -> None:
    import numpy as np

    file = tmp_path / "sites.jsonl"
    code = f"import sys; sys.path.append({str(Path(np.__file__).parents[1])!r})\nimport numpy as np\nnp.empty(3)\n"
    told = place.run(code, REPROOF_SITES=str(file))
    assert told.status == 0
    assert places("memory", read_sites(file))[0] == "${PROJECT}/main.py:3"


def test_a_file_of_a_strangers_lines_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    file = tmp_path / "sites.jsonl"
    file.write_text(
        '{"kind":"clock","where":"a.py:1"}\nnonsense\n{"kind":7}\n{"kind":"clock","where":"a.py:1"}\n'
    )
    assert [site.where for site in read_sites(file)] == ["a.py:1"]
    assert read_sites(tmp_path / "none") == ()
