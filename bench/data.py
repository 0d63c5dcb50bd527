"""What digesting, checking and restoring data costs, as ratios to the real DVC and to the physical limit.

Prints JSON lines: a line for each measured operation (least user+system and wall seconds over
interleaved rounds, and peak memory), then a line for each goal with the ratio that was reached. Files are
in the page cache. Needs `dvc` and `pandas` in the interpreter that runs it.

    python bench/data.py [--rounds 3] [--gib 4] [--files 100000] [--rows 10000000] [--folder PLACE]
                         [--links copy|reflink] [--only big,many,table]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

Figures = dict[str, float]
PYTHON = sys.executable

READ = """
import sys
buffer = bytearray(1 << 20)
with open(sys.argv[1], "rb", buffering=0) as file:
    while file.readinto(buffer):
        pass
"""
MD5 = """
import hashlib, sys
digester = hashlib.md5()
with open(sys.argv[1], "rb", buffering=0) as file:
    while chunk := file.read(1 << 20):
        digester.update(chunk)
"""
BIG = "import sys\nfrom reproof.base.digesting import digest_file\ndigest_file(sys.argv[1])"
FOLDER = """
import sys
from pathlib import Path
from reproof.store.manifest import describe_folder, identity
manifest = describe_folder(Path(sys.argv[1]))
identity(manifest)
"""
MEMORY = (
    FOLDER.replace("manifest =", "before = peak()\nmanifest =").replace(
        "import sys",
        """import sys, blake3
import concurrent.futures.thread
def peak():  # of this program alone, in KiB
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
""",
    )
    + "print((peak() - before) * 1024)"
)
READ_ALL = """
import os, sys
for place, folders, names in os.walk(sys.argv[1]):
    for name in names:
        handle = os.open(os.path.join(place, name), os.O_RDONLY)
        os.read(handle, 1 << 15)  # a larger buffer would cost more than the reading
        os.close(handle)
"""
RESTORE = """
import sys
from pathlib import Path
from reproof.project.dvc import read_config, tracked
from reproof.store.dvc_cache import DvcSources, restore
top = Path(sys.argv[1])
(entry,) = tracked(top)
# as a clean room does: each file by the digest that DVC names it by
restore(entry, top, DvcSources(caches=(Path(read_config(top).cache),)), identified=False)
"""
#: The same content, kept in and restored from our own store: each file by its BLAKE3.
KEEP = """
from pathlib import Path
from reproof.store.directory import DirectoryStore
from reproof.store.manifest import keep_folder
digest, _ = keep_folder(Path("data"), DirectoryStore(Path("store")))
Path("kept").write_text(digest.value)
"""
RESTORE_KEPT = """
from pathlib import Path
from reproof.model.digest import Digest
from reproof.model.manifest import read_manifest
from reproof.store.directory import DirectoryStore
from reproof.store.manifest import restore_folder
store = DirectoryStore(Path("store"))
manifest = store.get_bytes(Digest("blake3", Path("kept").read_text()))
restore_folder(read_manifest(manifest, "data"), store, Path("data"))
"""
#: What no restoring can do without: each object read, hashed, and written to a new file.
COPY_ALL = """
import hashlib, json, os, sys
from pathlib import Path
import yaml
(out,) = yaml.safe_load(open(sys.argv[1] + "/data.dvc"))["outs"]
cache = sys.argv[1] + "/.dvc/cache/files/md5/"
members = json.loads(Path(cache, out["md5"][:2], out["md5"][2:]).read_bytes())
for folder in {each["relpath"].rpartition("/")[0] for each in members}:
    os.makedirs(f"{sys.argv[1]}/data/{folder}")
