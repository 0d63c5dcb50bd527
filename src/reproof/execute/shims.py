"""Native shims: small libraries that stand before libc in the processes of one re-run.

Their sources come with reproof (``injected/native``) and are compiled once with the system's own compiler. They
are loaded by LD_PRELOAD, in the child alone. Each says in a file which processes have loaded it: where none did
(statically linked programs, another libc, an environment that was emptied) nothing was varied.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from reproof.base.files import write_atomic
from reproof.base.locations import cache_directory
from reproof.base.programs import call, find
from reproof.errors import ExecutionError

#: Where the file is that they say it in.
LOG = "REPROOF_SHIMS"

NAMES = ("witness", "readdir", "clock", "entropy", "host", "memory", "cpuid")

_SOURCES = Path(__file__).parents[1] / "injected/native"
_COMPILERS = ("cc", "gcc", "clang")
_PATIENCE = 60.0  # seconds for one compilation
_NO_RANDOM_ADDRESSES = 0x0040000  # ADDR_NO_RANDOMIZE of <linux/personality.h>
#: Programs that reproof puts around a command, or that only start others: none of them is what a re-run is about.
_AROUND = frozenset({"env", "sh", "dash", "bash", "busybox", "taskset", "setarch", "timeout", "coreutils"})


class Shims(msgspec.Struct, frozen=True, kw_only=True):
    """What can be loaded here.

    Attributes:
        built: The library of each shim that there is.
        missing: Why each of the others cannot be had.
    """

    built: Mapping[str, Path] = {}
    missing: Mapping[str, str] = {}

    def obstacle(self, name: str) -> str | None:
        """Why a shim cannot be used here; None where it can."""
        return None if name in self.built else self.missing.get(name, f"there is no shim `{name}`")


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """One process that has loaded a shim.

    Attributes:
        shim: Its name.
        process: The process id, as the process itself sees it.
        personality: Its execution domain; see personality(2).
        state: ``on``, or ``refused`` where the system did not let it do its work.
        program: Path of the program; empty where it could not be read.
    """

    shim: str
    process: int
    personality: int
    state: str
    program: str

    @property
    def has_fixed_addresses(self) -> bool:
        """Whether address randomisation is off in it."""
        return bool(self.personality & _NO_RANDOM_ADDRESSES)


@functools.lru_cache(maxsize=1)
def provide() -> Shims:
    """Compile all shims, or take them from the cache; tried once per process. Never raises."""
    if platform.system() != "Linux":
        return _none("shims are for Linux")
    compiler = next(filter(None, map(find, _COMPILERS)), None)
    if compiler is None:
        return _none("there is no C compiler here (apt-get install gcc libc6-dev)")
    built: dict[str, Path] = {}
    missing: dict[str, str] = {}
    try:
        folder = cache_directory() / "shims" / _key(compiler)
        for name in NAMES:
            problem = _unsuited(name) or _build(compiler, name, folder)
            if problem is None:
                built[name] = folder / f"{name}.so"
            else:
                missing[name] = problem
    except (OSError, ExecutionError) as error:
        return _none(f"the shims cannot be built ({error})")
    return Shims(built=built, missing=missing)


def lay_out(shims: Shims, names: Iterable[str], folder: Path) -> dict[str, Path]:
    """Copy libraries into a folder that a room shows.

    Returns:
        Where each is.

    Raises:
        OSError: They cannot be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return {name: Path(shutil.copy(shims.built[name], folder)) for name in names}


def read_log(path: Path) -> tuple[Loaded, ...]:
    """What processes have said; lines that are no such lines are passed over, for a program may write there too."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return ()
    return tuple(filter(None, map(_line, text.splitlines())))


def not_loaded(name: str, log: Sequence[Loaded], processes: Sequence[int]) -> str | None:
    """Why a shim was not exercised by a re-run, as its log tells; None where it was.

    Args:
        name: The shim.
        log: What was said.
        processes: Ids of the Python processes of the re-run; where there is none, any program counts but
            those that only start others.
    """
    lines = [each for each in log if each.shim == name]
    if any(each.state != "on" for each in lines):
        return f"this system refused what shim `{name}` needs"
    told = {each.process for each in lines}
    if processes:
        silent = [each for each in processes if each not in told]
        if not silent:
            return None
        many = len(processes) > len(silent) > 0
        return (
            f"{len(silent)} of {len(processes)} Python processes did not load shim `{name}`"
            if many
            else f"the program did not load shim `{name}`"
        )
    if any(PurePosixPath(each.program).name not in _AROUND for each in lines):
        return None
    return f"no program of the run loaded shim `{name}`: it may be statically linked"


def _none(reason: str) -> Shims:
    return Shims(missing=dict.fromkeys(NAMES, reason))


def _unsuited(name: str) -> str | None:
    if name != "cpuid":
        return None
    if platform.machine() not in ("x86_64", "AMD64"):
        return "the mask is for x86-64"
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "the instruction sets of this CPU cannot be read"
    return None if "cpuid_fault" in flags else "this CPU, or its hypervisor, cannot make CPUID trap"


def _key(compiler: Path) -> str:
    """Everything that decides what a compiled shim is."""
    told = call([compiler, "--version"], env={"PATH": os.defpath, "LC_ALL": "C"}, timeout=_PATIENCE)
    digest = hashlib.sha256(told.stdout)
    digest.update(f"{platform.machine()} {_libc()}".encode())
    for path in sorted(_SOURCES.iterdir()):
        if path.suffix in (".c", ".h"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (OSError, ValueError):
        return ""


def _build(compiler: Path, name: str, folder: Path) -> str | None:
    """Compile one shim, unless that was done; why that is not possible, or None."""
    target = folder / f"{name}.so"
    if target.exists():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    attempt = folder / f"{name}.{os.getpid()}.so"
    source = _SOURCES / f"{name}.c"
    argv = (compiler, "-O2", "-fPIC", "-shared", "-o", attempt, source, "-ldl", "-lpthread")
    try:
        done = call(argv, env=_environment(folder), timeout=_PATIENCE)
        if not done.ok:
            last = (done.complaint.splitlines() or [""])[-1]
            return f"shim `{name}` does not compile here: {last}"
        write_atomic(target, attempt.read_bytes(), durable=False)
    finally:
        attempt.unlink(missing_ok=True)
    return None


def _environment(folder: Path) -> dict[str, str]:
    """For the compiler: nothing of the user's but where programs are."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TMPDIR": str(folder)}


def _line(text: str) -> Loaded | None:
    words = text.split(" ", 4)
    try:
        name, process, personality, state = words[:4]
        return Loaded(
            shim=name,
            process=int(process),
            personality=int(personality, 16),
            state=state,
            program=words[4] if len(words) > 4 else "",
        )
    except ValueError:
        return None
