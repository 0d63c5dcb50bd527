"""Everything that differs between two records, as the smallest things that can be swapped."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

import msgspec

from reproof.execute.profiles import THREADS
from reproof.model.explanation import KINDS, Factor
from reproof.model.record import EnvironmentSection, HardwareSection, Record
from reproof.model.table import ENDINGS
from reproof.workflow.explain.packages import differing

#: Groups of factors, the likeliest first; the search begins with whole groups.
GROUPS = ("parameters", "code", "data", "chance", "environment", "variables", "machine")

#: Variables that decide which kernels of a library are used.
_ISA = frozenset(
    {
        "OPENBLAS_CORETYPE",
        "NPY_DISABLE_CPU_FEATURES",
        "NPY_ENABLE_CPU_FEATURES",
        "ATEN_CPU_CAPABILITY",
        "ONEDNN_MAX_CPU_ISA",
        "DNNL_MAX_CPU_ISA",
        "MKL_CBWR",
        "MKL_ENABLE_INSTRUCTIONS",
        "MKL_DEBUG_CPU_TYPE",
        "GLIBC_TUNABLES",
    }
)
#: Variables that shells and terminals set, and that come and go.
_OF_SHELLS = frozenset(
    {"_", "OLDPWD", "PWD", "SHLVL", "TERM", "COLUMNS", "LINES", "COLORTERM", "TERM_PROGRAM"}
)
LEADER = "OMP_NUM_THREADS"  # the profile gives its number to the libraries that have a variable of their own
_THREADS = frozenset({*THREADS, "GOTO_NUM_THREADS", "MKL_DOMAIN_NUM_THREADS", "NUMBA_NUM_THREADS"})
_DATA = ENDINGS | {
    *(".npy", ".npz", ".txt", ".jsonl", ".ndjson", ".dat", ".data", ".h5", ".hdf5", ".pkl", ".joblib"),
    *(".png", ".jpg", ".jpeg", ".gz", ".zip", ".bin", ".libsvm", ".svm", ".arff", ".xlsx", ".sqlite", ".db"),
}


class Atom(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest thing that can be swapped.

    Attributes:
        id: Names it among all: ``package:numpy``, ``file:train.py#2``.
        kind: As of :class:`Factor`.
        name: As of :class:`Factor`; the parts of one file share it.
        group: One of :data:`GROUPS`.
        before: In A.
        after: In B.
        where: ``file:line``; of data ``file:first-last``.
        seen: What hints at it: the run read the file, or imported the package.
        obstacle: Why it cannot be swapped here.
    """

    id: str
    kind: str
    name: str
    group: str
    before: str | None = None
    after: str | None = None
    where: str | None = None
    seen: bool = True
    obstacle: str | None = None

    @property
    def unit(self) -> str:
        """What it is a part of."""
        return self.id.partition("#")[0]


def likelihood(atom: Atom) -> tuple[bool, bool, int]:
    """Sorts atoms, the likeliest cause first.

    What can be swapped; what the run read or imported before what it did not; by kind, in the order of
    :data:`reproof.model.explanation.KINDS`.
    """
    return atom.obstacle is not None, not atom.seen, KINDS.index(atom.kind)


def as_factors(atoms: Sequence[Atom]) -> tuple[Factor, ...]:
    """The factors that the atoms are parts of, the likeliest first."""
    ordered = sorted(atoms, key=likelihood)
    by_unit: dict[str, list[Atom]] = {}
    for atom in ordered:
        by_unit.setdefault(atom.unit, []).append(atom)
    return tuple(_factor(parts) for parts in by_unit.values())


def _factor(parts: Sequence[Atom]) -> Factor:
    first = parts[0]
    alone = len(parts) == 1
    return Factor(
        kind=first.kind,
        name=first.name,
        before=first.before if alone else None,
        after=first.after if alone else None,
        where=_place(parts),
        parts=len(parts),
        obstacle=first.obstacle,
    )


def _place(parts: Sequence[Atom]) -> str | None:
    """Where the parts of one file are: from the first to the last of consecutive blocks of data, else the first."""
    first = parts[0]
    if first.kind != "data" or first.where is None or len(parts) == 1:
        return first.where
    ordered = sorted(parts, key=lambda each: each.id)
    numbers = [int(each.id.rpartition("#")[2]) for each in ordered]
    start, last = ordered[0].where, ordered[-1].where
    if start is None or last is None or numbers[-1] - numbers[0] != len(numbers) - 1:
        return start
    file, _, line = start.rpartition(":")
    begin, end = line.partition("-")[0], last.rpartition(":")[2].rpartition("-")[2]
    return f"{file}:{begin}-{end}"


