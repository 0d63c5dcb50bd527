from __future__ import annotations

import hashlib
import json
import os
from base64 import urlsafe_b64encode

import blake3
import pytest

from reproof.environment.equivalents import Equivalents
from reproof.environment.installed import (
    built_from_source,
    changed_files,
    content_digest,
    edited_files,
    list_distributions,
)
from reproof.environment.recorded import read_record

HELLO = "sha256=LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"  # of "hello"


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()

    def add(name, rows, version="1.0", **files):
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: not this\n"
        )
        (info / "RECORD").write_text("".join(f"{row}\n" for row in rows))
        for file, text in files.items():
            (info / f"{file}.json").write_text(json.dumps(text))
        return info

    folder_and_add = type("Site", (), {"folder": folder, "add": staticmethod(add)})
    (folder / "a.py").write_text("hello")
    return folder_and_add


def test_a_distribution_is_read_from_its_folder(site):
    site.add(
        "My_Package",
        [f"a.py,{HELLO},5"],
        direct_url={
            "url": "https://u:p@example.org/p.git",
            "vcs_info": {"vcs": "git", "commit_id": "c0ffee"},
        },
    )
    (item,) = list_distributions([site.folder])
    assert (item.name, item.version) == ("my-package", "1.0")
    assert item.source == "git+https://example.org/p.git@c0ffee"
    assert not item.editable


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("file:///p/project", "${PROJECT}"),
        ("file:///p/project/lib", "${PROJECT}/lib"),
        ("file:///p/projects", "file:///p/projects"),
        ("file:///p", "file:///p"),
    ],
)
def test_sources_within_the_project_have_no_machine_in_them(site, address, source):
    from pathlib import Path

    site.add("pkg", [], direct_url={"url": address, "dir_info": {"editable": True}})
    (item,) = list_distributions([site.folder], Path("/p/project"))
    assert (item.source, item.editable) == (source, True)


def test_sources_beside_the_project_in_its_repository_neither(site, tmp_path):
    project = tmp_path / "top/packages/app"
    project.mkdir(parents=True)
    (tmp_path / "top/.git").mkdir()
    for name, place in (("near", "top/packages/near"), ("whole", "top"), ("far", "far")):
        site.add(name, [], direct_url={"url": f"file://{tmp_path}/{place}", "dir_info": {"editable": True}})
    found = {item.name: item.source for item in list_distributions([site.folder], project)}
    assert found == {
        "near": "${PROJECT}/../near",
        "whole": "${PROJECT}/../..",
        "far": f"file://{tmp_path}/far",
    }


def test_the_content_digest_does_not_depend_on_the_installer(site):
    rows = [f"a.py,{HELLO},5", f'"b,c.py",{HELLO},5']
    one = site.add("one", [*rows, "one-1.0.dist-info/RECORD,,"])
    extra = [
        f"../../../bin/go,{HELLO},5",
        f"two-1.0.dist-info/INSTALLER,{HELLO},5",
        "__pycache__/a.pyc,,",
        f"a.pyc,{HELLO},5",
    ]
    two = site.add("two", [*extra, *reversed(rows)])
    assert content_digest(one) == content_digest(two)
    three = site.add("three", rows[:1])
    assert content_digest(three) != content_digest(one)


def test_the_first_folder_wins(site, tmp_path):
    site.add("pkg", [], version="2.0")
    other = tmp_path / "other" / "pkg-1.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Name: pkg\nVersion: 1.0\n")
    assert [item.version for item in list_distributions([other.parent, site.folder])] == ["1.0"]


def test_eggs_are_listed_without_a_record(site):
    (site.folder / "old-0.1.egg-info").write_text("Metadata-Version: 1.1\nName: old\nVersion: 0.1\n")
    (site.folder / "broken-0.1.dist-info").mkdir()
    assert [
        (item.name, item.record) for item in list_distributions([site.folder, site.folder / "nowhere"])
    ] == [("old", None)]


@pytest.mark.parametrize(
    ("row", "how"),
    [
        (f"a.py,{HELLO},5", None),
        ("a.py,,", None),
        ("a.py,sha256=AAAA,5", "changed"),
        ("a.py,sha256=!!!,5", "changed"),
        ("a.py,md6=AAAA,5", None),
        ("a.py,shake_128=AAAA,5", None),
        (f"b.py,{HELLO},5", "missing"),
        (f"folder,{HELLO},5", "missing"),
    ],
)
def test_files_against_their_record(site, row, how):
    (site.folder / "folder").mkdir()
    site.add("pkg", [row])
    assert [change.how for change in changed_files(site.folder)] == ([how] if how else [])


def test_large_files_are_read_whole(site):
    (site.folder / "big").write_bytes(b"x" * (3 << 20))
    site.add("pkg", ["big,sha256=mT5BdE0_fnV0k3v5bJhXVe7pOTUrHPrSZVcUOJkkV7U,1"])
    assert [str(change) for change in changed_files(site.folder)] == ["`big` of pkg changed"]


