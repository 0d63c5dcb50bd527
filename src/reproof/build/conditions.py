"""The conditions of a build: how the controlled one is made, and how each can be varied.

What reprotest varies is the model (https://salsa.debian.org/reproducible-builds/reprotest); hash seed, processor count
and the way through the source archive are what Python adds.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import msgspec

from reproof.model.build import NotExercised

#: What the surroundings decide: a controlled build does not hold these.
AMBIENT = ("path", "clock", "user", "host name", "home", "file order", "CPU count")
#: What the controlled build sets itself.
HELD = ("time zone", "locale", "umask", "hash seed", "modification times", "way to the wheel")
FACTORS = (*AMBIENT, *HELD)
#: The same, those first that are causes most often.
_FIRST = (
    "umask",
    "modification times",
    "path",
    "clock",
    "hash seed",
    "way to the wheel",
    "time zone",
    "locale",
)
LIKELY = (*_FIRST, *(name for name in FACTORS if name not in _FIRST))

#: 398 days and some hours: another year, month, day, hour, minute.
_LATER = 398 * 86400 + 7 * 3600 + 13 * 60
_OTHER_USER = 1234
_FAR_EAST = "GMT-14"  # POSIX counts westwards: this is 14 hours ahead
_OFFSETS = {_FAR_EAST: 14 * 3600}
_PUBLIC_MASK, _PRIVATE_MASK = 0o022, 0o077
_FAKETIME = ("faketime/libfaketime.so.1",)
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
#: Locales that sort, fold or count otherwise than C, most unusual first.
_ODD_LOCALES = ("et_EE", "tr_TR", "cs_CZ", "sv_SE", "de_DE", "fr_FR")
#: zip cannot tell of times before 1980.
_EARLIEST = 315532800


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one build is subject to, and another need not be.

    Attributes:
        epoch: SOURCE_DATE_EPOCH.
        place: Folder below the room that holds this build.
        zone: TZ.
        locale: Variables of the locale.
        umask: File mode mask.
        hash_seed: PYTHONHASHSEED.
        user: User id and name to appear as; None for our own.
        host: Host name; None for our own.
        home: Name of the home folder.
        backwards: List folders in the opposite order.
        touched: Give files other modification times than the epoch.
        cpus: Processors to see; None for all.
        through_sdist: Build the wheel a second time, from the source archive.
        clock: Seconds to shift the clock by; None for the real time.
        stopped: Stop the clock at this many seconds after 1970; None for a running one.
        fixed_addresses: Load programs at the same addresses each time.
    """

    epoch: int
    place: str = "first"
    zone: str = "UTC"
    locale: tuple[tuple[str, str], ...] = (("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8"))
    umask: int = _PUBLIC_MASK
    hash_seed: str = "0"
    user: tuple[int, str] | None = None
    host: str | None = None
    home: str = "home"
    backwards: bool = False
    touched: bool = False
    cpus: int | None = None
    through_sdist: bool = False
    clock: int | None = None
    stopped: int | None = None
    fixed_addresses: bool = False

    def environment(self, source: Path, temporary: Path) -> dict[str, str]:
        """Variables that these conditions mean, for a build of `source`.

        Args:
            source: The folder that is built: compilers are told to write `.` for it.
            temporary: The build's own TMPDIR, written as `/tmp`.
        """
        user = self.user[1] if self.user else "reproof"
        maps = f"-ffile-prefix-map={source}=. -ffile-prefix-map={temporary}=/tmp"
        env = {
            "SOURCE_DATE_EPOCH": str(self.epoch),
            "TZ": self.zone,
            "PYTHONHASHSEED": self.hash_seed,
            "PYTHONDONTWRITEBYTECODE": "1",
            "USER": user,
            "LOGNAME": user,
            "CFLAGS": maps,
            "CXXFLAGS": maps,
            "RUSTFLAGS": f"--remap-path-prefix={source}=.",
            "ZERO_AR_DATE": "1",
            **dict(self.locale),
        }
        if self.clock is not None or self.stopped is not None:
            # libfaketime reads an absolute time as that of the zone
            local = None if self.stopped is None else self.stopped + _OFFSETS.get(self.zone, 0)
            env.update(_faked(self.clock, local))
        return env


