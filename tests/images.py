"""Base images for tests, made without a registry: Debian's packages, the same bytes each time.

https://manpages.debian.org/mmdebstrap
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from reproof.base.files import locked

#: What the files of the image are dated with.
EPOCH = "1700000000"

#: Name of the base image in an engine.
BASE = "reproof-test-base:2"

_PACKAGES = "python3-venv,python3-distutils,ca-certificates"
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def base_archive() -> Path:
    """A root file system with Python as a tar archive; made once for all workers and sessions (25 to 50 s).

    It is kept in REPROOF_TEST_CACHE. Needs root and mmdebstrap.
    """
    cache = Path(os.environ.get("REPROOF_TEST_CACHE") or Path.home() / ".cache" / "reproof-tests")
    archive = cache / "base-image-2.tar"
    with locked(archive.with_name("base-image.lock")):
        if not archive.exists():
            part = archive.with_name(f"{archive.name}.part.tar")
            command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={_PACKAGES}", "--mode=root"]
            command += [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
            environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
            done = subprocess.run(
                [*command, _suite(), part], env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            part.rename(archive)
    return archive


def import_base(engine: str = "docker") -> str:
    """The base image in an engine, imported when it is not there; returns its name."""
    with locked(base_archive().with_name("base-import.lock")):
        known = subprocess.run([engine, "image", "inspect", BASE], capture_output=True, check=False)
        if known.returncode != 0:
            subprocess.run([engine, "import", base_archive(), BASE], check=True, capture_output=True)
    return BASE


def can_be_made() -> bool:
    """Whether this machine can make the archive, or has it."""
    return os.geteuid() == 0 and shutil.which("mmdebstrap") is not None


def _suite() -> str:
    """The release of Debian that this machine runs; its package sources are reachable."""
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    facts = dict(line.split("=", 1) for line in lines if "=" in line)
    return facts.get("VERSION_CODENAME", "stable").strip('"')
