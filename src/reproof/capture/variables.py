"""Environment variables: values only of those that change results, names of the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from reproof.base.programs import call
from reproof.capture import caches
from reproof.capture.secrets import announces_secret, contains_secret

#: Variables whose values are recorded: threads, numeric libraries, determinism switches, Python,
#: locale and time, loader and allocator, caches of models. Patterns as of `fnmatch`, upper and lower case apart.
RECORDED = (
    "OMP_*",
    "GOMP_*",
    "KMP_*",
    "MKL_*",
    "OPENBLAS_*",
    "GOTO_NUM_THREADS",
    "BLIS_*",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_*",
    "NUMBA_*",
    "NPY_*",
    "NUMPY_*",
    "SKLEARN_*",
    "JOBLIB_*",
    "LOKY_*",
    "POLARS_*",
    "ARROW_*",
    "TORCH_*",
    "TORCHINDUCTOR_*",
    "TORCHDYNAMO_*",
    "PYTORCH_*",
    "ATEN_*",
    "ONEDNN_*",
    "DNNL_*",
    "TF_*",
    "XLA_*",
    "JAX_*",
    "KERAS_*",
    "XGBOOST_*",
    "LIGHTGBM_*",
    "TOKENIZERS_PARALLELISM",
    "CUDA_*",
    "CUBLAS_*",
    "CUBLASLT_*",
    "CUDNN_*",
    "NVIDIA_TF32_OVERRIDE",
    "FLASH_ATTENTION_*",
    "NVIDIA_VISIBLE_DEVICES",
    "NCCL_*",
    "ROCR_VISIBLE_DEVICES",
    "HIP_*",
    "HSA_*",
    "MIOPEN_*",
    "ROCBLAS_*",
    "SLURM_CPUS_PER_TASK",
    "SLURM_NTASKS",
    "WORLD_SIZE",
    "RANK",
    "LOCAL_RANK",
    "PYTHON*",
    "LC_*",
    "LANG",
    "LANGUAGE",
    "TZ",
    "SOURCE_DATE_EPOCH",
    "GLIBC_TUNABLES",
    "MALLOC_*",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_BIND_NOW",
    "LD_AUDIT",
    "DYLD_*",
    "MPLBACKEND",
    *caches.VARIABLES,
    *caches.OFFLINE,
)

_EXACT = frozenset(pattern for pattern in RECORDED if "*" not in pattern)
_PREFIXES = tuple(pattern[:-1] for pattern in RECORDED if pattern.endswith("*"))


def capture(env: Mapping[str, str], more: Collection[str] = ()) -> tuple[dict[str, str], tuple[str, ...]]:
    r"""Divide an environment into what is recorded with its value and what only with its name.

    A variable on the list whose name or value looks like a secret is treated like one that is not.

    Args:
        env: The environment of the run.
        more: Names of further variables whose values are recorded.

    Returns:
        Values by name, and the other names; both sorted. Undecodable bytes are written ``\xNN``.
    """
    values, names = {}, []
    for name in sorted(env):
        if is_recorded(name, env[name], more):
            values[_text(name)] = _text(env[name])
        else:
            names.append(_text(name))
    return values, tuple(names)


def umask() -> str:
    """Permission bits that new files of this process, and so of its children, do not get: ``0022``.

    Read from the kernel's own list, because asking for it means setting it; where there is none, asked of a
    shell, which has that of its parent. Empty where that fails too.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        done = call(["/bin/sh", "-c", "umask"])
        return done.text.strip().zfill(4) if done.ok else ""
    return next((line.split()[1] for line in lines if line.startswith("Umask:")), "")


def is_recorded(name: str, value: str, more: Collection[str] = ()) -> bool:
    """Whether the value of this variable goes into the record."""
    listed = name in _EXACT or name in more or name.startswith(_PREFIXES)
    return listed and not announces_secret(name) and not contains_secret(value)


def _text(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
