"""Generated histories: many things differ between two runs, each a little, and one of them degrades the score.

Each history is a pair with the mean error `rmse` as metric. All but the guilty change move it by less than 0.05 % or not at
all; the guilty one by about 3 %. Everything follows from the seed.
"""

from __future__ import annotations

import math
import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutations.making import GIT, Made, NotMadeError, Place, record, write_project
from mutations.operations import Call, apply

Truth = list[dict[str, str]]
COMMITS, PACKAGES, BLOCKS, ROWS = 30, 40, 200, 12


@dataclass(frozen=True)
class History:
    """What was made, what is true of it, and how many runs may be used to find it."""

    made: Made
    truth: Truth
    limit: int


def limit(things: int) -> int:
    """The runs that may be used for so many things."""
    return math.floor(2 * math.log2(things) + 3)


def make_history(name: str, seed: int, place: Place) -> History:
    """Make the history of a name in ``HISTORIES``."""
    folder = place.folder / f"{name}-{seed}" / "project"
    write_project("score", folder, place)
    maker, things = HISTORIES[name]
    # Nothing here guards anything: the draws only have to be the same every time.
    made, truth = maker(_Work(folder, place, seed), random.Random(seed))
    return History(made, truth, limit(things))


class _Work:
    """A project, and the two things that happen to it."""

    def __init__(self, folder: Path, place: Place, seed: int) -> None:
        self.folder, self.place = folder, place
        self.release = f"3.{seed}"  # releases of one number have one content
        self.env = place.environment()
        self.call = Call(["--seed", "7"], ["python", "train.py"])
        self.keep: list[str] = []
        self.git("init", "-q")

    def git(self, *words: str) -> str:
        done = subprocess.run(
            [*GIT, *words], cwd=self.folder, env=self.env, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def run(self) -> str:
        return record(self.folder, self.call, self.env, self.place, {"keep": self.keep})

    def made(self, first: str, second: str) -> Made:
        return Made(self.folder, first, second, self.env)

    def edit(self, name: str, old: str, new: str) -> None:
        apply([{"do": "replace", "file": name, "old": old, "new": new}], self.folder, self.call, self.git)


def _commits(work: _Work, rng: random.Random) -> tuple[Made, Truth]:
    """Thirty commits: comments, functions nobody calls, constants that change next to nothing, and the guilty one."""
    _write_blocks(work.folder, random.Random(0), 10)
    work.commit("Begin")
    first = work.run()
    guilty, sha = rng.randrange(COMMITS), ""
    slope, level = 12.0, 50.0
    for number in range(COMMITS):
        if number == guilty:
            work.edit("units.py", "OFFSET = 32.0", "OFFSET = 30.6")
            sha = work.commit("Use the sensor's own offset")
            continue
        kind = number % 3
        if kind == 0:
            name = rng.choice(["model.py", "features.py", "units.py", "train.py"])
            text = f"\n# Remark {number}.\n"
            apply([{"do": "append", "file": name, "text": text}], work.folder, work.call, work.git)
        elif kind == 1:
            name = rng.choice(["model.py", "features.py", "units.py"])
            text = f"\n\ndef spare_{number}(value):\n    return value + {number}\n"
            apply([{"do": "append", "file": name, "text": text}], work.folder, work.call, work.git)
        elif rng.random() < 0.5:
            work.edit("model.py", f"SLOPE = {slope!r}", f"SLOPE = {slope + 1e-4!r}")
            slope += 1e-4
        else:
            work.edit("model.py", f"LEVEL = {level!r}", f"LEVEL = {level + 1e-4!r}")
            level += 1e-4
        work.commit(f"Change {number}")
    return work.made(first, work.run()), [{"kind": "code", "name": f"{sha}|{sha[:12]}|{sha[:8]}|{sha[:7]}"}]


def _packages(work: _Work, rng: random.Random) -> tuple[Made, Truth]:
    """Forty packages, each in another release."""
    guilty = rng.randrange(PACKAGES)
    weights = {f"part{number:02d}": 1.0 + rng.uniform(-2e-4, 2e-4) for number in range(PACKAGES)}
    weights[f"part{guilty:02d}"] = 1.0 + 0.03 * PACKAGES
    apply([{"do": "wheels", "weights": weights, "release": work.release}], work.folder, work.call, work.git)
    path = work.folder / "requirements.txt"
    lines = [f"part{number:02d}==1.0\n" for number in range(PACKAGES)]
    path.write_text(
        "--find-links wheels\n" + path.read_text(encoding="utf-8") + "".join(lines), encoding="utf-8"
    )
    work.call.command = ["python", "packages.py"]
    work.commit("Begin")
    first = work.run()
    path.write_text(
        path.read_text(encoding="utf-8").replace("==1.0\n", f"=={work.release}\n"), encoding="utf-8"
    )
    work.commit("Take the new releases")
    return work.made(first, work.run()), [{"kind": "package", "name": f"part{guilty:02d}"}]


def _block(rng: random.Random) -> list[tuple[float, float]]:
    rows = []
    for _ in range(ROWS):
        x = rng.uniform(20, 110)
        u = ((x - 32) / 1.8 - 20) / 10
        rows.append((x, 50 + 12 * u - 1.5 * u * u + rng.gauss(0, 4)))
    return rows


def _write_blocks(folder: Path, rng: random.Random, count: int) -> None:
    for number in range(count):
        _write_table(folder / "data" / f"block{number:03d}.csv", _block(rng))


def _write_table(path: Path, rows: list[tuple[float, float]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("x,y\n" + "".join(f"{x:.3f},{y:.5f}\n" for x, y in rows), encoding="utf-8")


def _moved(rows: list[tuple[float, float]], rng: random.Random, *, guilty: bool) -> list[tuple[float, float]]:
    """Labels anew in their last digits; those of the guilty block far off, so that the error grows by some 3 %."""
    shift = 14.0 if guilty else 0.0
    return [(x, y + shift + rng.uniform(-2e-4, 2e-4)) for x, y in rows]


def _blocks(work: _Work, rng: random.Random, *, outside: bool = False) -> tuple[Made, Truth]:
    """Two hundred files of data, all of them written anew; with `outside` Git knows nothing of them."""
    guilty, draws = rng.randrange(BLOCKS), random.Random(0)
    blocks = [_block(draws) for _ in range(BLOCKS)]
    if outside:
        with (work.folder / ".gitignore").open("a", encoding="utf-8") as file:
            file.write("/data/\n")
        work.keep = ["data"]
    for number, rows in enumerate(blocks):
        _write_table(work.folder / "data" / f"block{number:03d}.csv", rows)
    work.commit("Begin")
    first = work.run()
    for number, rows in enumerate(blocks):
        _write_table(
            work.folder / "data" / f"block{number:03d}.csv", _moved(rows, rng, guilty=number == guilty)
        )
    work.commit("Take the new delivery")
    kind = "data" if outside else "tracked data"
    return work.made(first, work.run()), [{"kind": kind, "name": f"data/block{guilty:03d}.csv"}]


def _kept_blocks(work: _Work, rng: random.Random) -> tuple[Made, Truth]:
    return _blocks(work, rng, outside=True)


def _rows(work: _Work, rng: random.Random) -> tuple[Made, Truth]:
    """The same in one file of two hundred blocks of rows."""
    guilty, draws = rng.randrange(BLOCKS), random.Random(0)
    blocks = [_block(draws) for _ in range(BLOCKS)]
    path = work.folder / "data" / "all.csv"
    _write_table(path, [row for rows in blocks for row in rows])
    work.commit("Begin")
    first = work.run()
    moved = [_moved(rows, rng, guilty=number == guilty) for number, rows in enumerate(blocks)]
    _write_table(path, [row for rows in moved for row in rows])
    work.commit("Take the new delivery")
    where = f"data/all.csv:{2 + guilty * ROWS + ROWS // 2}"
    return work.made(first, work.run()), [{"kind": "tracked data", "name": "data/all.csv", "where": where}]


Maker = Callable[[_Work, random.Random], tuple[Made, Truth]]
HISTORIES: dict[str, tuple[Maker, int]] = {
    "history-commits": (_commits, COMMITS),
    "history-packages": (_packages, PACKAGES),
    "history-blocks": (_blocks, BLOCKS),
    "history-kept-blocks": (_kept_blocks, BLOCKS),
    "history-rows": (_rows, BLOCKS),
}


def require_worse(rmse: Callable[[str], Any], made: Made) -> None:
    """Both runs have the metric, and the second is worse by more than half a percent.

    Raises:
        NotMadeError: They are not.
    """
    before, after = rmse(made.first), rmse(made.second)
    if not after > before * 1.005:
        raise NotMadeError(f"rmse {before} -> {after} is not worse by 0.5 %")
