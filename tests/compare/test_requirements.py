"""Lists of packages: order is no content, versions and options are."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_samples import CONDA, REQUIREMENTS

from reproof.compare import compare
from reproof.model.difference import Difference, Outcome


def both(folder: Path, one: bytes, two: bytes, name: str = "requirements.txt") -> Difference:
    paths = []
    for side, data in (("one", one), ("two", two)):
        path = folder / side / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        paths.append(path)
    return compare(*paths)


def turned(data: bytes) -> bytes:
    return b"".join(reversed(data.splitlines(keepends=True)))


def test_the_order_of_lines_is_set_aside_by_name(tmp_path: Path) -> None:
    found = both(tmp_path, REQUIREMENTS, turned(REQUIREMENTS))
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, ("requirement order",))


def test_comments_and_blank_lines_are_set_aside_by_name(tmp_path: Path) -> None:
    found = both(tmp_path, REQUIREMENTS, b"# by hand\n" + REQUIREMENTS)
    assert found.canonicalisations == ("requirement comments",)
    assert both(tmp_path, REQUIREMENTS, b"\n" + REQUIREMENTS).canonicalisations == ("requirement layout",)


@pytest.mark.parametrize(
    ("before", "after", "subject", "summary"),
    [
        (b"numpy==2.4.6", b"numpy==2.4.5", "numpy", "numpy==2.4.6 -> numpy==2.4.5"),
        (b"numpy==2.4.6\n", b"", "numpy", "is gone; it was numpy==2.4.6"),
        (b"skops==0.16.0\n", b"skops==0.16.0\nx\n", "x", "is new: x"),
        (b"mlflow==3", b"mlflow[extra]==3", "mlflow", "mlflow==3.17.2 -> mlflow[extra]==3.17.2"),
    ],
)
def test_another_package_is_named(
    tmp_path: Path, before: bytes, after: bytes, subject: str, summary: str
) -> None:
    found = both(tmp_path, REQUIREMENTS, turned(REQUIREMENTS.replace(before, after)))
    assert found.outcome is Outcome.DIFFERENT
    assert [(part.subject, part.summary) for part in found.children] == [(subject, summary)]


def test_the_order_of_options_is_content(tmp_path: Path) -> None:
    options = b"--index-url https://one.example\n--extra-index-url https://two.example\n"
    assert both(tmp_path, options + REQUIREMENTS, turned(options) + REQUIREMENTS).outcome is Outcome.DIFFERENT


def test_hashes_of_continued_lines_are_content(tmp_path: Path) -> None:
    line = b"numpy==2 \\\n    --hash=sha256:%s\n"
    assert both(tmp_path, line % b"aa", line % b"ab").outcome is Outcome.DIFFERENT


def test_a_package_twice_is_not_a_package_once(tmp_path: Path) -> None:
    assert both(tmp_path, REQUIREMENTS, REQUIREMENTS + b"numpy==2.4.6\n").outcome is Outcome.DIFFERENT


def test_conda_dependencies_in_another_order(tmp_path: Path) -> None:
    other = CONDA.replace(b"- python=3.11.7\n- pip<=24.0\n", b"- pip<=24.0\n- python=3.11.7\n").replace(
        b"  - mlflow==3.17.2\n  - numpy==2.4.6\n", b"  - numpy==2.4.6\n  - mlflow==3.17.2\n"
    )
    found = both(tmp_path, CONDA, other, "conda.yaml")
    assert (found.outcome, found.canonicalisations) == (Outcome.EQUIVALENT, ("requirement order",))


@pytest.mark.parametrize(
    ("before", "after", "subject"),
    [
        (b"numpy==2.4.6", b"numpy==2.4.5", "$.dependencies['pip:'].numpy"),
        (b"- conda-forge", b"- conda-forge\n- defaults", "$.channels[1]"),
        (b"name: mlflow-env", b"name: other", "$.name"),
        (b"- pip<=24.0\n", b"", "$.dependencies.pip"),
    ],
)
def test_other_values_of_conda_are_content(tmp_path: Path, before: bytes, after: bytes, subject: str) -> None:
    found = both(tmp_path, CONDA, CONDA.replace(before, after), "conda.yaml")
    assert (found.outcome, found.children[0].subject) == (Outcome.DIFFERENT, subject)


def test_the_order_of_channels_is_content(tmp_path: Path) -> None:
    one, two = b"channels:\n- a\n- b\ndependencies: []\n", b"channels:\n- b\n- a\ndependencies: []\n"
    assert both(tmp_path, one, two, "conda.yaml").outcome is Outcome.DIFFERENT


def test_bytes_that_are_no_text_are_shown_escaped(tmp_path: Path) -> None:
    found = both(tmp_path, b"numpy==\xff\n", b"numpy==\xfe\n")
    assert found.outcome is Outcome.DIFFERENT
    assert found.children[0].expected == "numpy==\\xff"
