from __future__ import annotations

import resource
from pathlib import Path

from reproof.base.containers import Engine
from reproof.execute.docker import _own_limits


def test_podman_is_asked_for_no_more_than_we_may_have() -> None:
    """Its own defaults are higher than the hard limits of many machines; the runtime then refuses to start."""
    words = _own_limits(Engine(Path("/usr/bin/podman")))
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if files != resource.RLIM_INFINITY:
        assert f"nofile={files}:{files}" in words
    assert all(int(word.partition("=")[2].partition(":")[0]) >= 1 for word in words[1::2])
    assert _own_limits(Engine(Path("/usr/bin/docker"))) == []
