"""What people ask of a record first, as (label, text) pairs in sections: for text, HTML and Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from reproof.model.artifact import Artifact
from reproof.model.randomness import Draw, EntropyDraw, RandomnessSection, Reading
from reproof.model.record import CodeSection, EnvironmentSection, HardwareSection, Metric, Record
from reproof.report.chance import call_of, place_of
from reproof.report.numbers import count_text, seconds_text, shortest, size_text
from reproof.report.safe import plain
from reproof.report.words import date

Pairs = list[tuple[str, str]]

#: Instruction sets that change numeric results; the other flags only make the line longer.
_TELLING_FLAGS = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "asimd",
    "sve",
)


def essentials(record: Record, identity: str) -> dict[str, Pairs]:
    """The record in sections, empty ones left out; all text is already safe for any format.

    Sections: ``run``, ``code``, ``environment``, ``randomness``, ``hardware``, ``omissions``.
    """
    sections = {
        "run": _run(record, identity),
        "code": _code(record.code),
        "environment": _environment(record.environment),
        "randomness": _randomness(record.randomness),
        "hardware": _hardware(record.hardware),
        "not captured": [(plain(o.subject), plain(o.reason)) for o in record.omissions],
    }
    return {title: kept for title, pairs in sections.items() if (kept := [p for p in pairs if p[1]])}


def artifact_text(artifact: Artifact) -> str:
    """``554 KiB, blake3:9f2c41d0, from `data/bikes.csv.dvc```: one artifact without its name."""
    if artifact.kind == "symlink":
        return f"symlink to {plain(artifact.target or '?')}"
    parts = [size_text(artifact.size)]
    if artifact.digest is not None:
        parts.append(plain(artifact.digest.short))
    if artifact.source:
        parts.append(f"from {plain(artifact.source)}")
    elif artifact.origin not in ("tree", "captured"):
        parts.append(artifact.origin)
    if artifact.note:
        parts.append(plain(artifact.note))
    return ", ".join(parts)


def metric_values(metrics: Iterable[Metric]) -> Pairs:
    """Each metric with its last value, and how many steps it has."""
    found: dict[tuple[int, str], list[Metric]] = {}
    for metric in metrics:
        found.setdefault((metric.run, metric.key), []).append(metric)
    result = []
    for (run, key), steps in found.items():
        last = max(steps, key=lambda metric: metric.step)
        more = f" (last of {len(steps):,} steps)" if len(steps) > 1 else ""
        result.append((plain(f"{key} (run {run})" if run else key), plain(shortest(last.value)) + more))
    return result


def _run(record: Record, identity: str) -> Pairs:
    project, result = record.project, record.byproducts
    status = f", exit status {result.exit_status}" if result.exit_status is not None else ""
    usage = [seconds_text(result.seconds)] if result.seconds else []
    usage += [f"{seconds_text(result.cpu_seconds)} of CPU"] if result.cpu_seconds else []
    usage += [f"at most {size_text(result.peak_memory)} of memory"] if result.peak_memory else []
    return [
        ("record", plain(identity)),
        (
            "project",
            plain(project.name) + (f", in {plain(project.subdirectory)}" if project.subdirectory else ""),
        ),
        ("entry point", plain(project.entry_point or "")),
        ("command", plain(project.command, 1000)),
        ("state", plain(record.state) + status),
        ("made", plain(f"{date(record.created)} by {record.tool.name} {record.tool.version}".rstrip())),
        ("took", ", ".join(usage)),
        ("processes", count_text(len(result.processes), "Python process", "Python processes")),
        ("network", ", ".join(plain(address) for address in result.network[:20])),
    ]


def _code(code: CodeSection) -> Pairs:
    dirty = "clean"
    if code.dirty:
        parts = [f"patch of {size_text(code.patch.size)}"] if code.patch is not None else []
        parts += [count_text(len(code.untracked), "untracked file")] if code.untracked else []
        dirty = "changed: " + (", ".join(parts) or "nothing that Git tracks")
    return [
        ("commit", plain(code.commit)),
        ("branch", plain(code.branch or "")),
        (
            "remote",
            plain(code.remote or "") + (" (commit not pushed)" if code.unpushed and code.remote else ""),
        ),
        ("tree", dirty),
        ("submodules", ", ".join(plain(f"{module.path} {module.commit[:12]}") for module in code.submodules)),
    ]


def _environment(environment: EnvironmentSection) -> Pairs:
    python, lock = environment.python, environment.lock
    made = {"uv": "made from its lock", "local": "the user's own", "none": "no Python environment"}
    locked = ""
    if lock is not None:
        locked = f"{plain(lock.format)} from {plain(lock.source)}" + (
            ", resolved for this run" if lock.resolved else ""
        )
    return [
        ("environment", made[environment.kind]),
        (
            "Python",
            plain(f"{python.version} ({python.implementation}) {python.platform}".strip()) if python else "",
        ),
        ("lock", locked),
        ("without hash", ", ".join(plain(entry) for entry in (lock.unhashed if lock else ()))),
        (
            "packages",
            count_text(len(environment.distributions), "package") if environment.distributions else "",
        ),
        (
            "native libraries",
            count_text(len(environment.native), "library", "libraries") if environment.native else "",
        ),
        ("variables", ", ".join(plain(f"{k}={v}", 120) for k, v in environment.variables.items())),
        ("disagrees", ", ".join(plain(text) for text in environment.disagreements)),
    ]


def _randomness(randomness: RandomnessSection) -> Pairs:
    seed = "none" if randomness.seed is None else str(randomness.seed)
    return [
        ("seed", f"{seed} ({plain(randomness.seed_source)})" if randomness.seed is not None else seed),
        ("profile", plain(randomness.profile)),
        ("switches", _some([_reading(each) for each in randomness.readings if each.asked is not None])),
        ("applied by reproof", ", ".join(plain(name) for name in randomness.applied)),
        ("seeded by the code", _draws(randomness.seeded)),
        ("entropy", randomness.entropy),
        *(
            (label, _entropy([draw for draw in randomness.unseeded if draw.control == control]))
            for label, control in _CONTROLS
        ),
    ]


#: Headings of the draws of entropy, by whether they repeat.
_CONTROLS = (("uncontrolled", "uncontrolled"), ("controlled", "controlled"), ("harmless draws", "harmless"))


def _reading(each: Reading) -> str:
    """A switch as it was asked for, with what the library said where that is something else."""
    text = f"{each.what} {each.asked}"
    if each.where:
        text += f" at {each.where}"
    return text if each.answer in (None, each.asked) else f"{text} (answered {each.answer})"


def _draws(draws: tuple[Draw, ...]) -> str:
    return _some([f"{draw.what} at {draw.where}" if draw.where else draw.what for draw in draws])


def _entropy(draws: list[EntropyDraw]) -> str:
    return _some([f"{call_of(draw)} at {place_of(draw)}" for draw in draws])


def _some(texts: list[str]) -> str:
    shown = [plain(text) for text in texts[:8]]
    return ", ".join(shown) + (f" and {len(texts) - 8:,} more" if len(texts) > 8 else "")


def _hardware(hardware: HardwareSection) -> Pairs:
    flags = [flag for flag in _TELLING_FLAGS if flag in hardware.cpu_flags]
    usable = f", {hardware.affinity} usable" if hardware.affinity not in (0, hardware.cpus) else ""
    system = " ".join(plain(text) for text in (hardware.system, hardware.kernel, hardware.libc) if text)
    return [
        ("host", plain(hardware.host)),
        ("system", system),
        ("CPU", plain(hardware.cpu_model)),
        ("instruction sets", " ".join(flags)),
        ("CPUs", f"{hardware.cpus}{usable}" if hardware.cpus else ""),
        ("memory", size_text(hardware.memory) if hardware.memory else ""),
        ("GPUs", ", ".join(plain(gpu) for gpu in hardware.gpus)),
        ("GPU driver", plain(hardware.gpu_driver or "")),
    ]
