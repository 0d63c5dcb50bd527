"""What signing and logging cost: JSON lines.

1. added to a run: its start and its end, signed and entered (limit 50 ms, imports of the signing library included)
2. an audit of 10,000 signed entries (limit 5 s)
3. a bundle against a plain zip of the same files (at least half its speed)

    python bench/audit.py [--entries 10000] [--megabytes 300]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import msgspec

from reproof.attest import claims
from reproof.attest.archive import Part, write_bundle
from reproof.attest.claims import TrackedRuns
from reproof.attest.dsse import seal
from reproof.attest.keys import make_key, open_key
from reproof.attest.log import GitLog, State
from reproof.attest.merkle import leaf_hash
from reproof.attest.signers import line_for
from reproof.model.record import CodeSection, Metric, ProjectSection, Record, Tool
from reproof.model.statement import MEANINGS, Position, Signer
from reproof.workflow.audit import AuditOptions, audit
from reproof.workflow.trail import now

ONE_RUN = """
import os, sys, time
from pathlib import Path
import msgspec
from reproof.workflow.run import run
from reproof.workflow.trail import open_trail
from reproof.model.codec import decode_record
from reproof.attest.claims import TrackedRuns
from reproof.model.event import silent
record = decode_record(Path(sys.argv[1]).read_bytes(), where="x")
top = Path.cwd()
before = os.times()
started = time.perf_counter()
trail = open_trail(top, top / ".reproof", silent)
trail.start(record, silent)
trail.finish("1" * 64, record, TrackedRuns(uri="sqlite:///x", runs=("2" * 32,)), silent)
seconds = time.perf_counter() - started
after = os.times()
print(seconds, sum(after[:4]) - sum(before[:4]))
"""


def show(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def make_record(nonce: str) -> Record:
    return Record(
        tool=Tool(version="0"),
        state="finished",
        created=now(),
        nonce=nonce,
        project=ProjectSection(name="bench", command="python train.py"),
        code=CodeSection(commit="1" * 40, tree="2" * 40),
        metrics=tuple(Metric(key="loss", step=step, value="0x1.0p+0") for step in range(100)),
    )


def repository(folder: Path) -> Path:
    top = folder / "project"
    top.mkdir()
    note = make_key(folder / "config/keys/default.pem", "ada@example.org", "Ada", now(), None)
    line = line_for(note.identity, note.name, note.raw, meanings=MEANINGS, after="2020-01-01T00:00:00Z")
    (top / "allowed_signers").write_text(line + "\n")
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=b", "-c", "user.email=b@e.org", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *words], cwd=top, check=True)
    return top


def fill(top: Path, count: int) -> None:
    """A log of `count` entries, as runs would have written it."""
    key = open_key(Path(os.environ["REPROOF_CONFIG_DIR"]) / "keys/default.pem")
    entries, previous, state = [], "", State(origin="reproof/bench/1")
    import hashlib

    for number in range(count):
        record = make_record(f"{number // 2:032x}")
        claim = (
            claims.started(record)
            if number % 2 == 0
            else claims.finished(f"{number:064x}", record, {}, TrackedRuns())
        )
        signer = Signer(name=key.name, identity=key.identity, key=key.id, time=now())
        entry = seal(
            claim.stated(signer, Position(origin=state.origin, sequence=number, previous=previous)), key
        )
        previous = hashlib.sha256(entry).hexdigest()
        entries.append(entry)
    GitLog(top).write(entries, msgspec.structs.replace(state, time=now()), key)
    assert len({leaf_hash(entry) for entry in entries}) == count


def signing(top: Path, folder: Path) -> None:
    from reproof.model.codec import encode

    place = folder / "record.json"
    place.write_bytes(encode(make_record("f" * 32)))
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times: list[float] = []
    work: list[float] = []
    for _ in range(9):
        done = subprocess.run(
            [sys.executable, "-c", ONE_RUN, place],
            cwd=top,
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        wall, cpu = (float(word) * 1000 for word in done.stdout.split())
        times.append(wall)
        work.append(cpu)
    show(
        what="sign and log a run",
        median_ms=round(statistics.median(times), 1),
        best_ms=round(min(times), 1),
        cpu_ms=round(statistics.median(work), 1),
        limit_ms=50,
    )


def auditing(top: Path, count: int) -> None:
    started, before = time.perf_counter(), os.times()
    report = audit(AuditOptions(tracking=False), directory=top)
    seconds, after = time.perf_counter() - started, os.times()
    show(
        what="audit",
        entries=report.size,
        signed=report.signed,
        seconds=round(seconds, 2),
        cpu_s=round(sum(after[:4]) - sum(before[:4]), 2),
        limit_s=5,
        asked=count,
    )


def bundling(folder: Path, megabytes: int) -> None:
    import random

    files = []
    for number in range(30):
        place = folder / f"file-{number}"
        place.write_bytes(random.Random(number).randbytes(megabytes * 1_000_000 // 30))
        files.append(place)
    ratios = []
    for turn in range(5):
        started = time.perf_counter()
        with zipfile.ZipFile(folder / "plain.zip", "w") as archive:
            for place in files:
                archive.write(place, place.name)
        with (folder / "plain.zip").open("rb") as file:
            os.fsync(file.fileno())
        plain = time.perf_counter() - started
        started = time.perf_counter()
        write_bundle(folder / "bundle.zip", [Part(name=place.name, path=place) for place in files])
        ours = time.perf_counter() - started
        ratios.append(plain / ours)
        show(
            what="bundle",
            turn=turn,
            zip_s=round(plain, 2),
            bundle_s=round(ours, 2),
            speed_ratio=round(plain / ours, 2),
        )
    show(
        what="bundle over zip",
        median_ratio=round(statistics.median(ratios), 2),
        limit=0.5,
        megabytes=megabytes,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--megabytes", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reproof-bench-") as name:
        folder = Path(name)
        os.environ["REPROOF_CONFIG_DIR"] = str(folder / "config")
        top = repository(folder)
        fill(top, options.entries)
        signing(top, folder)
        auditing(top, options.entries)
        bundling(folder, options.megabytes)


if __name__ == "__main__":
    main()
