"""Variations of a re-run's circumstances: small pure values that rewrite a recipe.

What must never matter to a result is that of reprotest (https://salsa.debian.org/reproducible-builds/reprotest),
for runs instead of builds.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from reproof.base.programs import call
from reproof.errors import ExecutionError, UsageError
from reproof.model.recipe import Recipe
from reproof.model.record import Record

GROUPS = ("repeat", "circumstances", "one-cpu", "threads", "isa", "entropy")

ENVIRONMENT_ORDER = "environment-order"

_PADDING = 3500  # bytes; moves the stack by most of a page
_PROCESSES = 37  # that come and go before the command starts
#: Libraries whose pools of threads, and whose kernels for the instruction sets, variables decide.
_POOLS = ("libgomp", "libomp", "libiomp", "openblas", "mkl", "torch", "tensorflow", "xla", "tbb", "blis")
_KERNELS = ("openblas", "mkl", "torch", "dnnl", "onednn", "tensorflow")
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
_ISA = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA",
}


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a variation may look at.

    Attributes:
        record: The recorded run.
        home: HOME of the room.
    """

    record: Record
    home: Path


class Variation(msgspec.Struct, frozen=True, kw_only=True):
    """One circumstance that can be another.

    Attributes:
        name: Its name for `--vary`.
        group: Its group.
        what: What is another, for people.
        remedy: What helps a run that depends on it.
        apply: The recipe under it; None where the room itself is another (path, file times), and for
            the order of the variables, which :func:`apply_all` decides.
        obstacle: Why it cannot be exercised here; None where it can.
    """

    name: str
    group: str
    what: str
    remedy: str = ""
    apply: Callable[[Recipe, Setting], Recipe] | None = None
    obstacle: Callable[[Setting], str | None] = lambda _: None


def apply_all(recipe: Recipe, variations: Sequence[Variation], setting: Setting) -> Recipe:
    """The recipe under several variations at once; without any, that of a control.

    The command itself gets its variables from ``env``, in an order that is known: shells in between
    have orders of their own, and what reproof sets for every re-run must not undo a variation.
    """
    varied = recipe
    for variation in variations:
        if variation.apply is not None:
            varied = variation.apply(varied, setting)
    backwards = any(variation.name == ENVIRONMENT_ORDER for variation in variations)
    names = sorted(varied.env, reverse=backwards)
    words = [word for name in names for word in ("-u", name)] + [
        f"{name}={varied.env[name]}" for name in names
    ]
    own = len(varied.argv) - len(recipe.argv)
    return msgspec.structs.replace(varied, argv=(*varied.argv[:own], "env", *words, *recipe.argv))