def is_data(path: str, read: bool) -> bool:
    """Whether a file of the repository is data: the run read it, and it is of no kind that programs have."""
    suffix = PurePosixPath(path).suffix.lower()
    if path.endswith(".dvc") or suffix in ENDINGS:
        return True
    return suffix in _DATA and read


def of_chance(before: Record, after: Record) -> Iterator[Atom]:
    """Seed, profile, and what is done about entropy."""
    one, two = before.randomness, after.randomness
    rows = (
        ("seed", _text(one.seed), _text(two.seed)),
        ("profile", one.profile, two.profile),
        ("entropy", one.entropy, two.entropy),
    )
    for kind, left, right in rows:
        if left != right:
            yield Atom(id=kind, kind=kind, name=kind, group="chance", before=left, after=right)


def of_variables(before: Record, after: Record) -> Iterator[Atom]:
    """Variables one by one, and the permissions of new files; what follows the seed, or LEADER, belongs to that."""
    one, two = before.environment, after.environment
    tied = threads_that_follow(before, after)
    if hash_seed_is_tied(before, after):
        tied |= {"PYTHONHASHSEED"}
    for name in sorted({*one.variables, *two.variables}):
        left, right = one.variables.get(name), two.variables.get(name)
        if left == right or name in tied:
            continue
        kind = "threads" if name in _THREADS else "isa" if name in _ISA else "variable"
        yield Atom(id=f"variable:{name}", kind=kind, name=name, group="variables", before=left, after=right)
    names = [{*side.variables, *side.variable_names} for side in (one, two)]
    for name in sorted((names[0] ^ names[1]) - {*one.variables, *two.variables} - _OF_SHELLS):
        here, there = ("set" if name in side else None for side in names)
        yield Atom(
            id=f"variable:{name}",
            kind="variable",
            name=name,
            group="variables",
            before=here,
            after=there,
            seen=False,
            obstacle="its value is not recorded (`record-env` records it)",
        )
    if one.umask and two.umask and one.umask != two.umask:
        yield Atom(
            id="umask", kind="variable", name="umask", group="variables", before=one.umask, after=two.umask
        )


def hash_seed_is_tied(before: Record, after: Record) -> bool:
    """Whether the seed of Python's hashes follows the seed on both sides, which differ in it."""
    return before.randomness.seed != after.randomness.seed and all(
        side.randomness.seed is None
        or side.environment.variables.get("PYTHONHASHSEED") == str(side.randomness.seed % 2**32)
        for side in (before, after)
    )


def threads_that_follow(before: Record, after: Record) -> frozenset[str]:
    """Numbers of threads that the profile set on both sides to what LEADER says, which differs."""
    values = [side.environment.variables.get(LEADER) for side in (before, after)]
    if None in values or values[0] == values[1]:
        return frozenset()
    set_by_us = before.randomness.variables.keys() & after.randomness.variables.keys()
    return frozenset(THREADS).intersection(set_by_us) - {LEADER}


def of_environment(before: Record, after: Record, *, divisible: bool, pythons: str | None) -> Iterator[Atom]:
    """Packages one by one where both locks can be mixed, else the environment as a whole; Python.

    Args:
        before: A.
        after: B.
        divisible: Whether the locks can be mixed.
        pythons: Why one of the two interpreters cannot be had here; None where both can.
    """
    one, two = before.environment, after.environment
    packages = differing(one, two)
    if not divisible:
        yield from _whole_environment(one, two, packages)
        return
    used = _imported(before, after)
    for name, (left, right) in packages.items():
        yield Atom(
            id=f"package:{name}",
            kind="package",
            name=name,
            group="environment",
            before=left,
            after=right,
            seen=_module(name) in used,
        )
    if other_python(one, two):
        left, right = _python(one), _python(two)
        yield Atom(
            id="python",
            kind="python",
            name="python",
            group="environment",
            before=left,
            after=right,
            obstacle=pythons,
        )


