from __future__ import annotations

import os

import pytest

from reproof.base.programs import Completed
from reproof.environment.uv import cache_folder, explain, find_uv, run_uv, uv_environment


def failed(words):
    return Completed(("uv",), 1, b"", words.encode())


def test_uv_is_the_one_installed_beside_us(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert os.access(find_uv(), os.X_OK)


def test_switches_of_the_user_do_not_reach_uv(monkeypatch):
    for name in (
        "UV_LINK_MODE",
        "UV_NO_VERIFY_HASHES",
        "UV_PROJECT_ENVIRONMENT",
        "VIRTUAL_ENV",
        "PYTHONPATH",
    ):
        monkeypatch.setenv(name, "x")
    for name in ("UV_INDEX_URL", "UV_INDEX_PRIVATE_PASSWORD", "UV_CACHE_DIR", "UV_OFFLINE"):
        monkeypatch.setenv(name, "y")
    env = uv_environment(UV_EXTRA="z")
    assert "x" not in env.values()
    assert [
        env[name] for name in ("UV_INDEX_URL", "UV_INDEX_PRIVATE_PASSWORD", "UV_CACHE_DIR", "UV_OFFLINE")
    ] == ["y"] * 4
    assert (env["UV_PYTHON_DOWNLOADS"], env["UV_EXTRA"]) == ("never", "z")


_REFUSED = (
    "hint: An index URL (https://pack.example/simple) could not be queried due to a lack of valid "
    "authentication credentials\nalpha was not found in the package registry"
)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "Because alpha==1 has no usable wheels and",
            "`alpha==1` has no wheel for this Python and platform, and building it was refused",
        ),
        (
            "Because alpha==1 has no wheels with a matching platform tag",
            "`alpha==1` has no file for this Python and platform",
        ),
        (
            "there is no version of alpha==2 and",
            "`alpha==2` is in none of the indexes: removed, yanked, or never there",
        ),
        (
            "Because alpha was not found in the package registry and you require",
            "`alpha` is in none of the indexes: removed, yanked, or never there",
        ),
        (
            _REFUSED,
            "`alpha` cannot be had: the index `https://pack.example/simple` refuses access",
        ),
        (
            "hint: An index URL (https://pack.example/simple) returned a `403 Forbidden` error.",
            "packages cannot be had: the index `https://pack.example/simple` refuses access",
        ),
        ("Failed to build `alpha==1`\n  cause: x", "cannot build `alpha==1` from source"),
        ("hint: the network was disabled", "cannot install offline: packages are missing from uv's cache"),
        ("error: out of luck", "cannot install"),
    ],
)
def test_complaints_are_translated(words, message):
    error = explain(failed(words), "install", "requirements.txt")
    assert error.message == message
    assert dict(error.details)["uv"] == words


def test_an_index_that_only_pip_knows_is_named(monkeypatch, tmp_path):
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    place = tmp_path / ".config/pip/pip.conf"
    place.parent.mkdir(parents=True)
    place.write_text("[global]\nindex-url = https://me:secret@pack.example/simple\n")
    words = "alpha was not found in the package registry"
    assert f"pip's own settings name an index (`{place}`)" in explain(failed(words), "install", "r.txt").hint
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://me:secret@pack.example/simple")
    hint = explain(failed(words), "install", "r.txt").hint
    assert "(PIP_EXTRA_INDEX_URL)" in hint
    assert "secret" not in hint


def test_complaints_lose_their_secrets():
    error = explain(failed("cannot fetch https://me:secret@example.org/x"), "install", "r.txt")
    assert "secret" not in str(error.details)


def test_the_cache_folder(monkeypatch, tmp_path):
    assert cache_folder().is_absolute()
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path


def test_running_uv(tmp_path):
    assert run_uv("--version", cwd=tmp_path).text.startswith("uv ")
