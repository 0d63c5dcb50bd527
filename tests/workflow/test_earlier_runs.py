"""Artifacts of earlier MLflow runs that a run read are known, and stop a re-run that would lack them."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from reproof.base.naming import Naming
from reproof.errors import MaterialError
from reproof.model.record import CodeSection, ProjectSection, Record, Tool
from reproof.workflow.earlier_runs import artifacts_read, require_none

RECORD = Record(
    tool=Tool(version="1"),
    state="finished",
    created="",
    nonce="",
    project=ProjectSection(name="p", command="c"),
    code=CodeSection(commit="a", tree="b"),
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "mlruns/1/models/m-1/artifacts/model.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"model")
    os.utime(path, (1000, 1000))
    return path


def test_what_was_there_before_counts(tmp_path: Path, model: Path) -> None:
    naming = Naming(top=str(tmp_path), home="/nowhere")
    other = tmp_path / "mlruns/1/meta.yaml"
    other.write_text("x")
    read = artifacts_read(
        [str(model), str(other), str(model) + "x"], [str(tmp_path / "mlruns")], naming, 2000
    )
    assert [(each.name, each.origin, each.size) for each in read] == [
        ("mlruns/1/models/m-1/artifacts/model.pkl", "mlflow", 5)
    ]
    with pytest.raises(MaterialError, match="earlier MLflow runs") as caught:
        require_none(msgspec.structs.replace(RECORD, materials=tuple(read)))
    assert "model.pkl" in caught.value.details[0][1]


def test_what_the_run_wrote_itself_does_not(tmp_path: Path, model: Path) -> None:
    naming = Naming(top=str(tmp_path), home="/nowhere")
    assert artifacts_read([str(model)], [str(tmp_path / "mlruns")], naming, 500) == []
    require_none(RECORD)
