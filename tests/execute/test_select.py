from __future__ import annotations

import pytest

from reproof.errors import ExecutionError
from reproof.execute import bubblewrap, choose


@pytest.fixture
def nothing_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    bubblewrap.probe.cache_clear()
    yield
    bubblewrap.probe.cache_clear()


@pytest.mark.parametrize("level", ["none", "process"])
def test_levels_without_a_sandbox(level):
    choice = choose(level)
    assert (choice.level, choice.runner.level) == (level, level)


@pytest.mark.needs("bwrap")
@pytest.mark.parametrize("isolation", ["auto", "bubblewrap"])
def test_the_best_there_is(isolation):
    choice = choose(isolation)
    assert (choice.level, choice.reason) == ("bubblewrap", "")


@pytest.mark.usefixtures("nothing_installed")
def test_auto_goes_on_at_the_lower_level_and_says_why():
    choice = choose("auto")
    assert choice.level == "process"
    assert choice.reason == "`bwrap` is not installed (apt-get install bubblewrap)"


@pytest.mark.usefixtures("nothing_installed")
def test_what_was_asked_for_by_name_is_had_or_refused():
    with pytest.raises(ExecutionError, match="cannot isolate by bubblewrap here") as caught:
        choose("bubblewrap")
    assert caught.value.hint == "pass `--isolation process`"


def test_a_kernel_that_forbids_it(monkeypatch, tmp_path):
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    bubblewrap.probe.cache_clear()
    try:
        reason = choose("auto").reason
        assert (
            reason == "the kernel forbids user namespaces here (bwrap: setting up uid map: Permission denied)"
        )
    finally:
        bubblewrap.probe.cache_clear()
