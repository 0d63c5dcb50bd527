"""Native shims: built once, loaded in the child alone, and each does what it says, with real programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reproof.execute import shims
from reproof.execute.shims import Loaded, Shims, lay_out, not_loaded, provide, read_log

needs_compiler = pytest.mark.needs("cc")


@pytest.fixture(autouse=True)
def tried_anew() -> Iterator[None]:
    provide.cache_clear()
    yield
    provide.cache_clear()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Shims:
    """All shims, compiled once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPROOF_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        provide.cache_clear()
        return provide()


def say(built: Shims, name: str, value: str, code: str, log: Path | None = None) -> str:
    """What a Python program says with one shim before it."""
    env = {"LD_PRELOAD": str(built.built[name]), f"REPROOF_SHIM_{name.upper()}": value}
    if log is not None:
        env["REPROOF_SHIMS"] = str(log)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**{k: v for k, v in os.environ.items() if k != "PYTHONHASHSEED"}, **env},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


@needs_compiler
def test_all_are_built_once_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path))
    first = provide()
    assert set(first.built) | set(first.missing) == set(shims.NAMES)
    assert {"witness", "readdir", "clock", "entropy", "host", "memory"} <= set(first.built)
    stamps = [path.stat().st_mtime_ns for path in first.built.values()]
    provide.cache_clear()
    assert [path.stat().st_mtime_ns for path in provide().built.values()] == stamps
    for name in first.built:
        source = Path(shims.__file__).parents[1] / f"injected/native/{name}.c"
        done = subprocess.run(
            ["cc", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-o", "/dev/null", source],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


def test_without_a_compiler_each_is_missing_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = provide()
    assert not found.built
    assert all("no C compiler" in (found.obstacle(name) or "") for name in shims.NAMES)


def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "bin/cc"
    compiler.parent.mkdir()
    compiler.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo odd 1.0; exit; }\necho "no headers" >&2; exit 1\n'
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{compiler.parent}:/usr/bin:/bin")
    found = provide()
    assert "does not compile here: no headers" in (found.obstacle("readdir") or "")


@needs_compiler
def test_folders_are_listed_in_another_order(built: Shims, tmp_path: Path) -> None:
    for name in "dbcae":
        (tmp_path / name).touch()
    code = f"import os; print(*os.listdir({str(tmp_path)!r})); print(*(e.name for e in os.scandir({str(tmp_path)!r})))"
    plain = [line.split() for line in say(built, "readdir", "", code).splitlines()]
    assert plain[0] == os.listdir(tmp_path)
    turned = [line.split() for line in say(built, "readdir", "reversed", code).splitlines()]
    assert turned == [line[::-1] for line in plain]
    assert say(built, "readdir", "sorted", code).splitlines() == ["a b c d e"] * 2
    shuffled = say(built, "readdir", "shuffled:4", code)
    assert shuffled == say(built, "readdir", "shuffled:4", code)
    assert sorted(shuffled.splitlines()[0].split()) == list("abcde")


@needs_compiler
def test_the_date_is_another_and_waits_are_as_long_as_they_were(built: Shims) -> None:
    code = (
        "import time, datetime, multiprocessing, threading\n"
        "lock = multiprocessing.Lock(); lock.acquire()\n"
        "start = time.monotonic()\n"
        "print(time.time(), datetime.datetime.now().timestamp(), lock.acquire(timeout=0.05),"
        " threading.Event().wait(0.05), time.monotonic() - start < 20)"
    )
    one, other, *rest = say(built, "clock", "ahead:30000000", code).split()
    now = float(say(built, "clock", "", "import time; print(time.time())"))
    assert 0 <= now + 30_000_000 - float(one) < 60
    assert float(other) >= float(one)
    assert rest == ["False", "False", "True"]


@needs_compiler
def test_a_pinned_clock_repeats_and_still_comes_to_an_end(built: Shims) -> None:
    code = (
        "import time\nfirst = time.time_ns()\nend = time.time() + 2\n"
        "while time.time() < end: pass\nprint(first, time.monotonic() > 0)"
    )
    assert say(built, "clock", "pinned:1700000000", code) == say(built, "clock", "pinned:1700000000", code)
    code = "import time; start = time.perf_counter(); sum(range(999)); print(time.perf_counter() - start)"
    assert say(built, "clock", "still:1700000000", code) == say(built, "clock", "still:1700000000", code)


@needs_compiler
def test_entropy_repeats_by_its_seed_whoever_asks(built: Shims) -> None:
    code = (
        "import os, uuid, random, secrets, tempfile\n"
        "device = open('/dev/urandom', 'rb').read(4).hex()\n"
        "print(os.urandom(8).hex(), uuid.uuid4(), random.random(), secrets.token_hex(4), hash('x'), device,"
        " tempfile.mktemp(), flush=True)\n"
        "for _ in range(2):\n"
        "    if not os.fork():\n"
        "        print(os.urandom(4).hex(), flush=True); os._exit(0)\n"
        "    os.wait()"
    )
    first = say(built, "entropy", "1", code)
    assert say(built, "entropy", "1", code) == first
    assert set(say(built, "entropy", "2", code).split()).isdisjoint(first.split())
    *_, one, other = first.split()
    assert one != other  # siblings do not share a stream
    assert say(built, "entropy", "", code).split()[0] != first.split()[0]


@needs_compiler
def test_the_machine_has_another_name(built: Shims) -> None:
    code = "import socket, os, platform; print(socket.gethostname(), os.uname().nodename, platform.node())"
    assert say(built, "host", "another-machine", code) == "another-machine " * 2 + "another-machine"


@needs_compiler
def test_the_machine_says_that_it_has_half_its_memory(built: Shims) -> None:
    code = (
        "import ctypes, os, re, subprocess\n"
        "text = open('/proc/meminfo').read()\n"
        "line = lambda name: int(re.search(name + r':\\s+(\\d+) kB', text)[1])\n"
        "buffer = (ctypes.c_ulong * 64)(); ctypes.CDLL(None).sysinfo(buffer)\n"
        "cat = subprocess.run(['cat', '/proc/meminfo'], capture_output=True, text=True).stdout.split()[1]\n"
        "print(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 1024, line('MemTotal'), cat,"
        " buffer[4] // 1024, line('Hugepagesize'), os.sysconf('SC_NPROCESSORS_ONLN'))"
    )
    *sizes, page, cpus = map(int, say(built, "memory", "", code).split())
    *halves, page_then, cpus_then = map(int, say(built, "memory", "half", code).split())
    assert [abs(each - 2 * half) <= 8 for each, half in zip(sizes, halves, strict=True)] == [True] * 4  # kB
    assert (page_then, cpus_then) == (page, cpus)


@pytest.mark.needs("cc", "bwrap")
def test_a_limit_of_a_cgroup_is_half_and_none_stays_none(built: Shims, tmp_path: Path) -> None:
    said = {
        "memory.max": "max",
        "slice/memory.max": "4294967296",
        "memory.limit_in_bytes": "9223372036854771712",
    }
    for name, text in said.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    env = {"LD_PRELOAD": str(built.built["memory"]), "REPROOF_SHIM_MEMORY": "half"}
    room = ["bwrap", "--dev-bind", "/", "/", "--tmpfs", "/sys", "--bind", str(tmp_path), "/sys/fs/cgroup"]
    words = [*room, "cat", *(f"/sys/fs/cgroup/{name}" for name in said)]
    done = subprocess.run(words, env={**os.environ, **env}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["max", "2147483648", "9223372036854771712"]


@needs_compiler
def test_every_process_tells_that_it_has_loaded_a_shim(built: Shims, tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "import os; print(os.getpid(), end=' ', flush=True); os.fork() or os._exit(0); os.wait()"
    process = int(say(built, "witness", "on", code, log))
    told = read_log(log)
    assert told[0].process == process
    assert len({each.process for each in told}) == 2
    assert Path(told[0].program).samefile(sys.executable)
    assert not_loaded("witness", told, [process]) is None
    assert "1 of 2 Python processes" in (not_loaded("witness", told, [process, -1]) or "")
    assert "did not load shim `clock`" in (not_loaded("clock", told, [process]) or "")


@needs_compiler
def test_a_statically_linked_program_loads_none(built: Shims, tmp_path: Path) -> None:
    source, program, log = tmp_path / "a.c", tmp_path / "a", tmp_path / "log"
    source.write_text("int main(void) { return 0; }\n")
    if subprocess.run(["cc", "-static", "-o", program, source], capture_output=True).returncode:
        pytest.skip("programs cannot be linked statically here")
    env = {"LD_PRELOAD": str(built.built["clock"]), "REPROOF_SHIMS": str(log)}
    subprocess.run(["/usr/bin/env", program], env=env, check=True)
    assert "statically linked" in (not_loaded("clock", read_log(log), []) or "")
    subprocess.run([shutil.which("ls") or "ls", tmp_path], env=env, check=True, capture_output=True)
    assert not_loaded("clock", read_log(log), []) is None


def test_what_is_refused_or_no_line_of_a_shim_exercises_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("cpuid 7 0 refused /usr/bin/python\nnonsense\nclock x 0 on /bin/a\n")
    (told,) = read_log(log)
    assert told == Loaded(shim="cpuid", process=7, personality=0, state="refused", program="/usr/bin/python")
    assert "refused" in (not_loaded("cpuid", [told], [7]) or "")
    assert read_log(tmp_path / "none") == ()


@needs_compiler
def test_the_mask_hides_instruction_sets_from_everybody(built: Shims) -> None:
    if "cpuid" not in built.built:
        pytest.skip(built.missing["cpuid"])
    code = (
        "import faulthandler, signal; faulthandler.enable()\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\n"
        "from numpy._core._multiarray_umath import __cpu_features__ as f\n"
        "print(f['SSE42'], f['AVX2'], f['AVX512F'])"
    )
    assert say(built, "cpuid", "x86-64-v2", code) == "True False False"
    assert say(built, "cpuid", "x86-64-v3", code).endswith("False")


@needs_compiler
def test_copies_are_laid_out_for_a_room(built: Shims, tmp_path: Path) -> None:
    placed = lay_out(built, ("clock", "host"), tmp_path / "room")
    assert {path.name for path in placed.values()} == {"clock.so", "host.so"}
    assert all(path.read_bytes() == built.built[name].read_bytes() for name, path in placed.items())