for each in members:
    reader = os.open(f"{cache}{each['md5'][:2]}/{each['md5'][2:]}", os.O_RDONLY)
    content = os.read(reader, 1 << 15)
    os.close(reader)
    assert hashlib.md5(content).hexdigest() == each["md5"]
    writer = os.open(f"{sys.argv[1]}/data/{each['relpath']}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(writer, content)
    os.close(writer)
"""
TABLE = """
import numpy as np, pyarrow as pa, sys
rows = int(sys.argv[2])
chance = np.random.default_rng(0)
words = np.array([f"word {n}" for n in range(1000)], dtype=object)
data = pa.table({
    "i64": np.arange(rows), "i32": chance.integers(0, 1000, rows, np.int32),
    "f64": pa.array(chance.random(rows), mask=chance.random(rows) < 0.05), "f32": chance.random(rows, np.float32),
    "flag": chance.random(rows) > 0.5, "when": pa.array(np.arange(rows), pa.timestamp("ns", "UTC")),
    "s1": pa.array(words[chance.integers(0, 1000, rows)]), "s2": pa.array([f"row {n}" for n in range(rows)]),
})
"""
WRITE = TABLE + "import pyarrow.parquet as pq\npq.write_table(data, sys.argv[1])"
PARQUET = """
import sys, pyarrow.parquet as pq
from pathlib import Path
from reproof.compare.table_digest import digest_batches, digest_table
for first in pq.ParquetFile(sys.argv[1]).iter_batches(batch_size=10):
    digest_batches(first.schema, [first])
    break
"""
DECODE = """
for batch in pq.ParquetFile(sys.argv[1]).iter_batches(batch_size=65_536):
    pass
"""
#: The same without keeping what was read.
DECODE_FLAT = DECODE.replace("(sys.argv[1])", "(sys.argv[1], pre_buffer=False, buffer_size=1 << 20)")
#: One column after the other, by one thread: the least that decoding takes, since what is at work stays in the cache.
DECODE_COLUMNS = """
file = pq.ParquetFile(sys.argv[1], pre_buffer=False, buffer_size=1 << 18)
for name in file.schema_arrow.names:
    for batch in file.iter_batches(batch_size=65_536, columns=[name], use_threads=False):
        pass
"""
DIGEST_PARQUET = "digest_table(Path(sys.argv[1]))"
LOAD = "import sys, pyarrow.parquet as pq\ndata = pq.read_table(sys.argv[1])\n"
WARM = """
from reproof.compare.table_digest import digest_batches
digest_batches(data.schema, data.slice(0, 10).to_batches())
"""
IN_MEMORY = "digest_batches(data.schema, data.to_batches())"
PANDAS = "import pandas\nframe = data.to_pandas()\n"
HASH = "pandas.util.hash_pandas_object(frame)"
TIMED = """
import time, json
{prepare}
wall, cpu = time.perf_counter(), time.process_time()
{code}
print(json.dumps(dict(wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu)))
"""


def tell(**line: object) -> None:
    print(json.dumps(line), flush=True)


def goal(case: str, what: str, value: float, bound: float, *, most: bool = False) -> None:
    met = value <= bound if most else value >= bound
    tell(case=case, goal=what, reached=round(value, 3), bound=bound, met=met)


def whole(words: list[str], cwd: Path) -> Figures:
    """A command from its start to its end."""
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(cwd / "site")}
    start = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(words, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(words)[:200]} failed:\n{errors.read().decode()}")
    return {
        "wall_s": time.perf_counter() - start,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mib": used.ru_maxrss / 1024,
    }


def inside(prepare: str, code: str, *arguments: str) -> Figures:
    """A statement within a process, without what prepares it."""
    text = TIMED.format(prepare=prepare, code=code)
    done = subprocess.run([PYTHON, "-c", text, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: Figures = json.loads(done.stdout)
    return found


def interleave(case: str, rounds: int, operations: dict[str, Callable[[], Figures]]) -> dict[str, Figures]:
    found: dict[str, list[Figures]] = {name: [] for name in operations}
    for _ in range(rounds):
        for name, operation in operations.items():
            found[name].append(operation())
    least = {}
    for name, figures in found.items():
        least[name] = {key: round(min(each[key] for each in figures), 4) for key in figures[0]}
        tell(case=case, operation=name, rounds=rounds, **least[name])
    return least


def python(code: str, cwd: Path, *arguments: str) -> Callable[[], Figures]:
    return lambda: whole([PYTHON, "-c", code, *arguments], cwd)


def bench_big(folder: Path, options: argparse.Namespace) -> None:
    """One file: against MD5, and against reading it."""
    place = folder / "big"
    block = random.Random(0).randbytes(1 << 24)
    with place.open("wb") as file:
        for _ in range(int(options.gib * 64)):
            file.write(block)
    codes = {"read": READ, "md5": MD5, "reproof": BIG}
    least = interleave(
        "big", options.rounds, {name: python(code, folder, str(place)) for name, code in codes.items()}
    )
    place.unlink()
    goal("big", "CPU of md5 / reproof", least["md5"]["cpu_s"] / least["reproof"]["cpu_s"], 7)
    goal("big", "CPU of reproof / read", least["reproof"]["cpu_s"] / least["read"]["cpu_s"], 2.2, most=True)
    goal("big", "wall of md5 / reproof", least["md5"]["wall_s"] / least["reproof"]["wall_s"], 7)


def make_files(top: Path, count: int) -> None:
    chance = random.Random(0)
    for number in range(count):
        place = top / "data" / f"{number % 100:02d}" / f"{number}.bin"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(chance.randbytes(10_240))


def bench_many(folder: Path, options: argparse.Namespace) -> None:
    """Many small files: digest, unchanged check, restore; the same kind of links on both sides."""
    top = folder / "many"
    top.mkdir()
    make_files(top, options.files)
    dvc = [PYTHON, "-m", "dvc"]
    for words in (["git", "init", "-q"], [*dvc, "init", "-q"], [*dvc, "config", "cache.type", options.links]):
        whole(words, top)
    (top / ".gitignore").write_text("/site\n/store\n/kept\n")
    digests = interleave(
        "many",
        options.rounds,
        {"read": python(READ_ALL, top, "data"), "reproof digest": python(FOLDER, top, "data")},
    )
    added = interleave("many", 1, {"dvc add": lambda: whole([*dvc, "add", "-q", "data"], top)})
    whole(["git", "add", "-A"], top)
    whole(["git", "-c", "user.name=b", "-c", "user.email=b@b", "commit", "-qm", "data"], top)
    time.sleep(61)  # young files are not believed
    status = [PYTHON, "-m", "reproof.cli.main", "data", "status", "-q"]
    interleave("many", 1, {"reproof data status, first": lambda: whole(status, top)})
    checks = interleave(
        "many",
        options.rounds,
        {
            "reproof data status": lambda: whole(status, top),
            "dvc status": lambda: whole([*dvc, "status", "-q"], top),
        },
    )

    whole([PYTHON, "-c", KEEP], top)
    # Removing it instead would cost what comes next: ext4 looks long for inodes not given back just now.
    before = folder / "before"
    before.mkdir()

    def restored(words: list[str]) -> Callable[[], Figures]:
        def operation() -> Figures:
            (top / "data").rename(before / str(time.monotonic_ns()))
            return whole(words, top)

        return operation

    restores = interleave(
        "many",
        options.rounds,
        {
            "dvc checkout": restored([*dvc, "checkout", "-q"]),
            "reproof restore, verified": restored([PYTHON, "-c", RESTORE, str(top)]),
            "reproof restore from its own store, verified": restored([PYTHON, "-c", RESTORE_KEPT]),
            "read, MD5, write": restored([PYTHON, "-c", COPY_ALL, str(top)]),
        },
    )
    ours = digests["reproof digest"]
    goal("many", "CPU of dvc add / reproof digest", added["dvc add"]["cpu_s"] / ours["cpu_s"], 15)
    unchanged = checks["dvc status"]["cpu_s"] / checks["reproof data status"]["cpu_s"]
    goal("many", "CPU of dvc status / reproof data status", unchanged, 6)
    theirs = restores["dvc checkout"]["cpu_s"]
    for name in ("reproof restore, verified", "reproof restore from its own store, verified"):
        goal("many", f"CPU of dvc checkout / {name}", theirs / restores[name]["cpu_s"], 3)
    limit = restores["read, MD5, write"]["cpu_s"]
    goal("many", "CPU of dvc checkout / verified restore, at the very best", theirs / limit, 8)
    words = [PYTHON, "-c", MEMORY, "data"]
    memory = int(subprocess.run(words, cwd=top, capture_output=True, text=True, check=True).stdout)
    goal("many", "bytes of memory for a file", memory / options.files, 400, most=True)


def bench_table(folder: Path, options: argparse.Namespace) -> None:
    """A table: in memory against pandas, from Parquet against decoding it; memory for ten times the rows."""
    place, tenth = str(folder / "table.parquet"), str(folder / "tenth.parquet")
    whole([PYTHON, "-c", WRITE, tenth, str(options.rows // 10)], folder)
    whole([PYTHON, "-c", WRITE, place, str(options.rows)], folder)
    found = interleave(
        "table",
        options.rounds,
        {
            "reproof, in memory": lambda: inside(LOAD + WARM, IN_MEMORY, place),
            "hash_pandas_object": lambda: inside(LOAD + PANDAS, HASH, place),
            "decode": lambda: inside(PARQUET, DECODE, place),
            "decode, not read ahead": lambda: inside(PARQUET, DECODE_FLAT, place),
            "decode column by column": lambda: inside(PARQUET, DECODE_COLUMNS, place),
            "reproof, from Parquet": lambda: inside(PARQUET, DIGEST_PARQUET, place),
        },
    )
    peaks = [
        whole([PYTHON, "-c", PARQUET + code, place], folder)["peak_mib"] for code in (DECODE, DIGEST_PARQUET)
    ]
    tell(case="table", operation="memory", decode_peak_mib=peaks[0], reproof_peak_mib=peaks[1])
    goal("table", "peak memory of reproof from Parquet / decoding", peaks[1] / peaks[0], 1.15, most=True)
    few = whole([PYTHON, "-c", PARQUET + DIGEST_PARQUET, tenth], folder)["peak_mib"]
    tell(case="table", operation="memory for a tenth of the rows", reproof_peak_mib=few)
    goal("table", "peak memory of ten times the rows", peaks[1] / few, 1.15, most=True)
    for name in (place, tenth):
        Path(name).unlink()
    memory = found["hash_pandas_object"]["cpu_s"] / found["reproof, in memory"]["cpu_s"]
    goal("table", "CPU of hash_pandas_object / reproof", memory, 18)
    more = found["reproof, from Parquet"]["cpu_s"] / found["decode"]["cpu_s"]
    goal("table", "CPU of reproof from Parquet / decoding", more, 1.15, most=True)
    for decoding in ("decode, not read ahead", "decode column by column"):
        least = found["reproof, from Parquet"]["cpu_s"] / found[decoding]["cpu_s"]
        goal("table", f"the same, of {decoding.replace('decode', 'decoding')}", least, 1.15, most=True)
    more = found["reproof, from Parquet"]["wall_s"] / found["decode"]["wall_s"]
    goal("table", "wall of reproof from Parquet / decoding", more, 1.15, most=True)


BENCHES = {"big": bench_big, "many": bench_many, "table": bench_table}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gib", type=float, default=4)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument(
        "--links", choices=("copy", "reflink"), default="copy", help="needs a FOLDER that has them"
    )
    parser.add_argument("--only", default=",".join(BENCHES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        for name in options.only.split(","):
            BENCHES[name](Path(place), options)


if __name__ == "__main__":
    main()
