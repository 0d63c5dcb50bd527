"""Words about chance."""

from __future__ import annotations

import msgspec
import pytest

from reproof.model.difference import Outcome
from reproof.model.randomness import Draw, EntropyDraw, RandomnessSection
from reproof.model.verdict import Verdict
from reproof.report.chance import by_itself, call_of, covered, draw_rows, place_of, summary, suspects

VERDICT = Verdict(
    record="ab" * 32,
    created="2026-11-23T09:00:00Z",
    outcome=Outcome.DIFFERENT,
    word="not reproduced",
    reproduced=False,
)


def draw(what: str, where: str = "${PROJECT}/train.py:41", **more: object) -> EntropyDraw:
    return msgspec.convert({"what": what, "where": where, **more}, EntropyDraw)


RNG = draw("numpy.random.default_rng()")
UUID = draw("uuid.uuid4()", "${PROJECT}/train.py:9", count=60)
STREAM = draw("random.Random()", "${PROJECT}/helper.py:3", control="controlled", by="stream")
SHARED = draw("numpy.random.normal()", control="controlled", by="seed")
CODE = draw("KMeans(random_state=None) in sklearn/cluster/a.py:3", control="controlled", by="code")
NAMES = draw("random.Random()", control="harmless", by="names of temporary files")


@pytest.mark.parametrize(
    ("what", "package", "text"),
    [
        ("numpy.random.default_rng()", "", "`default_rng()` without a seed"),
        ("random.Random()", "", "`random.Random()` without a seed"),
        ("numpy.random.PCG64() in optuna/a.py:3", "optuna", "`PCG64()` without a seed within `optuna`"),
        ("random.seed()", "", "`random.seed()` without a seed"),
        ("torch.seed()", "", "`torch.seed()` without a seed"),
        ("numpy.random.normal()", "", "`numpy.random.normal()` before any seed"),
        ("random.shuffle()", "", "`random.shuffle()` before any seed"),
        ("NumPy's global state", "", "NumPy's global state before any seed"),
        ("numpy.random.seed() by the clock", "", "`numpy.random.seed()` by the clock"),
        ("KMeans(random_state=None) in sklearn/a.py:3", "sklearn", "`KMeans(random_state=None)`"),
        (
            "torch.utils.data.DataLoader without a generator in torch/a.py:3",
            "torch",
            "`DataLoader` without a generator within `torch`",
        ),
        ("uuid.uuid4()", "", "`uuid.uuid4()`"),
    ],
)
def test_calls(what: str, package: str, text: str) -> None:
    assert call_of(draw(what, package=package)) == text


def test_places() -> None:
    assert place_of(RNG) == "train.py:41"
    assert place_of(draw("x", "")) == "a place that is not known"


def test_the_line_at_the_end_of_a_run() -> None:
    seeded = (Draw(what="random.seed", where="a.py:1", value="3"),)
    section = RandomnessSection(
        seed=42,
        seed_source="option",
        applied=("PYTHONHASHSEED", "random", "numpy.random"),
        seeded=seeded,
        unseeded=(RNG, UUID, STREAM, SHARED, CODE, NAMES),
    )
    assert summary(section) == (
        "randomness: seed 42 (option), 2 generators seeded, 1 seeded by the code, "
        "1 unseeded draw controlled at helper.py:3 (`random.Random()` without a seed), "
        "2 uncontrolled draws at train.py:41 (`default_rng()` without a seed) and 1 more"
    )
    assert summary(RandomnessSection()) == "randomness: no seed applied"
    one = RandomnessSection(seed=1, seed_source="fresh", applied=("random",))
    assert summary(one) == "randomness: seed 1 (fresh), 1 generator seeded"


def test_what_reproof_covers() -> None:
    section = RandomnessSection(unseeded=(RNG, STREAM, SHARED, SHARED, CODE, NAMES))
    assert covered(section) == ("`random.Random()` at helper.py:3", "NumPy's global state")
    torch = draw("torch.utils.data.DataLoader without a generator", control="controlled", by="seed")
    forest = draw("Forest(random_state=None) in sklearn/a.py:3", control="controlled", by="seed")
    shared = draw("random.random()", control="controlled", by="seed")
    assert covered(RandomnessSection(unseeded=(torch, forest, shared))) == (
        "PyTorch's generator",
        "NumPy's global state",
        "the module `random`",
    )


def test_suspects() -> None:
    worker = msgspec.structs.replace(STREAM, concurrent=True)
    code = msgspec.structs.replace(CODE, concurrent=True)
    first = RandomnessSection(unseeded=(NAMES, worker, STREAM, SHARED, code, UUID))
    assert suspects([first, RandomnessSection(unseeded=(RNG,))]) == (UUID, RNG, worker, NAMES)


def test_rows_of_a_verdict() -> None:
    worker = msgspec.structs.replace(STREAM, concurrent=True)
    verdict = msgspec.structs.replace(VERDICT, stability="varies", draws=(UUID, worker, NAMES))
    assert draw_rows(verdict) == [
        ("train.py:9", "`uuid.uuid4()`, 60 times"),
        (
            "helper.py:3",
            "`random.Random()` without a seed; controlled for each worker or thread, but not which of them does what",
        ),
        ("train.py:41", "`random.Random()` without a seed; thought harmless: names of temporary files"),
    ]
    rows = draw_rows(msgspec.structs.replace(VERDICT, stability="varies"))
    assert [name for name, _ in rows] == ["no uncontrolled draw"]
    assert draw_rows(msgspec.structs.replace(VERDICT, stability="consistent")) == []


def test_by_itself() -> None:
    assert (
        by_itself(VERDICT) == "not tried: `--by-itself` tries whether the code repeats without reproof's seed"
    )
    verdict = msgspec.structs.replace(VERDICT, by_itself="no", covered=("NumPy's global state", "x"))
    assert by_itself(verdict) == (
        "no: without reproof's seed the code does not repeat; it covered NumPy's global state, x"
    )
