from __future__ import annotations

import pytest

from reproof.environment import EnvironmentRequest, LockText
from reproof.environment.sources import LocalSource, local_sources, tree_digest, without_traces

UV = """
[[package]]
name = "demo"
source = { editable = "." }
[[package]]
name = "lib"
source = { directory = "lib" }
[[package]]
name = "six"
source = { registry = "https://example.org/simple" }
[[package]]
name = "app"
source = { virtual = "." }
"""
PYLOCK = """
[[packages]]
name = "demo"
directory = { path = ".", editable = true }
[[packages]]
name = "lib"
directory = { path = "lib" }
[[packages]]
name = "six"
version = "1"
"""


@pytest.mark.parametrize(
    ("kind", "text"), [("uv.lock", UV), ("pylock.toml", PYLOCK), ("requirements", "-e .\n./lib\nsix==1\n")]
)
def test_folders_of_each_kind_of_lock(tmp_path, python, kind, text):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "Demo"\n')
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "pyproject.toml").write_text('[project]\nname = "lib"\n')
    lock = LockText(format=kind, text=text, source="lock")
    request = EnvironmentRequest(lock=lock, python=python, folder=tmp_path)
    assert local_sources(request) == [
        LocalSource(path=tmp_path, editable=True, name="demo"),
        LocalSource(path=tmp_path / "lib", editable=False, name="lib"),
    ]


def test_the_state_of_a_folder_is_its_content(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "a.py").write_text("a")
    whole, linked = LocalSource(path=tmp_path, editable=False), LocalSource(path=tmp_path, editable=True)
    states = whole.state, linked.state
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    (tmp_path / "demo.egg-info").mkdir()
    (tmp_path / "demo.egg-info" / "PKG-INFO").write_text("x")
    assert (whole.state, linked.state) == states
    (tmp_path / "a.py").write_text("b")
    assert whole.state != states[0]
    assert linked.state == states[1]
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert linked.state != states[1]


def test_a_local_file_has_a_state(tmp_path):
    (tmp_path / "a.whl").write_bytes(b"1")
    source = LocalSource(path=tmp_path / "a.whl", editable=False)
    before = source.state
    (tmp_path / "a.whl").write_bytes(b"2")
    assert source.state != before
    assert tree_digest(tmp_path) != tree_digest(tmp_path / "nowhere")


def test_traces_of_building_are_removed_and_nothing_else(tmp_path):
    (tmp_path / "own.egg-info").mkdir()
    (tmp_path / "src").mkdir()
    with without_traces([LocalSource(path=tmp_path, editable=True)]):
        for name in ("build", "demo.egg-info", "src/demo.egg-info", "result"):
            (tmp_path / name).mkdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.egg-info", "result", "src"]
    assert list((tmp_path / "src").iterdir()) == []
