"""Another locale: one that is there, or one made of the system's own sources."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reproof.execute import locales
from reproof.execute.locales import OtherLocale, lay_out, other_locale


@pytest.fixture(autouse=True)
def tried_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path / "cache"))
    other_locale.cache_clear()
    yield
    other_locale.cache_clear()


def test_it_writes_numbers_otherwise(tmp_path: Path) -> None:
    found = other_locale()
    if found is None:
        pytest.skip("no locale but C is installed, and none can be made")
    placed = lay_out(found, tmp_path / "room")
    env = {"PATH": os.defpath, "LC_ALL": placed.name}
    if placed.folder is not None:
        assert placed.folder == tmp_path / "room"
        env["LOCPATH"] = str(placed.folder)
        env["LC_ALL"] = placed.name
        said = subprocess.run(
            ["locale", "decimal_point"], env=env, capture_output=True, text=True, check=True
        )
        assert said.stdout.strip() == ","
        other_locale.cache_clear()
        assert other_locale() == found  # from the cache


def test_without_sources_or_programs_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "defpath", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert other_locale() is None
    assert locales._made() is None


def test_one_of_the_system_is_not_copied(tmp_path: Path) -> None:
    assert lay_out(OtherLocale(name="fr_FR.utf8"), tmp_path / "room") == OtherLocale(name="fr_FR.utf8")
    assert not (tmp_path / "room").exists()
