"""Records and verdicts with fixed content: the cases that every format must render."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reproof.model.artifact import Artifact
from reproof.model.difference import Difference, Outcome, combine
from reproof.model.policy import Policy, Rule, Tolerance
from reproof.model.randomness import Draw, EntropyDraw, RandomnessSection
from reproof.model.record import (
    Byproducts,
    ChildProcess,
    CodeSection,
    Distribution,
    EnvironmentSection,
    HardwareSection,
    Lock,
    Metric,
    NativeLibrary,
    Omission,
    Parameter,
    ProjectSection,
    PythonBuild,
    Record,
    Tool,
)
from reproof.model.stages import StageOutcome
from reproof.model.verdict import Condition, NotChecked, Verdict

GOLDEN = Path(__file__).parents[1] / "golden" / "report"
IDENTITY = "9f2c41d0" * 8

HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J<script>alert(1)</script>\u202egpj.exe | `rm -rf /` @everyone %0A::error::x\n"
    "]]> & \"quoted\" 'single' \x00\x9b31m\udcff\ufffe\u200b"
)

IDENTICAL, EQUIVALENT, CLOSE, UNKNOWN, DIFFERENT = Outcome


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare text with a file of tests/golden/report; REPROOF_UPDATE_GOLDEN=1 writes the file instead."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("REPROOF_UPDATE_GOLDEN") == "1":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return check


DRAWS = (
    EntropyDraw(what="uuid.uuid4()", where="${PROJECT}/src/bikes/data.py:14", count=60),
    EntropyDraw(
        what="numpy.random.default_rng()",
        where="${PROJECT}/src/bikes/data.py:12",
        control="controlled",
        by="stream",
    ),
    EntropyDraw(
        what="numpy.random.normal()", where="${PROJECT}/src/bikes/data.py:9", control="controlled", by="seed"
    ),
    EntropyDraw(
        what="random.Random()",
        where="${PROJECT}/src/bikes/pipeline.py:80",
        control="harmless",
        by="names of temporary files",
    ),
)


@pytest.fixture
def record() -> Record:
    digest = {"blake3": "ab" * 32}
    return Record(
        tool=Tool(version="0.1.0"),
        state="finished",
        created="2026-11-23T09:00:00Z",
        nonce="00",
        project=ProjectSection(
            name="bikes",
            entry_point="main",
            parameters={"conf_file": "confs/training.yaml"},
            command="PYTHONPATH=src python -m bikes confs/training.yaml",
        ),
        code=CodeSection(
            commit="1a2b3c4d" * 5,
            tree="5e6f7a8b" * 5,
            branch="main",
            remote="https://example.org/team/bikes.git",
            dirty=True,
            patch=Artifact(name="patch", size=812, digests=digest),
            untracked=(Artifact(name="notes.txt", size=12, digests=digest),),
            unpushed=True,
        ),
        environment=EnvironmentSection(
            kind="uv",
            python=PythonBuild(version="3.11.9", platform="linux-x86_64"),
            lock=Lock(
                format="requirements", source="requirements.txt", artifact=Artifact(name="lock", size=5000)
            ),
            distributions=tuple(
                Distribution(name=name, version=version)
                for name, version in (("numpy", "2.1.3"), ("pandas", "2.2.3"), ("scikit-learn", "1.6.0"))
            ),
            native=(NativeLibrary(path="${ENV}/lib/libopenblas.so", size=30_000_000, build_id="ab12"),),
            variables={"OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "42"},
        ),
        hardware=HardwareSection(
            host="0123456789abcdef",
            system="Linux",
            kernel="6.18.0",
            libc="glibc 2.36",
            cpu_model="Example CPU 3000 @ 2.50GHz",
            cpu_flags=("avx", "avx2", "fma", "fpu", "sse4_2"),
            cpus=8,
            affinity=2,
            memory=16 << 30,
        ),
        randomness=RandomnessSection(
            seed=42,
            seed_source="settings",
            applied=("PYTHONHASHSEED", "random", "numpy.random"),
            seeded=(
                Draw(what="RandomForestRegressor", where="${PROJECT}/src/bikes/pipeline.py:31", value="42"),
            ),
            unseeded=DRAWS,
            entropy="control",
        ),
        materials=(
            Artifact(
                name="data/bikes.csv",
                size=567_890,
                digests={"blake3": "9f2c41d0" * 8, "md5": "0" * 32},
                origin="dvc",
                source="data/bikes.csv.dvc",
            ),
            Artifact(name="confs/training.yaml", size=412, digests=digest, origin="git"),
        ),
        products=(
            Artifact(name="outputs/predictions.csv", size=48_120, digests=digest, origin="tree"),
            Artifact(name="mlflow/models/model/model.skops", size=3_400_000, digests=digest, origin="mlflow"),
            Artifact(name="mlflow/models/model/MLmodel", size=1_204, digests=digest, origin="mlflow"),
            Artifact(name="mlflow/artifacts/residuals.png", size=31_000, digests=digest, origin="mlflow"),
        ),
        parameters=(Parameter(key="n_estimators", value="200"), Parameter(key="max_depth", value="20")),
        metrics=(
            Metric(key="test_rmse", value=(38.114201).hex()),
            Metric(key="test_mae", value=(24.31847).hex()),
            *(Metric(key="loss", step=step, value=(1 / (step + 1)).hex()) for step in range(3)),
        ),
        byproducts=Byproducts(
            exit_status=0,
            started="2026-11-23T09:00:01Z",
            seconds=12.44,
            cpu_seconds=25.1,
            peak_memory=220 << 20,
            processes=(ChildProcess(pid=10, parent=1, argv=("python", "-m", "bikes")),),
        ),
        omissions=(Omission(subject="gpu", reason="no NVIDIA driver on this machine"),),
    )


def metric(name: str, before: float, after: float, outcome: Outcome | None = None) -> Difference:
    """As the comparator of metrics makes it."""
    if before.hex() == after.hex():
        return Difference(
            subject=f"metric:{name}",
            outcome=IDENTICAL,
            summary=repr(before),
            kind="metric",
            expected=repr(before),
            actual=repr(after),
        )
    return Difference(
        subject=f"metric:{name}",
        outcome=DIFFERENT if outcome is None else outcome,
        summary=f"{before!r} -> {after!r}",
        kind="metric",
        expected=repr(before),
        actual=repr(after),
    )


def steps(name: str, count: int) -> Difference:
    """A metric of several steps, of which every second differs."""
    children = [
        metric(f"{name}@step {step}", 1 / (step + 1), 1 / (step + 1) + 1e-9) for step in range(0, count, 2)
    ]
    return Difference(
        subject=f"metric:{name}",
        outcome=DIFFERENT,
        summary=f"{len(children)} of {count} values differ, largest relative difference 2e-09",
        kind="metric",
        expected=repr(1 / count),
        actual=repr(1 / count + 1e-9),
        evidence={"steps": count, "largest_relative": 2e-9, "largest_ulp": 9_007_199},
        children=tuple(children),
    )


def artifact(name: str, outcome: Outcome, summary: str, **more: object) -> Difference:
    return Difference(subject=name, outcome=outcome, summary=summary, **more)  # type: ignore[arg-type]


EXIT = Difference(
    subject="exit status",
    outcome=IDENTICAL,
    summary="both ended with 0",
    kind="status",
    expected="0",
    actual="0",
)
PARAMETERS = tuple(
    Difference(
        subject=f"parameter:{name}",
        outcome=IDENTICAL,
        summary=value,
        kind="parameter",
        expected=value,
        actual=value,
    )
    for name, value in (("n_estimators", "200"), ("max_depth", "20"))
)
MODEL = combine(
    "mlflow/models/model/model.skops",
    [
        Difference(
            subject="schema.json",
            outcome=EQUIVALENT,
            summary="same content, memory addresses renumbered",
            kind="json",
            canonicalised=("memory addresses", "zip member dates"),
        )
    ],
    kind="skops",
    summary="same content",
)
CONDITIONS = (
    Condition("isolation", "bubblewrap", "no network, only the room writable"),
    Condition("host", "same"),
    Condition("path", "other"),
    Condition("python", "3.11.9, same"),
    Condition("seeds", "replayed: PYTHONHASHSEED, random, numpy.random"),
)
UNCHECKED = (
    NotChecked("stdout", "informational only"),
    NotChecked("gpu", "no NVIDIA driver on this machine"),
)


@pytest.fixture
def reproduced() -> Verdict:
    return Verdict(
        record=IDENTITY,
        run_id="df8805c0" * 4,
        project="bikes",
        created="2026-11-23T09:15:02Z",
        outcome=EQUIVALENT,
        word="reproduced",
        reproduced=True,
        differences=(
            EXIT,
            metric("test_rmse", 38.114201, 38.114201),
            metric("test_mae", 24.31847, 24.31847),
            *PARAMETERS,
            artifact("outputs/predictions.csv", IDENTICAL, "same bytes", kind="bytes"),
            MODEL,
            artifact("mlflow/artifacts/residuals.png", IDENTICAL, "same bytes", kind="bytes"),
        ),
        conditions=CONDITIONS,
        not_checked=UNCHECKED,
        seconds={"recorded run": 12.44, "environment": 3.2, "re-run": 12.61},
        tool="reproof 0.1.0",
    )


@pytest.fixture
def different() -> Verdict:
    tree = combine(
        "mlflow/models/model/model.skops",
        [
            combine(
                "schema.json",
                [
                    Difference(
                        subject="steps[1].regressor.n_estimators",
                        outcome=DIFFERENT,
                        summary="steps[1].regressor.n_estimators: 200 -> 201",
                        kind="value",
                        expected="200",
                        actual="201",
                    ),
                    combine(
                        "steps[1].regressor.estimators_",
                        [
                            Difference(
                                subject=f"steps[1].regressor.estimators_[{number}].tree_.threshold",
                                outcome=DIFFERENT,
                                summary="12 of 4,096 numbers differ",
                                kind="array",
                                evidence={"relative": 1e-3},
                            )
                            for number in range(14)
                        ],
                        kind="list",
                        summary="14 of 200 trees differ",
                    ),
                ],
                kind="json",
                canonicalised=("memory addresses",),
                summary="2 attributes differ",
            ),
            Difference(
                subject="weights.npy",
                outcome=UNKNOWN,
                summary="object arrays are not read",
                kind="array",
            ),
        ],
        kind="skops",
        summary="the fitted model differs: 2 attributes",
    )
    table = Difference(
        subject="outputs/predictions.csv",
        outcome=DIFFERENT,
        summary="row 17, column `count`: 113.25 -> 113.5; 212 of 1,729 cells differ",
        kind="table",
        evidence={"size": 48_120},
        children=(
            Difference(
                subject="count",
                outcome=DIFFERENT,
                summary="212 of 1,729 cells differ",
                kind="column",
                expected="113.25",
                actual="113.5",
            ),
        ),
    )
    factors = (
        combine(
            "environment",
            [
                Difference(
                    subject="package numpy",
                    outcome=DIFFERENT,
                    summary="package numpy: 2.1.3 -> 2.1.4",
                    kind="factor",
                    expected="2.1.3",
                    actual="2.1.4",
                ),
                Difference(
                    subject="variable OMP_NUM_THREADS",
                    outcome=DIFFERENT,
                    summary="variable OMP_NUM_THREADS: 8 -> absent",
                    kind="factor",
                    expected="8",
                ),
            ],
            kind="factor",
        ),
    )
    return Verdict(
        record=IDENTITY,
        run_id="df8805c0" * 4,
        project="bikes",
        created="2026-11-23T09:15:02Z",
        outcome=DIFFERENT,
        word="not reproduced",
        reproduced=False,
        stability="consistent",
        by_itself="no",
        covered=("NumPy's global state", "`default_rng()` at src/bikes/data.py:12"),
        draws=(DRAWS[0], DRAWS[3]),
        policy=Policy(
            rules=(
                Rule(pattern="metric:test_mae", tolerance=Tolerance(rtol=1e-4), accept=CLOSE),
                Rule(pattern="logs/*", ignore="written by the scheduler"),
            )
        ),
        differences=(
            EXIT,
            metric("test_rmse", 38.114201, 38.120033),
            metric("test_mae", 24.31847, 24.31848, CLOSE),
            metric("train_r2", 0.9471837465, 0.9471837465),
            steps("loss", 30),
            Difference(
                subject="metric:val_auc",
                outcome=DIFFERENT,
                summary="was not logged again; it was 0.91",
                kind="metric",
                expected="0.91",
            ),
            *PARAMETERS,
            table,
            tree,
            artifact(
                "mlflow/models/model/MLmodel",
                EQUIVALENT,
                "same content",
                kind="yaml",
                canonicalised=("run_id", "utc_time_created", "model_uuid"),
            ),
            artifact(
                "mlflow/artifacts/residuals.png", UNKNOWN, "not an image that can be read", kind="image"
            ),
        ),
        conditions=CONDITIONS,
        not_checked=(*UNCHECKED, NotChecked("logs/train.log", "ignored by rule: written by the scheduler")),
        factors=factors,
        seconds={"recorded run": 12.44, "environment": 3.2, "re-run": 12.61, "second re-run": 12.5},
        tool="reproof 0.1.0",
        room="/tmp/reproof/room-1",
    )


@pytest.fixture
def pipeline() -> Verdict:
    """A pipeline whose second stage differs by itself; the third inherits that, the fourth has its own besides."""

    def stage(name: str, outcome: Outcome, summary: str, state: str, *children: Difference) -> Difference:
        return Difference(
            subject=f"stage {name}",
            outcome=outcome,
            kind="stage",
            summary=summary,
            evidence={"state": state, "record": "5a" * 32, "stability": "consistent"},
            children=children,
        )

    rows = artifact("features.csv", DIFFERENT, "row 3, column `b`: 1.25 -> 1.5; 1 of 24 cells differs")
    model = artifact("model.json", DIFFERENT, "total: 17.25 -> 17.5")
    report = artifact("report.txt", DIFFERENT, "line 2 differs")
    return Verdict(
        record=IDENTITY,
        run_id="0c" * 16,
        project="bikes",
        created="2026-01-02T03:04:05Z",
        outcome=DIFFERENT,
        word="not reproduced",
        reproduced=False,
        stability="consistent",
        policy=Policy(),
        differences=(
            stage("split", IDENTICAL, "2 results came out the same", "same"),
            stage(
                "features",
                DIFFERENT,
                "differs by itself: each re-run gives the same other result",
                "differs",
                rows,
            ),
            stage(
                "train",
                DIFFERENT,
                "inherited from `features`: on the recorded inputs it comes out the same",
                "inherited",
                model,
            ),
            stage(
                "report",
                DIFFERENT,
                "differs by itself: it varies from run to run; its inputs differ too",
                "differs",
                report,
            ),
        ),
        conditions=(
            Condition("isolation", "bubblewrap", "no network; only the room could be written"),
            Condition(
                "model registry",
                "the room's own",
                "`models:/bikes@champion` was version 3, made again by an earlier stage",
            ),
        ),
        not_checked=(NotChecked("stage plot", "it is frozen: its outputs were taken as they are"),),
        seconds={"recorded": 4.0, "room": 1.5, "stage split": 0.5, "stage features": 1.25},
        tool="reproof 0.1.0",
        stages=(
            StageOutcome(address="split", state="same", outcome="identical"),
            StageOutcome(address="features", state="differs", outcome="different", stability="consistent"),
            StageOutcome(
                address="train",
                state="inherited",
                outcome="different",
                alone="identical",
                sources=("features",),
            ),
            StageOutcome(
                address="report",
                state="differs",
                outcome="different",
                alone="different",
                stability="varies",
                sources=("train",),
            ),
        ),
        first="features",
    )


@pytest.fixture
def inconclusive() -> Verdict:
    return Verdict(
        record=IDENTITY,
        project="bikes",
        created="2026-11-23T09:15:02Z",
        outcome=UNKNOWN,
        word="inconclusive",
        reproduced=False,
        differences=(
            metric("test_rmse", 38.114201, 38.114201),
            artifact(
                "mlflow/artifacts/residuals.png", UNKNOWN, "not an image that can be read", kind="image"
            ),
        ),
        tool="reproof 0.1.0",
    )


@pytest.fixture
def hostile() -> Verdict:
    node = Difference(
        subject=HOSTILE,
        outcome=DIFFERENT,
        summary=HOSTILE,
        expected=HOSTILE,
        actual="```" + HOSTILE,
        canonicalised=(HOSTILE,),
    )
    return Verdict(
        record=HOSTILE,
        run_id=HOSTILE,
        project=HOSTILE,
        created=HOSTILE,
        outcome=DIFFERENT,
        word="not reproduced",
        reproduced=False,
        differences=(
            combine(HOSTILE, [node], kind="bytes", summary=HOSTILE),
            Difference(
                subject=f"metric:{HOSTILE}", outcome=DIFFERENT, summary=HOSTILE, kind="metric", actual=HOSTILE
            ),
            Difference(subject=f"parameter:{HOSTILE}", outcome=DIFFERENT, summary=HOSTILE, expected=HOSTILE),
        ),
        policy=Policy(rules=(Rule(pattern=HOSTILE, ignore=HOSTILE),)),
        conditions=(Condition(HOSTILE, HOSTILE, HOSTILE),),
        not_checked=(NotChecked(HOSTILE, HOSTILE),),
        factors=(node,),
        seconds={HOSTILE: 1.0},
        tool=HOSTILE,
        room=HOSTILE,
    )


@pytest.fixture
def large() -> Verdict:
    """10,000 artifacts that differ, one of them with 10,000 differing parts, and 10,000 not checked."""
    parts = [
        Difference(
            subject=f"$.rows[{number}].value",
            outcome=EQUIVALENT if number < 9_999 else DIFFERENT,
            summary=f"{number} -> {number + 1}",
            expected=str(number),
            actual=str(number + 1),
        )
        for number in range(10_000)
    ]
    return Verdict(
        record=IDENTITY,
        project="bikes",
        created="2026-11-23T09:15:02Z",
        outcome=DIFFERENT,
        word="not reproduced",
        reproduced=False,
        differences=(
            combine("outputs/big.json", parts, kind="json"),
            *(
                artifact(
                    f"outputs/part-{number:05}.csv", DIFFERENT, "1 of 4,096 bytes differs, first at offset 17"
                )
                for number in range(9_999)
            ),
            artifact("outputs/worst.csv", DIFFERENT, "the last one"),
        ),
        not_checked=tuple(NotChecked(f"cache/{number}", "not kept") for number in range(10_000)),
    )
