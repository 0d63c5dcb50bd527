"""Variations of a re-run's circumstances: small pure values that rewrite a recipe.

What must never matter to a result is that of reprotest (https://salsa.debian.org/reproducible-builds/reprotest),
for runs instead of builds.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from reproof.errors import UsageError
from reproof.execute.profiles import THREADS
from reproof.model.recipe import Recipe
from reproof.workflow.altering import ENVIRONMENT_ORDER, Setting, Variation
from reproof.workflow.rows import tables_of

#: What a result may well depend on: told, and never blamed. Not part of `all`.
INFORMATIVE = "informative"
ROW_ORDER = "row-order"
LOCALE = "locale"
GROUPS = ("repeat", "circumstances", "one-cpu", "threads", "isa", "entropy", INFORMATIVE)

_PADDING = 3500  # bytes; moves the stack by most of a page
_PROCESSES = 37  # that come and go before the command starts
_AHEAD = 30_000_000  # seconds, 347 days and some hours: another year, day of the week and hour
_NO_RANDOM_ADDRESSES = 0x0040000  # ADDR_NO_RANDOMIZE of <linux/personality.h>
#: Libraries whose pools of threads, and whose kernels for the instruction sets, variables decide.
_POOLS = ("libgomp", "libomp", "libiomp", "openblas", "mkl", "torch", "tensorflow", "xla", "tbb", "blis")
_KERNELS = ("openblas", "mkl", "torch", "dnnl", "onednn", "tensorflow")
_ISA = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA",
}
_V3 = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX512CD"


def select(text: str) -> tuple[Variation, ...]:
    """Read ``--vary``: names and groups with commas, ``+`` to add and ``-`` to leave out.

    Raises:
        UsageError: There is no such name.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    chosen: dict[str, None] = {}
    if not words or words[0].startswith("-"):
        chosen = {each.name: None for each in VARIATIONS if each.group != INFORMATIVE}
    for word in words:
        name = word.lstrip("+-")
        members = [each.name for each in VARIATIONS if name in (each.name, each.group)]
        if name == "all":
            members = [each.name for each in VARIATIONS if each.group != INFORMATIVE]
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


def with_variables(**variables: str) -> Callable[[Recipe, Setting], Recipe]:
    """Recipes with these variables."""

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


def _seed(recipe: Recipe, setting: Setting) -> Recipe:
    seed = (setting.record.randomness.seed or 0) + 1
    return _set(recipe, {"REPROOF_SEED": str(seed), "PYTHONHASHSEED": str(seed % 2**32)})


def _no_seed(setting: Setting) -> str | None:
    return "reproof applied no seed to the run" if setting.record.randomness.seed is None else None


def _no_table(setting: Setting) -> str | None:
    return None if tables_of(setting.record) else "the run read no table of text below the project"


def _time_zone(recipe: Recipe, setting: Setting) -> Recipe:
    recorded = setting.record.environment.variables.get("TZ", "")
    return _set(recipe, {"TZ": "HST10" if recorded.startswith("NPT") else "NPT-5:45"})


def _locale(recipe: Recipe, setting: Setting) -> Recipe:
    assert setting.locale is not None
    found = {"LC_ALL": setting.locale.name, "LANGUAGE": ""}
    if setting.locale.folder is not None:
        found["LOCPATH"] = str(setting.locale.folder)
    return _set(recipe, found)


def _no_locale(setting: Setting) -> str | None:
    if setting.record.environment.kind == "docker":
        return "which locales the image has is not known"
    return None if setting.locale is not None else "no locale but C is installed"


def _home(recipe: Recipe, setting: Setting) -> Recipe:
    return _set(recipe, {"HOME": str(setting.home / "elsewhere")})


def _has_home_materials(setting: Setting) -> str | None:
    found = [each.name for each in setting.record.materials if each.name.startswith("${HOME}/")]
    return f"the run reads `{found[0]}`" if found else None


def one_cpu(recipe: Recipe, setting: Setting) -> Recipe:  # noqa: ARG001
    """The command on one CPU alone."""
    return recipe.wrapped("taskset", "--cpu-list", str(min(os.sched_getaffinity(0))))


def needs_cpus(setting: Setting) -> str | None:  # noqa: ARG001
    """Why one CPU cannot be tried here; None where it can."""
    if not hasattr(os, "sched_getaffinity") or shutil.which("taskset") is None:
        return "there is no `taskset` here"
    return "this machine gives us one CPU only" if len(os.sched_getaffinity(0)) < 2 else None


def _other_threads(recipe: Recipe, setting: Setting) -> Recipe:
    cpus = setting.record.hardware.affinity or 2
    recorded = setting.record.environment.variables
    changed = {name: "1" if recorded.get(name, str(cpus)) != "1" else "3" for name in THREADS}
    return _set(recipe, changed)


