"""Interpreters of cached environments: by the names asked for, then the newest first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reproof.workflow.cached import interpreters_with


def test_by_name_and_then_the_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path))
    assert interpreters_with("mlflow") == ()
    made = {
        "skinny": ("mlflow_skinny-3.1.0",),
        "old": ("mlflow-2.9.0", "mlflow_skinny-2.9.0"),
        "new": ("mlflow-3.1.0",),
        "other": ("mlflow_tools-1.0",),
        "broken": ("mlflow-3.1.0",),
    }
    folder = tmp_path / "environments"
    for age, (name, distributions) in enumerate(made.items()):
        for each in distributions:
            (folder / name / f"lib/python3.11/site-packages/{each}.dist-info").mkdir(parents=True)
        if name != "broken":
            (folder / name / "bin").mkdir()
            (folder / name / "bin/python").touch()
        os.utime(folder / name, (age, age))
    found = [path.relative_to(folder).parts[0] for path in interpreters_with("mlflow", "mlflow_skinny")]
    assert found == ["new", "old", "old", "skinny"]
