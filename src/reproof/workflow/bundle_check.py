"""The check of a bundle when it is made: opened again and, with its data, re-created from in an empty place."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec

from reproof.attest.archive import Bundle
from reproof.base.programs import Completed, call
from reproof.errors import TrustError
from reproof.model.codec import decode_verdict
from reproof.model.event import Emit, Event
from reproof.workflow.bundle import read_contents

#: Variables that a process needs to run at all, and that hold nothing of the project.
_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "PYENV_ROOT", "UV_PYTHON_INSTALL_DIR")


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        word: Word of the verdict on a re-run from the bundle alone; None where only its form was checked.
        place: What kept the re-run from everything else.
    """

    word: str | None = None
    place: str = ""


def check_bundle(path: Path, level: str, top: Path, emit: Emit) -> Checked:
    """Open a bundle as a stranger would.

    Args:
        path: The bundle.
        level: What it holds; with ``data`` the run is re-created from it.
        top: The repository that it was made from, which must not be needed.
        emit: Told about the work.

    Raises:
        TrustError: It does not hold what it should; the words of the attempt are in the details.
    """
    with Bundle(path) as bundle:
        read_contents(bundle)
    if level != "data":
        return Checked()
    emit(
        Event(kind="start", subject="check", message="re-creating the run from the bundle, in an empty place")
    )
    with tempfile.TemporaryDirectory(prefix="reproof-empty-") as folder:
        done, place = _attempt(path.absolute(), Path(folder), top)
        output = Path(folder) / "verdict.json"
        if done.status not in (0, 1, 3) or not output.is_file():
            raise TrustError(
                f"the bundle `{path.name}` is written, but the run cannot be re-created from it alone",
                details=[("attempt", done.complaint)],
                hint="pass `--level code` for a bundle that needs the network, or `--no-check`",
            )
        verdict = decode_verdict(output.read_bytes(), where="verdict of the check")
    emit(Event(kind="finish", subject="check", message=f"re-created from the bundle alone: {verdict.word}"))
    return Checked(word=verdict.word, place=place)


def _attempt(path: Path, folder: Path, top: Path) -> tuple[Completed, str]:
    """`reproof verify BUNDLE --offline` with an empty HOME and caches; without network where that can be had."""
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    env |= {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "REPROOF_CACHE_DIR": str(folder / "cache"),
        "REPROOF_DATA_DIR": str(folder / "data"),
        "REPROOF_CONFIG_DIR": str(folder / "config"),
        "UV_CACHE_DIR": str(folder / "uv"),
        "REPROOF_KEY": "none",
    }
    inside = _without_network(folder, top)
    if inside is not None:  # the bundle may lie in the very project that is hidden
        (folder / "bundle.zip").touch()
        inside += ["--ro-bind", str(path), str(folder / "bundle.zip")]
        path = folder / "bundle.zip"
    command = [
        sys.executable,
        "-m",
        "reproof.cli.main",
        "verify",
        str(path),
        "--offline",
        "--trust",
        "--color",
        "never",
    ]
    command += ["--output-format", "json", "-o", str(folder / "verdict.json")]
    if inside is not None:
        return call([*inside, *command], cwd=folder, env=env), "no network, project and caches hidden"
    return call(command, cwd=folder, env=env), "empty HOME and caches; the network was not prevented"


def _without_network(folder: Path, top: Path) -> list[str] | None:
    """A prefix that takes the network and the project away; None where that cannot be had."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    prefix = [program, "--unshare-net", "--dev-bind", "/", "/"]
    needed = [Path(place).resolve() for place in (sys.prefix, sys.base_prefix, Path(__file__).parents[2])]
    # a project that holds our own interpreter, or the place of the check, cannot be hidden from us
    if not any(place.is_relative_to(top) for place in (*needed, folder)):
        prefix += ["--tmpfs", str(top)]
    test = call([*prefix, "true"])
    return prefix if test.ok else None