def select(text: str) -> tuple[Variation, ...]:
    """Read ``--vary``: names and groups with commas, ``+`` to add and ``-`` to leave out.

    Raises:
        UsageError: There is no such name.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    chosen: dict[str, None] = {}
    if not words or words[0].startswith("-"):
        chosen = {each.name: None for each in VARIATIONS}
    for word in words:
        name = word.lstrip("+-")
        members = [each.name for each in VARIATIONS if name in ("all", each.name, each.group)]
        if not members:
            known = ", ".join(["all", *GROUPS, *(e.name for e in VARIATIONS if e.name not in GROUPS)])
            raise UsageError(
                f"there is no variation `{name}`",
                details=[("known", known)],
                hint="`reproof stress --list` says what each is",
            )
        for member in members:
            if word.startswith("-"):
                chosen.pop(member, None)
            else:
                chosen[member] = None
    return tuple(each for each in VARIATIONS if each.name in chosen)


def _with(**variables: str) -> Callable[[Recipe, Setting], Recipe]:
    def apply(recipe: Recipe, setting: Setting) -> Recipe:  # noqa: ARG001
        return _set(recipe, variables)

    return apply


def _set(recipe: Recipe, variables: Mapping[str, str]) -> Recipe:
    return recipe.with_env(variables)


def _shell(text: str) -> Callable[[Recipe, Setting], Recipe]:
    return lambda recipe, _: recipe.wrapped("sh", "-c", f'{text}; exec "$@"', "sh")


def _after_others(recipe: Recipe, setting: Setting) -> Recipe:  # noqa: ARG001
    """The command starts when others have come and gone; the shell has its own number since before."""
    text = f'i=0; while [ $i -lt {_PROCESSES} ]; do (:); i=$((i+1)); done; "$@"; exit $?'
    return recipe.wrapped("sh", "-c", text, "sh")


def _hash_seed(recipe: Recipe, setting: Setting) -> Recipe:
    seed = setting.record.randomness.seed or 0
    return _set(recipe, {"PYTHONHASHSEED": str((seed + 1_000_003) % 2**32)})


def _time_zone(recipe: Recipe, setting: Setting) -> Recipe:
    recorded = setting.record.environment.variables.get("TZ", "")
    return _set(recipe, {"TZ": "HST10" if recorded.startswith("NPT") else "NPT-5:45"})


def _locale(recipe: Recipe, setting: Setting) -> Recipe:  # noqa: ARG001
    return _set(recipe, {"LC_ALL": _other_locale() or "C", "LANGUAGE": ""})


def _other_locale() -> str | None:
    """A locale that writes numbers and sorts names otherwise, where one is installed."""
    try:
        names = call(["locale", "-a"], env={"PATH": os.defpath}).stdout.decode("utf-8", "replace").split()
    except ExecutionError:
        return None
    real = [name for name in names if name.partition(".")[0] not in ("C", "POSIX")]
    return next((name for name in real if not name.startswith("en")), next(iter(real), None))


def _home(recipe: Recipe, setting: Setting) -> Recipe:
    return _set(recipe, {"HOME": str(setting.home / "elsewhere")})


def _has_home_materials(setting: Setting) -> str | None:
    found = [each.name for each in setting.record.materials if each.name.startswith("${HOME}/")]
    return f"the run reads `{found[0]}`" if found else None


def _one_cpu(recipe: Recipe, setting: Setting) -> Recipe:  # noqa: ARG001
    return recipe.wrapped("taskset", "--cpu-list", str(min(os.sched_getaffinity(0))))


def _needs_cpus(setting: Setting) -> str | None:  # noqa: ARG001
    if not hasattr(os, "sched_getaffinity") or shutil.which("taskset") is None:
        return "there is no `taskset` here"
    return "this machine gives us one CPU only" if len(os.sched_getaffinity(0)) < 2 else None


def _other_threads(recipe: Recipe, setting: Setting) -> Recipe:
    cpus = setting.record.hardware.affinity or 2
    recorded = setting.record.environment.variables
    changed = {name: "1" if recorded.get(name, str(cpus)) != "1" else "3" for name in _THREADS}
    return _set(recipe, changed)


def _loads(names: Sequence[str], words: str) -> Callable[[Setting], str | None]:
    """An obstacle for what only some libraries react to."""

    def obstacle(setting: Setting) -> str | None:
        loaded = [Path(each.path).name.lower() for each in setting.record.environment.native]
        return None if any(name in each for each in loaded for name in names) else f"the run loads no {words}"

    return obstacle


def _shim(words: str) -> Callable[[Setting], str | None]:
    return lambda _: f"this version has no shim for {words}"


VARIATIONS: tuple[Variation, ...] = (
    Variation(
        name="repeat",
        group="repeat",
        what="nothing: the same again",
        remedy="seed every generator, sort sets and what ends in any order; `reproof show` names unseeded draws",
    ),
    Variation(
        name="hash-seed",
        group="circumstances",
        what="the seed of Python's hashes",
        remedy="sort sets before their order matters; split by a digest, not by `hash()`",
        apply=_hash_seed,
    ),
    Variation(
        name="time-zone",
        group="circumstances",
        what="TZ",
        remedy="use UTC: `datetime.now(timezone.utc)`",
        apply=_time_zone,
    ),
    Variation(
        name="locale",
        group="circumstances",
        what="LC_ALL",
        remedy="name encodings, and sort and format without the locale",
        apply=_locale,
        obstacle=lambda _: None if _other_locale() else "no locale but C is installed",
    ),
    Variation(
        name="umask",
        group="circumstances",
        what="umask 0077 instead of ours",
        remedy="set the permissions of what is written, or write none of them into results",
        apply=_shell("umask 0077"),
    ),
    Variation(
        name="path",
        group="circumstances",
        what="the folder of the project and of temporary files",
        remedy="use paths relative to the project, and none of them as data",
    ),
    Variation(
        name="home",
        group="circumstances",
        what="HOME",
        remedy="read nothing from HOME that is not recorded",
        apply=_home,
        obstacle=_has_home_materials,
    ),
    Variation(
        name="user",
        group="circumstances",
        what="USER and LOGNAME",
        remedy="write no user name into results",
        apply=_with(USER="somebody", LOGNAME="somebody"),
    ),
    Variation(
        name="process-ids",
        group="circumstances",
        what="the numbers of the processes",
        remedy="take no seed from a process id",
        apply=_after_others,
    ),
    Variation(
        name="file-times",
        group="circumstances",
        what="the time stamps of the project's files",
        remedy="take dates from the data, not from the file system",
    ),
    Variation(
        name=ENVIRONMENT_ORDER,
        group="circumstances",
        what="the order of the variables",
        remedy="sort what is read from `os.environ`",
    ),
    Variation(
        name="environment-size",
        group="circumstances",
        what=f"{_PADDING} bytes more of variables",
        remedy="initialise memory before it is read",
        apply=_with(PADDING="x" * _PADDING),
    ),
    Variation(
        name="malloc-fill",
        group="circumstances",
        what="what fresh memory holds (MALLOC_PERTURB_)",
        remedy="initialise memory before it is read: `np.zeros` for `np.empty`",
        apply=_with(MALLOC_PERTURB_="165"),
    ),
    Variation(
        name="one-cpu",
        group="one-cpu",
        what="one CPU",
        remedy="fix the number of workers and threads, instead of asking for the number of CPUs",
        apply=_one_cpu,
        obstacle=_needs_cpus,
    ),
    Variation(
        name="threads",
        group="threads",
        what="the number of threads of OpenMP, BLAS and TensorFlow",
        remedy="fix OMP_NUM_THREADS and its kin; a recorded number is handed to every re-run",
        apply=_other_threads,
        obstacle=_loads(_POOLS, "library with a pool of threads"),
    ),
    Variation(
        name="isa",
        group="isa",
        what="the instruction sets that OpenBLAS, MKL, oneDNN, PyTorch, NumPy and glibc choose kernels for",
        remedy="compare with a tolerance across CPU types, or pin the kernels by these variables",
        apply=_with(**_ISA),
        obstacle=_loads(_KERNELS, "library that lets us choose"),
    ),
    Variation(
        name="cpu-mask", group="isa", what="the instruction sets, for all at once", obstacle=_shim("CPUID")
    ),
    Variation(
        name="readdir-order", group="circumstances", what="the order of folders", obstacle=_shim("readdir")
    ),
    Variation(name="clock", group="circumstances", what="the date", obstacle=_shim("the clock")),
    Variation(name="entropy", group="entropy", what="the system's entropy", obstacle=_shim("getrandom")),
)


def describe_all() -> Iterator[tuple[str, str, str]]:
    """Name, group and meaning of each variation."""
    for each in VARIATIONS:
        yield each.name, each.group, each.what
