from __future__ import annotations

import pytest

from reproof.model.difference import Difference, Outcome
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.report.view import factors_of, groups_of, label_of, set_aside, sides_of, summary_of, values_of


def difference(**fields: object) -> Difference:
    given: dict[str, object] = {"subject": "s", "outcome": Outcome.DIFFERENT, "summary": "differs", **fields}
    return Difference(**given)  # type: ignore[arg-type]


def test_differences_are_grouped_by_sort_with_the_sizes_of_the_record(
    different: Verdict, record: Record
) -> None:
    groups = {group.title: [row.name for row in group.rows] for group in groups_of(different, record)}
    assert list(groups) == ["metrics", "parameters", "artifacts", "command"]
    assert groups["metrics"] == ["test_rmse", "test_mae", "train_r2", "loss", "val_auc"]
    assert groups["command"] == ["exit status"]
    sizes = {row.name: row.size for group in groups_of(different, record) for row in group.rows}
    assert sizes["mlflow/models/model/model.skops"] == 3_400_000
    assert sizes["test_rmse"] is None


def test_acceptance_follows_the_rules_of_the_policy(different: Verdict) -> None:
    accepted = {row.name: row.accepted for group in groups_of(different, None) for row in group.rows}
    assert accepted["test_mae"]
    assert not accepted["test_rmse"]


@pytest.mark.parametrize("subject", ["parameter:a", "param:a"])
def test_prefixes_name_the_group(subject: str) -> None:
    assert label_of(difference(subject=f"{subject}@x"), difference(subject=subject)) == "x"
    groups = groups_of(
        Verdict(
            record="",
            created="",
            outcome=Outcome.DIFFERENT,
            word="not reproduced",
            reproduced=False,
            differences=(difference(subject=subject),),
        ),
        None,
    )
    assert [(group.title, group.rows[0].name) for group in groups] == [("parameters", "a")]


def test_the_distance_of_the_comparator_wins() -> None:
    values = values_of(difference(expected="0.5", actual="0.75", evidence={"relative": 0.1, "ulp": 7}))
    assert values.distance == "relative 0.1, 7 ulp"


def test_a_distance_is_computed_where_none_was_noted() -> None:
    values = values_of(difference(kind="metric", expected="0x1p+0", actual="0x1.0000000000001p+0"))
    assert (values.expected, values.actual) == ("1.0", "1.0000000000000002")
    assert values.distance == "relative 2.2e-16, 1 ulp"


@pytest.mark.parametrize(
    ("expected", "actual"), [("200", "201"), ("a", "b"), ("nan", "1.0"), ("inf", "-inf")]
)
def test_no_distance_where_it_tells_nothing(expected: str, actual: str) -> None:
    assert values_of(difference(expected=expected, actual=actual)).distance == ""


def test_sides_are_left_out_where_the_summary_shows_them() -> None:
    assert sides_of(difference(summary="200 -> 201", expected="200", actual="201")) is None
    assert sides_of(difference(expected="200", actual="201")) is not None
    assert sides_of(difference()) is None


def test_the_subject_is_not_said_twice() -> None:
    assert summary_of(difference(summary="s: 1 -> 2")) == "1 -> 2"


def test_factors_are_the_leaves(different: Verdict) -> None:
    factors = factors_of(different.factors)
    assert [(factor.section, factor.name, factor.expected, factor.actual) for factor in factors] == [
        ("environment", "package numpy", "2.1.3", "2.1.4"),
        ("environment", "variable OMP_NUM_THREADS", "8", None),
    ]


def test_canonicalisations_name_their_subjects(reproduced: Verdict) -> None:
    assert set_aside(reproduced.differences) == {
        "memory addresses": ["mlflow/models/model/model.skops"],
        "zip member dates": ["mlflow/models/model/model.skops"],
    }