def test_a_hard_link_is_told(site, tmp_path):
    site.add("pkg", [f"a.py,{HELLO},5"])
    os.link(site.folder / "a.py", tmp_path / "elsewhere")
    assert [change.how for change in changed_files(site.folder)] == ["shared"]


def test_one_owner_that_agrees_is_enough(site):
    site.add("one", [f"a.py,{HELLO},5"])
    site.add("two", ["a.py,sha256=AAAA,5"])
    assert changed_files(site.folder) == []


def test_edits_are_found_by_size_and_age(site):
    site.add("a", [f"a.py,{HELLO},5", f"gone.py,{HELLO},5"])
    (missing,) = edited_files([site.folder])
    assert (missing.path, missing.how, missing.now) == ("gone.py", "missing", "")
    (site.folder / "a.py").write_text("hullo")
    assert [each.path for each in edited_files([site.folder])] == ["gone.py"]
    os.utime(site.folder / "a.py", (2**32, 2**32))
    by_path = {each.path: each for each in edited_files([site.folder])}
    assert by_path["a.py"].now == hashlib.sha256(b"hullo").hexdigest()
    (site.folder / "a.py").write_text("hello")
    os.utime(site.folder / "a.py", (2**32, 2**32))
    assert [each.path for each in edited_files([site.folder])] == ["gone.py"]  # younger, and the same


def test_what_two_distributions_brought_is_known_from_the_one_that_came_last(site):
    first = site.add("first", ["a.py,sha256=AAAA,900000000"])
    last = site.add("last", [f"a.py,{HELLO},5"])
    (found,) = edited_files([site.folder])
    assert (found.distribution, found.how) == ("first", "changed")
    assert found.now == hashlib.sha256(b"hello").hexdigest()
    (site.folder / "a.py").write_text("hullo")  # of neither
    os.utime(site.folder / "a.py", (2**32, 2**32))
    assert {(each.distribution, each.now) for each in edited_files([site.folder])} == {
        (name, hashlib.sha256(b"hullo").hexdigest()) for name in ("first", "last")
    }
    (first / "RECORD").unlink()
    (last / "RECORD").unlink()
    assert edited_files([site.folder]) == []


def test_undecodable_names_survive(site):
    info = site.add("pkg", [])
    (info / "RECORD").write_bytes(b"caf\xe9.py," + HELLO.encode() + b",5\n")
    assert read_record(info)[0].path == "caf\udce9.py"
    assert content_digest(info) is not None
    assert changed_files(site.folder)[0].how == "missing"


def test_a_record_that_changed_is_read_anew(site):
    info = site.add("pkg", [f"a.py,{HELLO},5"])
    assert [entry.path for entry in read_record(info)] == ["a.py"]
    (info / "RECORD").write_text(f"a.py,{HELLO},5\nb.py,{HELLO},5\n")
    assert [entry.path for entry in read_record(info)] == ["a.py", "b.py"]
    (info / "RECORD").unlink()
    assert read_record(info) == ()


def test_what_was_built_here(site):
    site.add("gamma", [], uv_build={})
    site.add("local", [], uv_build={}, direct_url={"url": "file:///x"})
    assert built_from_source(site.folder) == ("gamma==1.0",)


@pytest.fixture
def large(site, tmp_path, monkeypatch):
    """A large file, and what is known after it was digested for the first time."""
    monkeypatch.setenv("REPROOF_CACHE_DIR", str(tmp_path / "cache"))
    content = bytes(3 << 18)
    (site.folder / "big").write_bytes(content)
    digest = urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    site.add("pkg", [f"big,sha256={digest},{len(content)}"])
    known = Equivalents()
    assert changed_files(site.folder, known) == []
    known.save()
    return site


def test_content_that_was_met_before_is_recognised(large):
    known = Equivalents()
    assert known.find(hashlib.sha256(bytes(3 << 18)).digest()) == blake3.blake3(bytes(3 << 18)).digest()
    assert changed_files(large.folder, known) == []


@pytest.mark.parametrize("place", [0, 1 << 18, -1])
def test_an_edit_of_what_was_met_before_is_seen(large, place):
    content = bytearray(3 << 18)
    content[place] = 1
    (large.folder / "big").write_bytes(content)
    assert [str(change) for change in changed_files(large.folder, Equivalents())] == ["`big` of pkg changed"]


def test_a_wrong_pair_raises_no_alarm(large):
    known, digest = Equivalents(), hashlib.sha256(bytes(3 << 18)).digest()
    known.learn(digest, b"wrong")
    assert changed_files(large.folder, known) == []
    assert known.find(digest) != b"wrong"


def test_what_others_learned_meanwhile_is_kept(large):
    one, other = Equivalents(), Equivalents()
    one.learn(b"1", b"one")
    other.learn(b"2", b"two")
    one.save()
    other.save()
    both = Equivalents()
    assert (both.find(b"1"), both.find(b"2")) == (b"one", b"two")


def test_a_damaged_file_of_pairs_is_none(large, tmp_path):
    (tmp_path / "cache" / "equivalent-digests").write_bytes(b"damaged")
    assert changed_files(large.folder, Equivalents()) == []
