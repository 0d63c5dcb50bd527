"""Determinism profiles as environment variables: what can only be decided before a program starts.

What is decided when a library has been imported is decided by the bootstrap, in the user's process. Why each
variable is there, and what it costs: docs/randomness.md.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping
from pathlib import Path

from reproof.model.determinism import Profile

#: Each is set to the number of threads.
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)

_DEFAULT = {
    "TZ": "UTC",
    # The number of threads is what was asked for, whatever the load of the machine.
    "OMP_DYNAMIC": "FALSE",
    "MKL_DYNAMIC": "FALSE",
    # Threads that wait do not keep the processor from those that work; it changes no number.
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "KMP_BLOCKTIME": "0",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "FLASH_ATTENTION_DETERMINISTIC": "1",
}

#: What glibc puts into memory that nobody has written yet, and into what was given back.
_STRICT = {"MALLOC_PERTURB_": "85"}

#: Variables of which any one says that somebody has chosen a locale.
_LOCALE = ("LANG", "LANGUAGE", "LC_")

#: Instructions of x86-64-v3 and no more, in the words of each library. Those that a version does not know it leaves aside.
_PORTABLE = {
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": (
        "X86_V4 AVX512_ICL AVX512_SPR AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_KNL AVX512_KNM"
    ),
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX512CD",
}
_PORTABLE_XLA = "--xla_cpu_max_isa=AVX2"
_GPU_XLA = "--xla_gpu_deterministic_ops=true"


def variables(profile: Profile, env: Mapping[str, str], *, gpu: bool = False) -> dict[str, str]:
    """What a profile adds to the environment of a run on this machine.

    Args:
        profile: Its name.
        env: The environment of the user; what it sets is left as it is.
        gpu: Whether there is a GPU: XLA then gets flags that are not worth their risk elsewhere (a program
            ends when its XLA does not know a flag).

    Returns:
        Variables by name; none of them is in `env`, but for XLA_FLAGS, which flags are added to.
    """
    if profile == "off":
        return {}
    wanted = {name: str(thread_count(env)) for name in THREADS} | _DEFAULT
    if profile == "strict":
        wanted |= _STRICT
    if not any(name.startswith(_LOCALE) and value for name, value in env.items()):
        wanted["LC_ALL"] = "C.UTF-8"
    flags = [_GPU_XLA] if gpu else []
    if profile == "portable" and is_x86():
        wanted |= _PORTABLE
        flags.append(_PORTABLE_XLA)
    added = {name: value for name, value in wanted.items() if name not in env}
    given = env.get("XLA_FLAGS", "")
    flags = [flag for flag in flags if flag.partition("=")[0] not in given]
    if flags:
        added["XLA_FLAGS"] = " ".join([*([given] if given else []), *flags])
    return added


def is_x86() -> bool:
    """Whether the instruction sets of profile `portable` mean anything here."""
    return platform.machine().lower() in ("x86_64", "amd64")


def thread_count(env: Mapping[str, str]) -> int:
    """How many threads each library gets: as OMP_NUM_THREADS says, else one for each core that we may use.

    Cores, not hyper-threads: that is what numeric libraries choose by themselves.
    """
    given = env.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if given.isascii() and given.isdigit() and int(given) > 0:
        return int(given)
    return max(1, min(_cores(), _quota()))


def _cores() -> int:
    """Physical cores that this process may run on."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cpus = os.sched_getaffinity(0)
    cores = set()
    for cpu in cpus:
        try:
            siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
        except OSError:
            return len(cpus)
        cores.add(siblings.strip())
    return len(cores)


def _quota() -> int:
    """Whole processors that a control group lets its processes use (of a container, for one)."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):  # no such limit, or `max`
        return os.cpu_count() or 1
