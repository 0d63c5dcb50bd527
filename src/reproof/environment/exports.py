"""A lock in the formats of other tools: requirements with hashes, pylock.toml."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reproof.environment.requirements import read_lines
from reproof.environment.uv import explain, run_uv, uv_environment
from reproof.errors import EnvironmentBuildError
from reproof.model.record import Lock

#: Where a generated file says what it was made from.
_HEAD = "# the environment of a recorded run, from `{source}`\n"


def requirements(lock: Lock, text: str, project: bytes | None, options: Sequence[str] = ()) -> str:
    """Requirements with hashes: what ``pip install --require-hashes --no-deps -r`` takes.

    Args:
        lock: What the record says of the lock.
        text: The lock itself.
        project: The pyproject.toml that a uv.lock belongs to.
        options: Groups and extras of a uv.lock, as ``uv export`` takes them.

    Raises:
        EnvironmentBuildError: uv cannot read the lock.
    """
    head = _HEAD.format(source=lock.source)
    if lock.format == "requirements":
        return head + text
    if lock.format == "uv.lock":
        return head + _of_uv(text, project, "requirements-txt", options)
    return head + "".join(f"{line}\n" for line in _of_pylock(text))


def pylock(lock: Lock, text: str, project: bytes | None, python: str, options: Sequence[str] = ()) -> str:
    """``pylock.toml`` (PEP 751), with the addresses of files where the index is asked for them.

    Args:
        lock: What the record says of the lock.
        text: The lock itself.
        project: The pyproject.toml that a uv.lock belongs to.
        python: Version of Python that it is for.
        options: Groups and extras of a uv.lock, as ``uv export`` takes them.

    Raises:
        EnvironmentBuildError: uv cannot read the lock, or a file is in none of the indexes.
    """
    if lock.format == "pylock.toml":
        return text
    if lock.format == "uv.lock":
        return _of_uv(text, project, "pylock.toml", options)
    lines = [line for line in read_lines(text.splitlines(), Path("/"), lock.source) if line.requirement]
    with tempfile.TemporaryDirectory(prefix="reproof-export-") as place:
        source = Path(place) / "requirements.in"
        source.write_text("".join(f"{line.render()}\n" for line in lines), "utf-8")
        words = [
            "pip",
            "compile",
            str(source),
            "--no-deps",
            "--format",
            "pylock.toml",
            "--no-header",
            "--quiet",
        ]
        done = run_uv(*words, "--python-version", python, "--no-annotate", cwd=Path(place))
        if not done.ok:
            raise explain(done, "find the files of the lock", lock.source)
        return done.text


def _of_uv(text: str, project: bytes | None, form: str, options: Sequence[str]) -> str:
    if project is None:
        raise EnvironmentBuildError("the commit has no pyproject.toml for its `uv.lock`")
    with tempfile.TemporaryDirectory(prefix="reproof-export-") as place:
        folder = Path(place)
        (folder / "uv.lock").write_text(text, "utf-8")
        (folder / "pyproject.toml").write_bytes(project)
        words = ["export", "--frozen", "--offline", "--no-emit-project", "--no-header", "--format", form]
        done = run_uv(*words, *options, cwd=folder, env=uv_environment())
        if not done.ok:
            raise explain(done, "read the lock", "uv.lock")
        return done.text


def _of_pylock(text: str) -> Iterator[str]:
    for package in tomllib.loads(text).get("packages", []):
        hashes = sorted({value for file in _files(package) for value in _hashes(file)})
        if package.get("version") and hashes:
            marker = f" ; {package['marker']}" if package.get("marker") else ""
            yield " \\\n    ".join(
                [f"{package['name']}=={package['version']}{marker}", *(f"--hash={each}" for each in hashes)]
            )
        elif "vcs" in package:
            vcs = package["vcs"]
            yield f"{package['name']} @ {vcs.get('type', 'git')}+{vcs.get('url')}@{vcs.get('commit-id')}"


def _files(package: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from package.get("wheels", [])
    for key in ("sdist", "archive"):
        if key in package:
            yield package[key]


def _hashes(file: dict[str, Any]) -> Iterator[str]:
    for algorithm, value in file.get("hashes", {}).items():
        if algorithm in ("sha256", "sha384", "sha512"):
            yield f"{algorithm}:{value}"
