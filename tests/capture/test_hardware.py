from __future__ import annotations

import os
import platform
import re
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reproof.capture import hardware
from reproof.model.record import HardwareSection

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_the_machine_is_described() -> None:
    section, omissions = hardware.capture()
    assert section.system == f"{platform.system()} {platform.machine()}"
    assert section.kernel == platform.release()
    assert section.cpus == os.cpu_count()
    assert 0 < section.affinity <= section.cpus
    assert section.memory > 1 << 20
    assert re.fullmatch("[0-9a-f]{16}", section.host)
    assert all(omission.subject and omission.reason for omission in omissions)


@LINUX
def test_the_processor_is_described() -> None:
    section, _ = hardware.capture()
    flags = re.search(r"^(?:flags|Features)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    assert flags is not None
    assert section.cpu_flags == tuple(sorted(set(flags[1].split())))
    if platform.machine() == "x86_64":
        assert f"model name\t: {section.cpu_model}\n" in Path("/proc/cpuinfo").read_text()


@pytest.mark.needs("getconf")
def test_the_c_library_is_described() -> None:
    told = subprocess.run(["getconf", "GNU_LIBC_VERSION"], capture_output=True, text=True, check=False)
    section, omissions = hardware.capture()
    assert section.libc == told.stdout.strip()
    assert bool(section.libc) != any(omission.subject == "libc" for omission in omissions)


@LINUX
def test_a_narrower_affinity_is_noticed() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        section, _ = hardware.capture()
    finally:
        os.sched_setaffinity(0, allowed)
    assert section.affinity == 1


def test_the_pseudonym_of_the_host_needs_the_key_of_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = hardware.capture()[0].host
    assert hardware.capture()[0].host == first
    monkeypatch.setenv("REPROOF_CONFIG_DIR", str(tmp_path / "another user"))
    assert hardware.capture()[0].host != first
    key = tmp_path / "another user" / "host.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert os.listdir(key.parent) == ["host.key"]  # noqa: PTH208


def test_a_key_that_is_too_short_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPROOF_CONFIG_DIR", str(tmp_path))
    (tmp_path / "host.key").write_bytes(b"short")
    assert hardware.capture()[0].host == hardware.capture()[0].host
    assert len((tmp_path / "host.key").read_bytes()) == 32


@pytest.mark.parametrize("found", [None, b"short"])
def test_processes_that_make_the_key_at_once_agree(
    found: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):  # whoever looks before, and writes after, shows only now and then
        place = tmp_path / str(number)
        place.mkdir()
        if found is not None:
            (place / "host.key").write_bytes(found)
        monkeypatch.setenv("REPROOF_CONFIG_DIR", str(place))
        with ThreadPoolExecutor(8) as pool:
            sections = list(pool.map(lambda _: hardware.capture()[0], range(16)))
        assert len({section.host for section in sections}) == 1


def test_a_place_that_cannot_hold_the_key_is_an_omission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("REPROOF_CONFIG_DIR", str(tmp_path / "file"))
    section, omissions = hardware.capture()
    assert section.host == ""
    assert [omission.subject for omission in omissions if omission.subject == "host"] == ["host"]


def at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **files: str) -> HardwareSection:
    """What is captured when the files of the kernel lie below `tmp_path`."""
    for name, text in files.items():
        path = tmp_path / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(hardware, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(hardware, "_NVIDIA", tmp_path / "nvidia")
    monkeypatch.setattr(hardware, "_AMD", tmp_path / "kfd")
    return hardware.capture()[0]


def test_gpus_are_read_from_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = (
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (dvs-builder@U16)\n"
        "GCC version:  gcc version 12.3.0\n"
    )
    card = "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 120\nGPU UUID: \t GPU-0\n"
    section = at(
        monkeypatch,
        tmp_path,
        nvidia__version=version,
        **{"nvidia__gpus__0000:01:00.0__information": card, "nvidia__gpus__0000:02:00.0__information": card},
    )
    assert section.gpus == ("NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3")
    assert section.gpu_driver == "570.86.15"


def test_an_older_driver_has_another_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n"
    section = at(
        monkeypatch, tmp_path, nvidia__version=version, nvidia__gpus__0__information="Model: Tesla T4\n"
    )
    assert (section.gpus, section.gpu_driver) == (("Tesla T4",), "535.183.01")


@pytest.mark.parametrize(
    ("script", "gpus", "reason"),
    [
        ("echo 'NVIDIA A100-SXM4-40GB, 550.54.15'", ("NVIDIA A100-SXM4-40GB",), None),
        ("echo 'cannot talk to the driver'; exit 9", (), "`nvidia-smi` says: cannot talk to the driver"),
        (None, (), "there is a driver, but no `nvidia-smi` to ask"),
    ],
)
def test_where_the_driver_hides_its_files_the_program_is_asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str | None,
    gpus: tuple[str, ...],
    reason: str | None,
) -> None:
    (tmp_path / "nvidia").mkdir()
    (tmp_path / "bin").mkdir()
    if script is not None:
        program = tmp_path / "bin" / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin" if script else str(tmp_path / "bin"))
    section = at(monkeypatch, tmp_path)
    assert section.gpus == gpus
    omissions = {omission.subject: omission.reason for omission in hardware.capture()[1]}
    assert omissions.get("NVIDIA GPUs") == reason


def test_what_the_system_does_not_tell_is_an_omission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = at(monkeypatch, tmp_path, kfd="")
    assert section.cpu_flags == ()
    subjects = {omission.subject for omission in hardware.capture()[1]}
    assert {"processor", "AMD GPUs"} <= subjects


def test_an_arm_processor_is_named_by_its_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpuinfo = (
        "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41\n"
        "CPU variant\t: 0x1\nCPU part\t: 0xd40\n\nprocessor\t: 1\nFeatures\t: none\n"
    )
    section = at(monkeypatch, tmp_path, cpuinfo=cpuinfo)
    assert section.cpu_model == "implementer 0x41 variant 0x1 part 0xd40"
    assert section.cpu_flags == ("asimd", "fp", "sve")
