"""Addresses are MLflow's own, absolute, and free of secrets where they can be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from reproof.tracking.address import parse, resolve, without_secrets
from reproof.tracking.installation import Installation

HERE = Path("/cwd")


@pytest.mark.parametrize(
    ("text", "kind", "uri", "path"),
    [
        ("http://host:5000/", "rest", "http://host:5000", None),
        ("https://me:secret@host/mlflow", "rest", "https://host/mlflow", None),
        ("HTTP://host", "rest", "HTTP://host", None),
        ("sqlite:///mlflow.db", "sqlite", "sqlite:////cwd/mlflow.db", "/cwd/mlflow.db"),
        ("sqlite:////a b%20/x.db?timeout=3", "sqlite", "sqlite:////a b%20/x.db?timeout=3", "/a b%20/x.db"),
        ("sqlite+pysqlite:///x.db", "sqlite", "sqlite+pysqlite:////cwd/x.db", "/cwd/x.db"),
        ("sqlite://", "other", "sqlite://", None),
        ("sqlite:///:memory:", "other", "sqlite:///:memory:", None),
        ("./mlruns", "file", "file:///cwd/mlruns", "/cwd/mlruns"),
        ("/some where", "file", "file:///some%20where", "/some where"),
        ("file:mlruns", "file", "file:///cwd/mlruns", "/cwd/mlruns"),
        ("file:///a%20b", "file", "file:///a%20b", "/a b"),
        ("databricks", "other", "databricks", None),
        ("databricks://profile", "other", "databricks://profile", None),
        ("postgresql+psycopg2://me:secret@db/x?password=y", "database", "postgresql+psycopg2://db/x", None),
    ],
)
def test_reads_what_mlflow_reads(text: str, kind: str, uri: str, path: str | None) -> None:
    address = parse(text, HERE)
    assert (address.kind, address.uri) == (kind, uri)
    assert address.path == (Path(path) if path else None)
    assert "secret" not in repr(address)


def test_the_option_wins_over_the_environment(tmp_path: Path) -> None:
    environment = {"MLFLOW_TRACKING_URI": "http://environment"}
    option = resolve("http://option", environment, tmp_path)
    assert (option.uri, option.source) == ("http://option", "option")
    named = resolve(None, environment, tmp_path)
    assert (named.uri, named.source) == ("http://environment", "environment")


def installed(tmp_path: Path, constant: str) -> Installation:
    folder = tmp_path / "mlflow" / "store" / "tracking"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(f'DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH = "./mlruns"\n{constant}\n')
    return Installation(Path("python"), "3", tmp_path / "mlflow", databases=True)


def test_the_default_is_that_of_the_projects_mlflow(tmp_path: Path) -> None:
    old = installed(tmp_path / "old", "")
    new = installed(tmp_path / "new", 'DEFAULT_TRACKING_URI = "sqlite:///mlflow.db"')
    assert resolve(None, {}, tmp_path, old).path == tmp_path / "mlruns"
    assert resolve(None, {}, tmp_path, new).path == tmp_path / "mlflow.db"
    assert resolve(None, {"MLFLOW_TRACKING_URI": ""}, tmp_path).path == tmp_path / "mlflow.db"


@pytest.mark.parametrize(
    ("name", "counts"), [("0", True), ("123", True), ("models", False), (".trash", False), ("0x", False)]
)
def test_existing_experiments_in_mlruns_keep_the_default_there(
    tmp_path: Path, name: str, counts: bool
) -> None:
    (tmp_path / "mlruns" / name).mkdir(parents=True)
    assert resolve(None, {}, tmp_path).kind == "sqlite"
    (tmp_path / "mlruns" / name / "meta.yaml").touch()
    assert (resolve(None, {}, tmp_path).kind == "file") is counts


def test_secrets_are_taken_out_anywhere() -> None:
    assert without_secrets("see http://a:b@c/d and mysql://e@f") == "see http://c/d and mysql://f"
