from __future__ import annotations

import os

import pytest

from reproof.environment.manifest import changed_since, write_manifest


@pytest.fixture
def folder(tmp_path):
    site = tmp_path / "env" / "site"
    site.mkdir(parents=True)
    (site / "a.py").write_text("a")
    (site / "link").symlink_to("a.py")
    write_manifest(tmp_path / "env", site)
    return tmp_path / "env"


def hows(folder):
    return {change.path: change.how for change in changed_since(folder, folder / "site")}


def test_nothing_changed(folder):
    assert hows(folder) == {}


def test_an_edit_that_keeps_size_and_time(folder):
    path = folder / "site" / "a.py"
    state = path.stat()
    path.write_text("b")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert hows(folder) == {"a.py": "changed"}


def test_a_link_that_points_elsewhere(folder):
    (folder / "site" / "link").unlink()
    (folder / "site" / "link").symlink_to("/etc/passwd")
    assert hows(folder) == {"link": "changed"}


def test_outside_the_packages(folder):
    (folder / "pyvenv.cfg").write_text("home = /elsewhere\n")
    assert hows(folder) == {"../pyvenv.cfg": "added"}


def test_a_file_replaced_by_its_copy_renews_the_manifest(folder):
    before = (folder / "reproof-manifest").read_bytes()
    path = folder / "site" / "a.py"
    path.unlink()
    path.write_text("a")
    assert hows(folder) == {}
    assert (folder / "reproof-manifest").read_bytes() != before


def test_bytecode_does_not_count(folder):
    cache = folder / "site" / "__pycache__"
    cache.mkdir()
    (cache / "a.pyc").write_text("x")
    (folder / "site" / "old.pyc").write_text("x")
    assert hows(folder) == {}


@pytest.mark.parametrize("content", [None, b"garbage"])
def test_without_a_manifest_nothing_is_sure(folder, content):
    (folder / "reproof-manifest").unlink()
    if content:
        (folder / "reproof-manifest").write_bytes(content)
    assert hows(folder) == {"reproof-manifest": "missing"}
