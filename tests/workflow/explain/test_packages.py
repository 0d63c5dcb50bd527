"""Locks in between, and packages that only go together."""

from __future__ import annotations

from pathlib import Path

from reproof.model.record import Distribution, EnvironmentSection
from reproof.workflow.explain.packages import (
    Fitting,
    differing,
    mix_distributions,
    mix_locks,
    needs_of,
)

ONE = "--index-url https://one.example\nalpha==1 --hash=sha256:aa\nbeta==1 ; python_version>'3' --hash=sha256:bb\n"
TWO = "--index-url https://one.example\nalpha==2 --hash=sha256:cc\nbeta==2 --hash=sha256:dd\ngamma==1 --hash=sha256:ee\n"


def test_lines_of_both_locks() -> None:
    lines = mix_locks(ONE, TWO, {"alpha", "gamma"}).replace(" \\\n    ", " ").splitlines()
    assert lines == [
        "--index-url https://one.example",
        "alpha==2 --hash=sha256:cc",
        "beta==1 ; python_version>'3' --hash=sha256:bb",
        "gamma==1 --hash=sha256:ee",
    ]
    assert "gamma" not in mix_locks(ONE, TWO, {"alpha"})


def test_what_is_installed() -> None:
    one = (Distribution(name="alpha", version="1"), Distribution(name="beta", version="1"))
    two = (Distribution(name="alpha", version="2"), Distribution(name="gamma", version="1"))
    assert [each.version for each in mix_distributions(one, two, {"alpha", "beta"})] == ["2"]
    found = differing(EnvironmentSection(distributions=one), EnvironmentSection(distributions=two))
    assert found == {"alpha": ("1", "2"), "beta": ("1", None), "gamma": (None, "1")}


def test_one_that_needs_another_version_of_the_other() -> None:
    versions = {"frames": ("1", "2"), "numbers": ("1", "2"), "other": ("1", "2")}
    needs = {"frames": ("numbers<2",), "other": ("numbers",)}, {"frames": ("numbers>=2; extra != 'x'",)}
    fitting = Fitting(versions, needs)
    assert fitting.grown({"frames"}) == {"frames", "numbers"}
    assert fitting.grown({"numbers"}) == {"frames", "numbers"}
    assert fitting.grown({"other"}) == {"other"}
    assert fitting.shrunk({"frames", "other"}) == {"other"}
    assert fitting.shrunk({"numbers"}) == set()


def test_what_never_fitted_keeps_nothing_together() -> None:
    versions = {"frames": ("1", "2"), "numbers": ("1", "2")}
    fitting = Fitting(versions, ({"frames": ("numbers==9", "not a requirement !")}, {}))
    assert fitting.grown({"frames"}) == {"frames"}


def test_what_packages_say(tmp_path: Path) -> None:
    folder = tmp_path / "Some_Thing-1.dist-info"
    folder.mkdir()
    text = "Name: Some_Thing\nVersion: 1\nRequires-Dist: numbers>=2\n\nRequires-Dist: not this\n"
    (folder / "METADATA").write_text(text, "utf-8")
    assert needs_of(tmp_path) == {"some-thing": ("numbers>=2",)}
