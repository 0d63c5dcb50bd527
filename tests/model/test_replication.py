"""Plans: seeds that follow from one number, and an id that stands for what is planned."""

from __future__ import annotations

import msgspec
import pytest

from reproof.model.replication import ReplicationPlan, derive_seeds


def test_a_longer_list_begins_with_the_shorter_one() -> None:
    assert derive_seeds(7, 100)[:10] == derive_seeds(7, 10)


def test_seeds_are_different_and_every_library_takes_them() -> None:
    seeds = derive_seeds(2**62, 5000)
    assert len(set(seeds)) == 5000
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_the_recorded_seed_is_not_among_them() -> None:
    seeds = derive_seeds(1, 10)
    without = derive_seeds(1, 10, seeds[3])
    assert seeds[3] not in without
    assert without[:9] == (*seeds[:3], *seeds[4:])


def test_seeds_are_the_same_everywhere() -> None:
    assert derive_seeds(0, 3) == (1446583109, 2005510037, 1234457838)


def plan(**changes: object) -> ReplicationPlan:
    first = ReplicationPlan(created="2026-01-01T00:00:00Z", records=("a" * 64,), master=1, seeds=(1, 2))
    return msgspec.structs.replace(first, **changes)


def test_the_id_stands_for_what_is_planned_not_for_when() -> None:
    assert plan(created="2027-01-01T00:00:00Z", tool="other").id == plan().id


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": (1, 3)},
        {"seeds": (2, 1)},
        {"records": ("b" * 64,)},
        {"parameter": "seed"},
        {"metrics": ("rmse",)},
        {"confidence": 0.9},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_plan_has_another_id(change: dict[str, object]) -> None:
    assert plan(**change).id != plan().id
