"""The clean environment of a room: which variables a run gets there, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

#: Variables that may decide a result, and hold no secrets: patterns on names. These are recorded
#: with their values, and given to a re-run as they were recorded.
ALLOWED = (
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "PYTHONHASHSEED",
    "PYTHONOPTIMIZE",
    "PYTHONUTF8",
    "PYTHONIOENCODING",
    "PYTHONWARNINGS",
    "PYTHONUNBUFFERED",
    "PYTHONDONTWRITEBYTECODE",
    "OMP_*",
    "GOMP_*",
    "KMP_*",
    "MKL_*",
    "OPENBLAS_*",
    "BLIS_*",
    "VECLIB_*",
    "NUMEXPR_*",
    "NUMBA_*",
    "NPY_*",
    "ONEDNN_*",
    "DNNL_*",
    "TF_*",
    "XLA_*",
    "JAX_*",
    "TORCH_*",
    "PYTORCH_*",
    "CUDA_*",
    "CUBLAS_*",
    "CUDNN_*",
    "NVIDIA_*",
    "NCCL_*",
    "GLIBC_TUNABLES",
    "MALLOC_*",
    "FLASH_ATTENTION_DETERMINISTIC",
    "ATEN_*",
)

_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")


def allowed(variables: Mapping[str, str], more: Iterable[str] = ()) -> dict[str, str]:
    """The variables whose names are on the allow-list.

    Args:
        variables: Names and values.
        more: Further patterns, ``MYTOOL_*``.
    """
    patterns = (*ALLOWED, *more)
    return {
        name: value
        for name, value in sorted(variables.items())
        if any(fnmatchcase(name, item) for item in patterns)
    }


def clean_environment(
    base: Mapping[str, str],
    *,
    scripts: Sequence[Path],
    home: Path,
    temporary: Path,
    more: Iterable[str] = (),
) -> dict[str, str]:
    """All the variables that a run in a room gets.

    Args:
        base: Variables to take allowed ones from: those of the record.
        scripts: Folders that stand first on PATH, before the system's own.
        home: HOME.
        temporary: TMPDIR.
        more: Further patterns that are allowed.

    Returns:
        PATH, HOME, TMPDIR, user name and locale, and what `base` has of the allow-list.
    """
    env = {"LANG": "C.UTF-8", "USER": "reproof", "LOGNAME": "reproof"}
    env.update(allowed(base, more))
    env.update(
        PATH=":".join([*(str(path) for path in scripts), *_SYSTEM_PATH]),
        HOME=str(home),
        TMPDIR=str(temporary),
    )
    return env
