"""What hydra writes beside a program's own files: the paths of the project, and the times in its log.

Only where hydra itself writes them, in its own form: ``runtime.cwd``, ``runtime.output_dir`` and the ``path`` of
configuration sources in ``.hydra/hydra.yaml`` and in the ``multirun.yaml`` above them
(https://hydra.cc/docs/tutorials/basic/running_your_app/multi-run/), and the time at the start of lines in logs beside
``.hydra`` (its default format: https://hydra.cc/docs/configure_hydra/logging/).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

_FIELD = re.compile(rb"^(?P<head>    (?:cwd|output_dir|- path): )(?P<value>\S.*)$", re.MULTILINE)
_CWD = re.compile(rb"^    cwd: (?P<value>\S.*)$", re.MULTILINE)
_STAMP = re.compile(rb"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\](?=\[)", re.MULTILINE)
_LARGEST = 64 << 20

PATHS = "paths of the project in .hydra/hydra.yaml"
SWEEP_PATHS = "paths of the project in multirun.yaml"
STAMPS = "times of lines in a log of hydra"


def kind_of(name: str, beside: frozenset[str]) -> str | None:
    """What there is to be set aside in a file: PATHS, SWEEP_PATHS, STAMPS or None.

    Args:
        name: Of the file, as recorded.
        beside: Names of everything that the run made.
    """
    path = PurePosixPath(name)
    if path.parts[-2:] == (".hydra", "hydra.yaml"):
        return PATHS
    if path.name == "multirun.yaml" and _is_sweep(path.parent, beside):
        return SWEEP_PATHS
    if path.suffix == ".log" and str(path.parent / ".hydra" / "hydra.yaml") in beside:
        return STAMPS
    return None


def _is_sweep(folder: PurePosixPath, beside: frozenset[str]) -> bool:
    """Whether a run of hydra wrote below a folder: its programs have their ``.hydra`` in folders of their own."""
    return any(
        PurePosixPath(name).parts[-2:] == (".hydra", "hydra.yaml")
        and folder in PurePosixPath(name).parents[2:]
        for name in beside
    )


def set_aside(path: Path, kind: str, timeless: Callable[[str], str]) -> bool:
    """Rewrite a private copy without what `kind` says; returns whether anything was.

    Args:
        path: The copy.
        kind: Of :func:`kind_of`.
        timeless: Replaces the times of its run in a path.
    """
    if path.stat().st_size > _LARGEST:
        return False
    data = path.read_bytes()
    plain = _STAMP.sub(b"[time]", data) if kind == STAMPS else _without_paths(data, timeless)
    if plain == data:
        return False
    path.unlink()
    path.write_bytes(plain)
    return True


def _without_paths(data: bytes, timeless: Callable[[str], str]) -> bytes:
    match = _CWD.search(data)
    if match is None:
        return data
    own = match["value"]

    def said(field: re.Match[bytes]) -> bytes:
        value = field["value"]
        if value != own and not value.startswith(own + b"/"):
            return field[0]
        rest = value[len(own) :].decode("utf-8", "surrogateescape")
        return field["head"] + b"{project}" + timeless(rest).encode("utf-8", "surrogateescape")

    return _FIELD.sub(said, data)
