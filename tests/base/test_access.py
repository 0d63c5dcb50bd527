from __future__ import annotations

import os

import pytest

from reproof.base.access import describe, obstacles, this_user, way_to


@pytest.fixture
def tree(tmp_path):
    """Two links, one after the other, that lead to a program."""
    (tmp_path / "deep" / "bin").mkdir(parents=True)
    program = tmp_path / "deep" / "bin" / "tool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "current").symlink_to("deep")
    (tmp_path / "tool").symlink_to(tmp_path / "current" / "bin" / ".." / "bin" / "tool")
    return tmp_path


def test_links_are_followed_step_by_step(tree):
    steps = list(way_to(tree / "tool"))
    assert steps[0].as_posix() == "/"
    assert steps[-1] == tree / "deep" / "bin" / "tool"
    assert tree / "deep" in steps
    assert tree / "current" not in steps


def test_a_way_that_ends_early(tree):
    assert [*way_to(tree / "absent" / "tool")][-1] == tree
    (tree / "loop").symlink_to("loop")
    assert [*way_to(tree / "loop")][-1] == tree


def test_nothing_in_the_way(tree):
    assert obstacles(tree / "tool") == ()
    assert obstacles(tree / "absent") == ()


@pytest.mark.parametrize("name", ["deep", "deep/bin/tool"])
def test_what_is_closed_is_named(tree, name):
    (tree / name).chmod(0o600)
    try:
        assert (tree / name) in obstacles(tree / "tool", unprivileged=True)
        assert describe(tree / name) == f"`{tree / name}` (of user {this_user()}, mode 0600)"
    finally:
        (tree / name).chmod(0o755)


def test_a_file_that_nobody_may_execute_stops_root_too(tree):
    (tree / "deep" / "bin" / "tool").chmod(0o644)
    assert obstacles(tree / "tool") == (tree / "deep" / "bin" / "tool",)


@pytest.mark.skipif(os.getuid() != 0, reason="gives a folder to another user")
def test_the_folder_of_another_user(tree):
    os.chown(tree / "deep", 54321, 54321)
    (tree / "deep").chmod(0o700)
    assert obstacles(tree / "tool") == ()
    assert obstacles(tree / "tool", unprivileged=True) == (tree / "deep",)
    assert describe(tree / "deep") == f"`{tree / 'deep'}` (of user 54321, mode 0700)"
    os.chown(tree / "deep", -1, os.getgid())
    (tree / "deep").chmod(0o710)
    assert obstacles(tree / "tool", unprivileged=True) == ()