def control(epoch: int) -> Conditions:
    """The conditions of the controlled build; times before 1980 become 1980, where zip begins."""
    return Conditions(epoch=max(epoch, _EARLIEST))


def varied(base: Conditions, factors: Iterable[str]) -> Conditions:
    """`base` with each of `factors` (names of :data:`FACTORS`) changed."""
    changes: dict[str, object] = {}
    for factor in factors:
        changes.update(_CHANGES[factor]())
    return msgspec.structs.replace(base, **changes)


def available(*, sandboxed: bool) -> tuple[tuple[str, ...], tuple[NotExercised, ...]]:
    """Which factors can be varied on this machine, and why the others cannot.

    Args:
        sandboxed: Builds run in bubblewrap, which gives them a user and a host name of their own.
    """
    missing: dict[str, str] = {}
    if not sandboxed:
        missing["user"] = missing["host name"] = "it takes bubblewrap"
    if faketime() is None:
        missing["clock"] = "libfaketime is not installed (apt-get install faketime)"
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        missing["CPU count"] = "there is one processor"
    exercised = tuple(name for name in FACTORS if name not in missing)
    return exercised, tuple(NotExercised(name, reason) for name, reason in missing.items())


@lru_cache(maxsize=1)
def faketime() -> Path | None:
    """The library that shifts clocks, where it is installed."""
    for root in _LIBRARIES:
        for pattern in _FAKETIME:
            found = sorted([*Path(root).glob(pattern), *Path(root).glob(f"*/{pattern}")])
            if found:
                return found[0]
    return None


@lru_cache(maxsize=1)
def other_locale() -> tuple[tuple[str, str], ...]:
    """A locale unlike C.UTF-8: an installed one that sorts otherwise, else plain ASCII."""
    try:
        done = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False)
        installed = done.stdout.split()
    except OSError:
        installed = []
    for wanted in _ODD_LOCALES:
        for name in installed:
            if name.startswith(wanted) and "utf" in name.lower():
                return (("LANG", name), ("LC_ALL", name))
    return (("LANG", "C"), ("LC_ALL", "C"), ("PYTHONCOERCECLOCALE", "0"), ("PYTHONUTF8", "0"))


def _faked(shift: int | None, stopped: int | None) -> dict[str, str]:
    """Variables of libfaketime (https://github.com/wolfcw/libfaketime); files and timers keep the real time."""
    from datetime import UTC, datetime

    words = f"{shift or 0:+d}"
    if stopped is not None:
        words = datetime.fromtimestamp(stopped + (shift or 0), UTC).strftime("%Y-%m-%d %H:%M:%S")
    library = faketime()
    assert library is not None
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": words,
        "NO_FAKE_STAT": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


_CHANGES: dict[str, Callable[[], dict[str, object]]] = {
    "path": lambda: {"place": "a-longer-path-than-that-of-the-first/second"},
    "clock": lambda: {"clock": _LATER},
    "user": lambda: {"user": (_OTHER_USER, "somebody-else")},
    "host name": lambda: {"host": "elsewhere"},
    "home": lambda: {"home": "another-home"},
    "file order": lambda: {"backwards": True},
    "CPU count": lambda: {"cpus": 1},
    "time zone": lambda: {"zone": _FAR_EAST},
    "locale": lambda: {"locale": other_locale()},
    "umask": lambda: {"umask": _PRIVATE_MASK},
    "hash seed": lambda: {"hash_seed": "424242"},
    "modification times": lambda: {"touched": True},
    "way to the wheel": lambda: {"through_sdist": True},
}
