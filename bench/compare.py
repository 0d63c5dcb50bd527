"""What comparing costs, as ratios to the least work that could answer the question.

Prints JSON lines: a line for each measured operation (least user+system and wall seconds over
interleaved rounds, and peak memory of its own process), then a line for each limit with the ratio that
was reached. Files are written before and read from the page cache.

    python bench/compare.py [--rounds 3] [--gib 4] [--folder PLACE] [--only identical,files,json]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

CHILD = """
import json, resource, sys, time
{prepare}
def operation():
    {code}
wall, cpu = time.perf_counter(), time.process_time()
operation()
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
cpu += usage[1].ru_utime + usage[1].ru_stime
peak = sum(each.ru_maxrss for each in usage) / 1024
print(json.dumps(dict(wall_s=wall, cpu_s=cpu, peak_mib=peak)))
"""

#: Name of an operation to (imports, one statement about sys.argv[1] and sys.argv[2]).
Operations = dict[str, tuple[str, str]]

COMPARE = "from pathlib import Path\nfrom reproof.compare import compare\none, two = map(Path, sys.argv[1:])"
EXPECT = "assert compare(one, two).outcome.word == '{word}'"


def tell(**line: object) -> None:
    print(json.dumps(line), flush=True)


def limit(case: str, what: str, value: float, bound: float) -> None:
    tell(case=case, limit=what, reached=round(value, 3), bound=bound, met=value <= bound)


def measure(operation: tuple[str, str], one: Path, two: Path) -> dict[str, float]:
    code = CHILD.format(prepare=operation[0], code=operation[1])
    done = subprocess.run(
        [sys.executable, "-c", code, str(one), str(two)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"a measured operation failed:\n{done.stderr}")
    return json.loads(done.stdout)


def interleave(
    case: str, operations: Operations, sides: tuple[Path, Path], rounds: int
) -> dict[str, dict[str, float]]:
    """Each operation once in every round, so that load from elsewhere falls on all; the least counts."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in operations}
    for _ in range(rounds):
        for name, operation in operations.items():
            found[name].append(measure(operation, *sides))
    least = {}
    for name, figures in found.items():
        least[name] = {key: round(min(figure[key] for figure in figures), 4) for key in figures[0]}
        tell(case=case, operation=name, rounds=rounds, **least[name])
    return least


def bench_identical(folder: Path, options: argparse.Namespace) -> None:
    """Two identical large files against BLAKE3 of both."""
    block = random.Random(0).randbytes(1 << 24)
    sides = folder / "one", folder / "two"
    for side in sides:
        with side.open("wb") as file:
            for _ in range(int(options.gib * 64)):
                file.write(block)
    operations: Operations = {
        "blake3 of both": (
            "from pathlib import Path\nfrom reproof.base.digesting import digest_file",
            "assert digest_file(Path(sys.argv[1])) == digest_file(Path(sys.argv[2]))",
        ),
        "compare": (COMPARE, EXPECT.format(word="identical")),
    }
    figures = interleave("identical", operations, sides, options.rounds)
    for unit in ("wall_s", "cpu_s"):
        ratio = figures["compare"][unit] / figures["blake3 of both"][unit]
        limit("identical", f"{options.gib:g} GiB, {unit} ratio to blake3 of both", ratio, 1.3)
    limit("identical", "peak memory, MiB", figures["compare"]["peak_mib"], 500)


def bench_files(folder: Path, options: argparse.Namespace) -> None:
    """Two identical folders of small files against reading them all."""
    sides = folder / "one", folder / "two"
    for side in sides:
        for number in range(20_000):
            path = side / f"{number // 500}" / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"%d" % number * 200)
    read = "for side in sys.argv[1:]:\n        for path, _, names in os.walk(side):\n"
    read += "            for name in names:\n                open(f'{path}/{name}', 'rb').read()"
    operations: Operations = {
        "read both": ("import os", read),
        "compare": (COMPARE, EXPECT.format(word="identical")),
    }
    figures = interleave("files", operations, sides, options.rounds)
    ratio = figures["compare"]["cpu_s"] / figures["read both"]["cpu_s"]
    limit("files", "20,000 small files, cpu_s ratio to reading both", ratio, 2.0)


