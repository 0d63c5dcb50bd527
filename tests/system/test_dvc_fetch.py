"""Data on a remote that only DVC reads: its own program brings it, and what it brings is verified."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from projects import Project

pytestmark = pytest.mark.needs("dvc")
RUN = ("run", "--env-manager", "local", "--", "python", "train.py")
READER = "open('model.txt', 'w').write('sum of ' + open('data/numbers.txt').read())\n"
#: The real DVC, for which a bucket of the cloud lies on this disk.
CLOUD = """#!/bin/sh
sed -i "s#url = s3://bucket#url = {folder}/bucket#" .dvc/config
exec {python} -m dvc "$@"
"""


@pytest.fixture
def far(make_project: Callable[..., Project]) -> Project:
    """A recorded run whose data is in a bucket alone."""
    project = make_project(
        {"train.py": READER, ".gitignore": "model.txt\n", "data/numbers.txt": "1\n2\n"}, commit=False
    )
    base = project.folder.parent
    dvc = f"{sys.executable} -m dvc"
    project.env["DVC_SITE_CACHE_DIR"] = str(base / "site")
    project.shell(
        f"git init -q && {dvc} init -q && {dvc} remote add -q -d far {base}/bucket"
        f" && {dvc} add -q data/numbers.txt && {dvc} push -q"
        f" && sed -i 's#{base}/bucket#s3://bucket#;s#../../bucket#s3://bucket#' .dvc/config && grep -q s3://bucket .dvc/config"
    )
    project.commit()
    program = project.write("../bin/dvc", CLOUD.format(folder=base, python=sys.executable))
    program.chmod(0o755)
    project.env["PATH"] = f"{program.parent}:{project.env['PATH']}"
    project.reproof(*RUN, expect=0)
    shutil.rmtree(project.folder / ".dvc/cache")
    return project


def stored(project: Project) -> Path:
    (found,) = (project.folder.parent / "bucket/files/md5").glob("??/*")
    return found


def test_what_only_dvc_reads_is_brought_by_it(far: Project) -> None:
    config = (far.folder / ".dvc/config").read_bytes()
    done = far.reproof("verify", expect=0)
    assert "bit for bit the same" in done.out
    assert not (far.folder / ".dvc/cache").exists()  # the user's own cache is not written to
    assert (far.folder / ".dvc/config").read_bytes() == config
    assert far.status() == ""


def test_what_dvc_believes_is_not_believed(far: Project) -> None:
    place = stored(far)
    place.chmod(0o644)
    place.write_text("3\n4\n")
    place.chmod(0o444)
    (far.folder / "data/numbers.txt").unlink()
    refused = far.reproof("verify", expect=2)
    assert "no sound copy of its content is left" in refused.err
    assert "md5:" in refused.err


def test_what_dvc_does_not_bring_is_told(far: Project) -> None:
    stored(far).unlink()
    refused = far.reproof("verify", expect=2)
    assert "`s3` needs DVC itself" in refused.err
    assert "`dvc fetch data/numbers.txt.dvc`, by the project's own DVC" in refused.err
    assert "by the project's own DVC" not in far.reproof("verify", "--offline", expect=2).err
    program = far.folder.parent / "bin/dvc"
    program.write_text("#!/bin/sh\necho 'ERROR: no credentials' >&2; exit 255\n")
    assert "`dvc config --local` failed: ERROR: no credentials" in far.reproof("verify", expect=2).err