def _loads(names: Sequence[str], words: str) -> Callable[[Setting], str | None]:
    """An obstacle for what only some libraries react to."""

    def obstacle(setting: Setting) -> str | None:
        loaded = [Path(each.path).name.lower() for each in setting.record.environment.native]
        return None if any(name in each for each in loaded for name in names) else f"the run loads no {words}"

    return obstacle


def needs_shim(name: str) -> Callable[[Setting], str | None]:
    """The obstacle of what needs a shim."""
    return lambda setting: setting.shims.obstacle(name)


def fixed_addresses(recipe: Recipe, setting: Setting) -> Recipe:  # noqa: ARG001
    """The command without address randomisation.

    Where the system does not allow it the command starts all the same; the shim tells.
    """
    text = 'if setarch -R true 2>/dev/null; then exec setarch -R "$@"; fi; exec "$@"'
    return recipe.wrapped("sh", "-c", text, "sh")


def no_fixed_addresses(setting: Setting) -> str | None:
    """Why addresses cannot be fixed here; None where they can."""
    if shutil.which("setarch") is None:
        return "there is no `setarch` here (apt-get install util-linux)"
    try:
        personality = int(Path("/proc/self/personality").read_text(), 16)
        off = Path("/proc/sys/kernel/randomize_va_space").read_text().strip() == "0"
    except (OSError, ValueError):
        return "whether addresses are random cannot be read here"
    if off or personality & _NO_RANDOM_ADDRESSES:
        return "addresses are not random here"
    return setting.shims.obstacle("witness")


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
        name=LOCALE,
        group="circumstances",
        what="LC_ALL",
        remedy="name encodings, and sort and format without the locale",
        apply=_locale,
        obstacle=_no_locale,
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
        apply=with_variables(USER="somebody", LOGNAME="somebody"),
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
        apply=with_variables(PADDING="x" * _PADDING),
    ),
    Variation(
        name="malloc-fill",
        group="circumstances",
        what="what fresh memory holds (MALLOC_PERTURB_)",
        remedy="initialise memory before it is read: `np.zeros` for `np.empty`",
        apply=with_variables(MALLOC_PERTURB_="165"),
    ),
    Variation(
        name="readdir-order",
        group="circumstances",
        what="the order in which folders are listed, turned round",
        remedy="sort what `os.listdir`, `glob` and `iterdir` give",
        obstacle=needs_shim("readdir"),
        shim=("readdir", "reversed"),
    ),
    Variation(
        name="clock",
        group="circumstances",
        what="the date, 347 days ahead",
        remedy="pass the date as a parameter; take no seed and no feature from the clock",
        obstacle=needs_shim("clock"),
        shim=("clock", f"ahead:{_AHEAD}"),
    ),
    Variation(
        name="host-name",
        group="circumstances",
        what="the name of the machine",
        remedy="write no host name into results, and take no seed from it",
        obstacle=needs_shim("host"),
        shim=("host", "another-machine"),
    ),
    Variation(
        name="memory-size",
        group="circumstances",
        what="how much memory the machine says that it has: half of it",
        remedy="fix the sizes of chunks and batches, instead of asking how much memory there is",
        obstacle=needs_shim("memory"),
        shim=("memory", "half"),
    ),
    Variation(
        name="aslr",
        group="circumstances",
        what="address randomisation, switched off",
        remedy="sort by a key of your own, not by `id()` or the default hash of objects",
        apply=fixed_addresses,
        obstacle=no_fixed_addresses,
        shim=("witness", "on"),
    ),
    Variation(
        name="one-cpu",
        group="one-cpu",
        what="one CPU",
        remedy="fix the number of workers and threads, instead of asking for the number of CPUs",
        apply=one_cpu,
        obstacle=needs_cpus,
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
        apply=with_variables(**_ISA),
        obstacle=_loads(_KERNELS, "library that lets us choose"),
    ),
    Variation(
        name="cpu-mask",
        group="isa",
        what="the instruction sets, for all libraries at once: those of x86-64-v3",
        remedy="compare with a tolerance across CPU types, or record with `--determinism portable`",
        apply=with_variables(GLIBC_TUNABLES=_V3),
        obstacle=needs_shim("cpuid"),
        shim=("cpuid", "x86-64-v3"),
    ),
    Variation(
        name="entropy",
        group="entropy",
        what="the system's entropy: a stream that repeats",
        remedy="seed every generator; `reproof show` names unseeded draws",
        obstacle=needs_shim("entropy"),
        shim=("entropy", "1"),
    ),
    Variation(
        name="seed",
        group=INFORMATIVE,
        what="the seed that reproof applies",
        apply=_seed,
        obstacle=_no_seed,
    ),
    Variation(
        name=ROW_ORDER,
        group=INFORMATIVE,
        what="the order of the rows of CSV and TSV files",
        obstacle=_no_table,
    ),
)


def describe_all() -> Iterator[tuple[str, str, str]]:
    """Name, group and meaning of each variation."""
    for each in VARIATIONS:
        yield each.name, each.group, each.what