def bench_json(folder: Path, options: argparse.Namespace) -> None:
    """Two large JSON documents that differ in one number against parsing both."""
    numbers = random.Random(0)
    rows = [{"step": step, "loss": numbers.random(), "name": f"run {step}"} for step in range(250_000)]
    sides = folder / "one.json", folder / "two.json"
    sides[0].write_text(json.dumps({"rows": rows}))
    rows[200_000]["loss"] = 0.5
    sides[1].write_text(json.dumps({"rows": rows}))
    operations: Operations = {
        "json.load of both": ("", "for side in sys.argv[1:]: json.load(open(side))"),
        "compare": (COMPARE, EXPECT.format(word="different")),
    }
    figures = interleave("json", operations, sides, options.rounds)
    ratio = figures["compare"]["cpu_s"] / figures["json.load of both"]["cpu_s"]
    size = sides[0].stat().st_size >> 20
    limit("json", f"{size} MiB documents, cpu_s ratio to parsing both", ratio, 5.0)
    limit("json", "peak memory, MiB", figures["compare"]["peak_mib"], 1024)


PARQUET = """
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
count, chance = int(sys.argv[3]), np.random.default_rng(0)
texts = [pa.array(chance.integers(0, most, count)).cast(pa.string()) for most in (1000, 1 << 30)]
floats = chance.standard_normal(count)
columns = dict(
    i64=chance.integers(0, 1 << 40, count), i32=chance.integers(0, 1000, count).astype("i4"), f64=floats,
    f32=chance.standard_normal(count).astype("f4"), flag=chance.integers(0, 2, count).astype(bool),
    when=pa.array(chance.integers(0, 1 << 40, count)).cast(pa.timestamp("us")), few=texts[0], many=texts[1],
)
pq.write_table(pa.table(columns), sys.argv[1])
floats[count * 3 // 4] += 1e-9
pq.write_table(pa.table(columns), sys.argv[2])
pq.write_table(pa.table(columns), sys.argv[2] + ".other", compression="zstd", row_group_size=250_000)
"""


def bench_parquet(folder: Path, options: argparse.Namespace) -> None:
    """Large tables that differ in one cell against reading both with pandas and comparing the frames."""
    sides = folder / "one.parquet", folder / "two.parquet"
    rows = str(int(options.gib * 2_500_000))
    subprocess.run([sys.executable, "-c", f"import sys\n{PARQUET}", *map(str, sides), rows], check=True)
    # comparing runs in a worker of its own, whose processor time and memory count too
    worker = "\n    from reproof.compare.isolated import _WORKER; _WORKER.stop()"
    operations: Operations = {
        "pandas compare": (
            "import pandas",
            "assert len(pandas.read_parquet(sys.argv[1]).compare(pandas.read_parquet(sys.argv[2]))) == 1",
        ),
        "compare": (COMPARE, EXPECT.format(word="different") + worker),
    }
    figures = interleave("parquet", operations, sides, options.rounds)
    other = sides[0], folder / "two.parquet.other"
    figures["encoded otherwise"] = interleave("parquet", operations, other, options.rounds)["compare"]
    for name in ("compare", "encoded otherwise"):
        ratio = figures[name]["wall_s"] / figures["pandas compare"]["wall_s"]
        limit(
            "parquet",
            f"{rows} rows, {name}, wall_s ratio to pandas",
            ratio,
            1 / 3 if name == "compare" else 1.0,
        )
        limit("parquet", f"{name}, peak memory, MiB", figures[name]["peak_mib"], 500)


TENSORS = """
import json, struct, numpy as np
count, many = int(sys.argv[3]), 16
values = np.random.default_rng(0).standard_normal(count // many * many, np.float32).reshape(many, -1)
size = values[0].nbytes
header = {f"layer.{number}": {"dtype": "F32", "shape": [values.shape[1]], "data_offsets": [number * size, (number + 1) * size]} for number in range(many)}
text = json.dumps(header).encode()
for side in sys.argv[1:3]:
    with open(side, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        values.tofile(file)
    values[-1, -7] += 1
"""


