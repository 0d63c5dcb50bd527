"""Datasets arrive in every kind of store, once, with digests and tags that MLflow gives back."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reproof.tracking.address import parse
from reproof.tracking.finish import finish
from reproof.tracking.values import Access, DatasetInput, Finish

pytestmark = pytest.mark.needs("mlflow")

INPUT = DatasetInput(
    name="data/bikes.csv",
    digest="b3:" + "a" * 32,
    source='{"uri": "data/bikes.csv"}',
    tags={"mlflow.data.context": "material", "reproof.blake3": "a" * 64},
)


def check(access: Access, run_id: str | None) -> None:
    from mlflow import MlflowClient

    wanted = Finish(
        record="f" * 64, uri=access.address.uri, run_id=run_id, experiment="inputs", inputs=(INPUT,)
    )
    for _ in range(2):  # once more, as after a failure
        done = finish(wanted, access)
        assert done.status == "written", done.reason
        wanted = Finish(record="f" * 64, uri=access.address.uri, run_id=done.run_id, inputs=(INPUT,))
    (found,) = MlflowClient(tracking_uri=access.address.access).get_run(done.run_id).inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest) == (INPUT.name, INPUT.digest)
    assert found.dataset.source == INPUT.source
    assert {tag.key: tag.value for tag in found.tags} == INPUT.tags


def test_a_database(store3: tuple[Path, str], access_to: Callable[..., Access]) -> None:
    check(access_to(store3[0], Path(sys.executable)), store3[1])


def test_a_file_store(
    files3: tuple[Path, str], access_to: Callable[..., Access], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    check(access_to(files3[0], Path(sys.executable)), files3[1])


def test_a_server(server: str, tmp_path: Path) -> None:
    check(Access(parse(server, tmp_path), dict(os.environ), tmp_path), None)
