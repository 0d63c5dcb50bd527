"""What a run read of the caches below HOME: recorded, restored at its place, and never with credentials."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from projects import Project

RUN = ("run", "--env-manager", "local", "--", "python", "train.py")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SETTINGS = "[tool.reproof]\n"

READS = """
import os, pathlib, subprocess
home = pathlib.Path(os.environ["HOME"])
hub = home / ".cache/huggingface/hub/models--org--tiny"
commit = (hub / "refs/main").read_text()
snapshot = hub / "snapshots" / commit
config = snapshot / "config.json"
assert config.is_symlink() and not (hub / ".no_exist" / commit / "other.json").stat().st_size
# past Python, as safetensors does
weights = subprocess.run(["cat", snapshot / "model.safetensors"], capture_output=True, check=True).stdout
words = (home / "nltk_data/corpora/words.txt").read_text()
for name in (".netrc", ".cache/huggingface/token"):
    if (home / name).exists():
        (home / name).read_text()
open("result.txt", "w").write(config.read_text() + weights.decode() + words)
"""


def hub(cache: Path) -> Path:
    """A repository as the hub's client lays it out, with one file that is of no interest."""
    top = cache / "hub/models--org--tiny"
    for folder in ("refs", "blobs", f"snapshots/{COMMIT}", f".no_exist/{COMMIT}"):
        (top / folder).mkdir(parents=True)
    (top / "refs/main").write_text(COMMIT)
    for name, content in {"config.json": "{}", "model.safetensors": "weights", "README.md": "words"}.items():
        (top / "blobs" / f"of-{name}").write_text(content)
        (top / "snapshots" / COMMIT / name).symlink_to(f"../../blobs/of-{name}")
    (top / ".no_exist" / COMMIT / "other.json").touch()
    return top


def furnish(project: Project) -> Path:
    home = Path(project.env["HOME"])
    project.env.pop("XDG_CACHE_HOME", None)
    hub(home / ".cache/huggingface")
    (home / "nltk_data/corpora").mkdir(parents=True)
    (home / "nltk_data/corpora/words.txt").write_text("a b c")
    (home / "nltk_data/corpora/others.txt").write_text("d e f")
    (home / ".netrc").write_text("machine example.org login me password pass-word-canary")
    (home / ".cache/huggingface/token").write_text("token-canary")
    return home


def materials(project: Project) -> dict[str, Any]:
    return {each["name"]: each for each in project.record()["materials"]}


def test_what_is_read_below_home_is_restored_at_its_place(plain: Project) -> None:
    home = furnish(plain)
    plain.write("train.py", READS)
    plain.commit()
    plain.reproof(*RUN, expect=0)
    found = materials(plain)
    inside = "${HOME}/.cache/huggingface/hub/models--org--tiny"
    assert {name for name in found if name.startswith("${HOME}")} == {
        f"{inside}/refs/main",
        f"{inside}/snapshots/{COMMIT}/config.json",
        f"{inside}/snapshots/{COMMIT}/model.safetensors",
        f"{inside}/.no_exist/{COMMIT}/other.json",
        "${HOME}/nltk_data/corpora/words.txt",
    }
    assert (
        found[f"{inside}/snapshots/{COMMIT}/model.safetensors"]["target"]
        == "../../blobs/of-model.safetensors"
    )
    record = plain.record()
    refused = [each["subject"] for each in record["omissions"] if "credentials" in each["reason"]]
    assert refused == ["${HOME}/.cache/huggingface/token", "${HOME}/.netrc"]
    everything = b"".join(
        path.read_bytes() for path in (plain.folder / ".reproof").rglob("*") if path.is_file()
    )
    assert b"canary" not in everything
    verdict = plain.verify(expect=0)
    assert verdict["outcome"] == 0
    notes = [each.get("note") or "" for each in verdict["conditions"] if each["name"] == "model cache"]
    assert "`HF_HUB_OFFLINE=1`" in notes[0]
    assert (home / ".netrc").exists()


def test_a_cache_that_is_kept_may_go(plain: Project) -> None:
    home = furnish(plain)
    plain.write("train.py", READS)
    plain.commit()
    plain.reproof(*RUN, expect=0)
    said = plain.reproof("keep", str(home / ".cache/huggingface"), expect=2).err
    assert "it may hold credentials" in said
    assert "`${HOME}/.cache/huggingface/token`" in said
    plain.reproof("keep", str(home / ".cache/huggingface/hub"), expect=0)
    plain.reproof("keep", str(home / "nltk_data"), expect=0)
    shutil.rmtree(home / ".cache/huggingface")
    shutil.rmtree(home / "nltk_data")
    assert plain.verify(expect=0)["outcome"] == 0


def test_a_cached_file_that_changed_since_is_named(plain: Project) -> None:
    home = furnish(plain)
    plain.write("train.py", READS)
    plain.commit()
    plain.reproof(*RUN, expect=0)
    (home / "nltk_data/corpora/words.txt").write_text("other")
    said = plain.reproof("verify", expect=2).err
    assert "`${HOME}/nltk_data/corpora/words.txt`" in said
    assert "content has changed" in said


def test_what_is_fetched_into_a_cache_by_the_run_is_an_input_of_it(plain: Project) -> None:
    """The first run downloads, the second must not have to."""
    furnish(plain)
    code = """
import os, pathlib
hub = pathlib.Path(os.environ["HOME"]) / ".cache/huggingface/hub/models--org--new"
link = hub / "snapshots/abc/config.json"
if not link.exists():
    if os.environ.get("ROOM"):
        raise SystemExit("no network here")
    for folder in ("blobs", "snapshots/abc", "refs"):
        (hub / folder).mkdir(parents=True)
    (hub / "blobs/1.incomplete").write_text("{}")
    (hub / "blobs/1.incomplete").rename(hub / "blobs/1")
    link.symlink_to("../../blobs/1")
    (hub / "refs/main").write_text("abc")
assert (hub / "refs/main").read_text() == "abc"
open("result.txt", "w").write(link.read_text())
"""
    plain.write("train.py", code)
    plain.commit()
    said = plain.reproof(*RUN, expect=0)
    assert "changed during the run" not in said.err
    found = materials(plain)
    note = found["${HOME}/.cache/huggingface/hub/models--org--new/snapshots/abc/config.json"]["note"]
    assert note == "fetched into a cache while the run went on"
    assert plain.verify(expect=0)["outcome"] == 0


@pytest.mark.needs("bwrap")
def test_a_cache_elsewhere_is_read_where_it_is(plain: Project, tmp_path: Path) -> None:
    top = hub(tmp_path / "elsewhere")
    code = READS.replace('home / ".cache/huggingface/hub', 'pathlib.Path(os.environ["HF_HOME"]) / "hub')
    code = code.replace("config.is_symlink() and ", "")  # bound there, each for itself
    code = code.replace('(home / "nltk_data/corpora/words.txt").read_text()', '""')
    plain.write("train.py", code)
    plain.commit()
    plain.env.update(HF_HOME=str(tmp_path / "elsewhere"), NLTK_DATA=str(tmp_path / "not-there"))
    plain.reproof(*RUN, expect=0)
    assert f"{top}/snapshots/{COMMIT}/model.safetensors" in materials(plain)
    assert plain.record()["environment"]["variables"]["HF_HOME"] == str(tmp_path / "elsewhere")
    plain.write("train.py", code)
    assert plain.verify("--isolation", "bubblewrap", expect=0)["outcome"] == 0