def bench_tensors(folder: Path, options: argparse.Namespace) -> None:
    """A quarter of the large size in safetensors that differ in one element against reading both."""
    sides = folder / "one.safetensors", folder / "two.safetensors"
    count = str(int(options.gib * (1 << 26)))
    subprocess.run([sys.executable, "-c", f"import sys\n{TENSORS}", *map(str, sides), count], check=True)
    read = "buffer = bytearray(1 << 20)\n    for side in sys.argv[1:]:\n        with open(side, 'rb', 0) as file:\n"
    read += "            while file.readinto(buffer): pass"
    operations: Operations = {"read both": ("", read), "compare": (COMPARE, EXPECT.format(word="different"))}
    figures = interleave("tensors", operations, sides, options.rounds)
    ratio = figures["compare"]["wall_s"] / figures["read both"]["wall_s"]
    limit("tensors", f"{options.gib / 4:g} GiB, wall_s ratio to reading both", ratio, 3.0)


ROWS = """
import random
chance = random.Random(0)
rows = [f"{number},{chance.random()!r},{chance.random()!r},name {number % 97}" for number in range(1_000_000)]
for side in sys.argv[1:]:
    with open(side, "w") as file:
        file.write("\\n".join(["id,loss,rmse,name", *rows, ""]))
    rows[750_000] = rows[750_000].replace("name", "Name")
"""


def bench_csv(folder: Path, options: argparse.Namespace) -> None:
    """Large CSV files that differ in one cell against reading both with pandas and comparing the frames."""
    sides = folder / "one.csv", folder / "two.csv"
    # a process of its own: what the parent holds would be counted as the peak of its children
    subprocess.run([sys.executable, "-c", f"import sys\n{ROWS}", *map(str, sides)], check=True)
    operations: Operations = {
        "pandas compare": (
            "import pandas",
            "assert len(pandas.read_csv(sys.argv[1]).compare(pandas.read_csv(sys.argv[2]))) == 1",
        ),
        "compare": (COMPARE, EXPECT.format(word="different")),
    }
    figures = interleave("csv", operations, sides, options.rounds)
    ratio = figures["compare"]["wall_s"] / figures["pandas compare"]["wall_s"]
    limit("csv", "1,000,000 rows, wall_s ratio to pandas", ratio, 1.0)
    limit("csv", "peak memory, MiB", figures["compare"]["peak_mib"], 500)


FORESTS = """
import pickle, sys
import numpy as np
from sklearn.ensemble import RandomForestRegressor
points = np.random.RandomState(0).rand(9000, 8)
values = points.sum(1) + np.random.RandomState(1).rand(9000)
for seed, path in enumerate(sys.argv[1:]):
    forest = RandomForestRegressor(64, random_state=seed).fit(points, values)
    with open(path, "wb") as file:
        pickle.dump(forest, file)
"""


def bench_forests(folder: Path, options: argparse.Namespace) -> None:
    """Two pickled scikit-learn forests of 50 MB with other seeds against loading both."""
    sides = folder / "one.pkl", folder / "two.pkl"
    subprocess.run([sys.executable, "-c", FORESTS, *map(str, sides)], check=True)
    operations: Operations = {
        "pickle.load of both": (
            "import pickle, sklearn.ensemble",
            "for side in sys.argv[1:]: pickle.load(open(side, 'rb'))",
        ),
        "compare": (COMPARE, EXPECT.format(word="different")),
    }
    figures = interleave("forests", operations, sides, options.rounds)
    size = sides[0].stat().st_size / 1e6
    limit("forests", f"{size:.0f} MB forests, wall_s", figures["compare"]["wall_s"], 3.0)
    limit("forests", "peak memory, MiB", figures["compare"]["peak_mib"], 500)


CASES: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "identical": bench_identical,
    "files": bench_files,
    "json": bench_json,
    "parquet": bench_parquet,
    "tensors": bench_tensors,
    "csv": bench_csv,
    "forests": bench_forests,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gib", type=float, default=4.0, help="size of each of the large files")
    parser.add_argument(
        "--folder", type=Path, help="where the files are written; the temporary folder by default"
    )
    parser.add_argument("--only", help="names of cases, separated by commas")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name, bench in CASES.items():
        if options.only is None or name in options.only.split(","):
            with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-compare-") as folder:
                bench(Path(folder), options)


if __name__ == "__main__":
    main()