def _whole_environment(
    one: EnvironmentSection, two: EnvironmentSection, packages: Mapping[str, tuple[str | None, str | None]]
) -> Iterator[Atom]:
    """The environments as one thing to swap, called by the one package, Python or image that differs."""
    images = _image(one), _image(two)
    python = other_python(one, two)
    if not packages and not python and images[0] == images[1] and one.kind == two.kind:
        return
    sides: tuple[str | None, str | None] = _shown(one), _shown(two)
    kind = name = "environment"
    if images[0] != images[1]:
        kind, name, sides = "image", "image", images
    elif len(packages) == 1 and not python:
        ((name, sides),) = packages.items()
        kind = "package"
    elif python and not packages:
        kind, name, sides = "python", "python", (_python(one), _python(two))
    same_place = one.kind == two.kind == "local" and _executable(one) == _executable(two)
    obstacle = "the user's own environment was changed in its place, and has no lock" if same_place else None
    yield Atom(
        id="environment",
        kind=kind,
        name=name,
        group="environment",
        before=sides[0],
        after=sides[1],
        obstacle=obstacle,
    )


def of_machine(before: HardwareSection, after: HardwareSection, cpus: int) -> Iterator[Atom]:
    """The machine: only the number of CPUs can be swapped, and only to fewer than there are.

    Args:
        before: A.
        after: B.
        cpus: CPUs that we have.
    """
    one, two = before.affinity, after.affinity
    if one and two and one != two:
        obstacle = None if max(one, two) <= cpus else f"needs {max(one, two)} CPUs, here are {cpus}"
        yield Atom(
            id="cpus",
            kind="threads",
            name="CPUs",
            group="machine",
            before=str(one),
            after=str(two),
            obstacle=obstacle,
        )
    flags = [
        " ".join(sorted(set(side.cpu_flags) - set(other.cpu_flags)))
        for side, other in ((before, after), (after, before))
    ]
    rows = (
        ("isa", "CPU instruction sets", flags[0], flags[1]),
        ("hardware", "CPU", before.cpu_model, after.cpu_model),
        ("hardware", "GPUs", ", ".join(before.gpus), ", ".join(after.gpus)),
        ("hardware", "GPU driver", before.gpu_driver, after.gpu_driver),
        ("system", "C library", before.libc, after.libc),
        ("system", "kernel", before.kernel, after.kernel),
        ("system", "system", before.system, after.system),
    )
    for kind, name, left, right in rows:
        if left != right:
            needs = "another system" if kind == "system" else "other hardware"
            yield Atom(
                id=f"machine:{name}",
                kind=kind,
                name=name,
                group="machine",
                before=left or None,
                after=right or None,
                obstacle=f"needs {needs}",
            )


def of_libraries(before: EnvironmentSection, after: EnvironmentSection) -> Iterator[Atom]:
    """Shared libraries of the system that are not the same: listed, never swapped."""
    one, two = (
        {
            each.path: each.package or each.build_id or each.digest or ""
            for each in side.native
            if not each.path.startswith("${")
        }
        for side in (before, after)
    )
    for path in sorted(one.keys() & two.keys()):
        if one[path] != two[path]:
            yield Atom(
                id=f"native:{path}",
                kind="native library",
                name=path,
                group="machine",
                before=one[path],
                after=two[path],
                obstacle="needs another system",
            )


def other_python(one: EnvironmentSection, two: EnvironmentSection) -> bool:
    """Whether the interpreters differ in version or build."""
    if one.python is None or two.python is None:
        return one.python is not two.python
    facts = [(side.implementation, side.version, side.build) for side in (one.python, two.python)]
    return facts[0] != facts[1]


def _python(section: EnvironmentSection) -> str | None:
    return None if section.python is None else section.python.version


def _executable(section: EnvironmentSection) -> str | None:
    return None if section.python is None else section.python.executable


def _image(section: EnvironmentSection) -> str | None:
    return None if section.image is None else section.image.digest or section.image.id


def _shown(section: EnvironmentSection) -> str:
    return f"{section.kind}, Python {_python(section)}, {len(section.distributions)} packages"


def _imported(*records: Record) -> set[str]:
    return set(itertools.chain.from_iterable(each.byproducts.modules for each in records))


def _module(package: str) -> str:
    known = {"scikit-learn": "sklearn", "pyyaml": "yaml", "pillow": "PIL", "opencv-python": "cv2"}
    return known.get(package, package.replace("-", "_"))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
