"""The machine that a run uses: processor, memory, libc, GPUs; and a pseudonym of the host.

Everything is read from files of the kernel, in a few milliseconds; what a system does not tell is
an omission, never a guess.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import socket
import sys
from pathlib import Path

from reproof.base.files import alone_in
from reproof.base.locations import config_directory
from reproof.base.programs import call, find
from reproof.errors import ReproofError
from reproof.model.record import HardwareSection, Omission

_CPUINFO = Path("/proc/cpuinfo")
_NVIDIA = Path("/proc/driver/nvidia")
_AMD = Path("/dev/kfd")
_ONE_CPU = 1 << 15  # bytes of /proc/cpuinfo that hold the first processor; the kernel makes them on demand
_PATIENCE = 10  # seconds that nvidia-smi may take
_KEY_BYTES = 32

_MODEL = re.compile(r"^(?:model name|Model|cpu model|cpu)\s*:\s*(.+)$", re.MULTILINE)
_ARM = re.compile(r"^CPU (implementer|part|variant)\s*:\s*(\S+)$", re.MULTILINE)
_FLAGS = re.compile(r"^(?:flags|Features|isa)\s*:\s*(.+)$", re.MULTILINE)
_MEMORY = re.compile(r"^MemTotal:\s*(\d+) kB$", re.MULTILINE)
_GPU_MODEL = re.compile(r"^Model:\s*(.+)$", re.MULTILINE)
_DRIVER = re.compile(r"Kernel Module(?: for \S+)?\s+(\d+[\d.]*)")

Omissions = list[Omission]


def capture() -> tuple[HardwareSection, tuple[Omission, ...]]:
    """Describe this machine, as far as this process may use it.

    Returns:
        The section, and what the system does not tell.
    """
    omissions: Omissions = []
    cpu_model, cpu_flags = _processor(omissions)
    gpus, driver = _nvidia(omissions)
    system = os.uname()
    section = HardwareSection(
        host=_host(omissions),
        system=f"{system.sysname} {system.machine}",
        kernel=system.release,
        libc=_libc(omissions),
        cpu_model=cpu_model,
        cpu_flags=cpu_flags,
        cpus=os.cpu_count() or 0,
        affinity=_affinity(),
        memory=_memory(omissions),
        gpus=gpus,
        gpu_driver=driver,
    )
    return section, tuple(omissions)


def _processor(omissions: Omissions) -> tuple[str, tuple[str, ...]]:
    try:
        with _CPUINFO.open("rb") as file:
            text = file.read(_ONE_CPU).decode("utf-8", "replace").partition("\n\n")[0]
    except OSError as error:
        omissions.append(
            Omission(subject="processor", reason=f"`{_CPUINFO}` cannot be read: {error.strerror}")
        )
        return _brand(), ()
    flags = _FLAGS.search(text)
    if flags is None:
        omissions.append(Omission(subject="instruction sets", reason=f"`{_CPUINFO}` does not list them"))
    model = _MODEL.search(text)
    arm = " ".join(f"{name} {value}" for name, value in _ARM.findall(text))
    return model[1].strip() if model else arm, tuple(sorted(set(flags[1].split()))) if flags else ()


def _brand() -> str:
    """The processor's name where there is no /proc: macOS tells it through sysctl."""
    if sys.platform != "darwin":
        return ""
    try:
        return call(["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], timeout=_PATIENCE).text.strip()
    except ReproofError:
        return ""


def _affinity() -> int:
    """How many processors this process, and so its children, may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 0


def _memory(omissions: Omissions) -> int:
    try:
        match = _MEMORY.search(Path("/proc/meminfo").read_text(encoding="ascii", errors="replace"))
        if match is not None:
            return int(match[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        omissions.append(Omission(subject="memory", reason="the system does not tell how much there is"))
        return 0


def _libc(omissions: Omissions) -> str:
    try:
        version = os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, OSError, ValueError):
        version = None
    if version:
        return version
    omissions.append(
        Omission(subject="libc", reason="not the GNU C library: its version cannot be asked for")
    )
    return ""


def _nvidia(omissions: Omissions) -> tuple[tuple[str, ...], str | None]:
    """Models of all NVIDIA GPUs in the order of the bus, and the version of the driver."""
    if _AMD.exists():
        omissions.append(Omission(subject="AMD GPUs", reason="present, not described"))
    if not _NVIDIA.is_dir():
        return (), None
    driver = _DRIVER.search(_read(_NVIDIA / "version"))
    models = []
    for place in sorted((_NVIDIA / "gpus").glob("*/information")):
        match = _GPU_MODEL.search(_read(place))
        if match is not None:
            models.append(match[1].strip())
    if models and driver is not None:
        return tuple(models), driver[1]
    return _ask_nvidia_smi(omissions)


def _ask_nvidia_smi(omissions: Omissions) -> tuple[tuple[str, ...], str | None]:
    """For containers in which the kernel's files are hidden; takes tenths of a second."""
    program = find("nvidia-smi")
    reason = "there is a driver, but no `nvidia-smi` to ask"
    if program is not None:
        words = [str(program), "--query-gpu=name,driver_version", "--format=csv,noheader"]
        try:
            done = call(words, timeout=_PATIENCE)
        except ReproofError as error:
            reason = error.message
        else:
            rows = [line.rsplit(",", 1) for line in done.text.splitlines() if "," in line]
            if done.ok and rows:
                return tuple(name.strip() for name, _ in rows), rows[0][1].strip()
            reason = f"`nvidia-smi` says: {(done.complaint or done.text).strip()[:200]}"
    omissions.append(Omission(subject="NVIDIA GPUs", reason=reason))
    return (), None


def _host(omissions: Omissions) -> str:
    """A pseudonym of this host for this user: 16 hexadecimal digits.

    HMAC-SHA256 of machine id and host name, under a random key that never leaves this place, so
    that nobody can find a host's name by trying names.
    """
    try:
        key = _host_key(config_directory() / "host.key")
    except OSError as error:
        omissions.append(Omission(subject="host", reason=f"no key for its pseudonym: {error.strerror}"))
        return ""
    name = f"{_machine_id()}\0{socket.gethostname()}"
    return hmac.new(key, name.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:16]


def _host_key(path: Path) -> bytes:
    """The key at `path`, made on first use; two processes that make it at once agree on one."""
    key = _read_key(path)
    if key is not None:
        return key
    path.parent.mkdir(parents=True, exist_ok=True)
    with alone_in(path.parent):
        key = _read_key(path)  # another process may have been first
        if key is None:  # none, or too short: a damaged key guards nothing
            key = secrets.token_bytes(_KEY_BYTES)
            fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            try:
                handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(handle, "wb") as file:
                    file.write(key)
                fresh.replace(path)
            finally:
                fresh.unlink(missing_ok=True)
    return key


def _read_key(path: Path) -> bytes | None:
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return None
    return key if len(key) >= _KEY_BYTES else None


def _machine_id() -> str:
    for place in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        text = _read(place).strip()
        if text:
            return text
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
