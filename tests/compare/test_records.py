"""Every section of a set-up that differs is listed, and none that does not."""

from __future__ import annotations

import msgspec
import pytest

from reproof.compare.records import compare_set_ups
from reproof.model.artifact import Artifact
from reproof.model.randomness import RandomnessSection
from reproof.model.record import (
    CodeSection,
    Distribution,
    EnvironmentSection,
    HardwareSection,
    NativeLibrary,
    ProjectSection,
    PythonBuild,
    Record,
    Submodule,
    Tool,
)

BASE = Record(
    tool=Tool(version="1"),
    state="finished",
    created="",
    nonce="",
    project=ProjectSection(name="p", command="train 1", parameters={"rate": "0.1"}),
    code=CodeSection(commit="a" * 40, tree="b" * 40, submodules=(Submodule(path="sub", commit="c"),)),
    environment=EnvironmentSection(
        kind="uv",
        python=PythonBuild(version="3.11.7", build="main"),
        distributions=(Distribution(name="numpy", version="2.3.5", record="aa"),),
        native=(NativeLibrary(path="/lib/libm.so", build_id="01"),),
        variables={"OMP_NUM_THREADS": "2"},
    ),
    hardware=HardwareSection(host="h", cpu_model="x", cpus=2, affinity=2),
    randomness=RandomnessSection(seed=1, seed_source="option"),
    materials=(Artifact(name="data.csv", digests={"blake3": "0" * 64}),),
)


def changed(section: str, **values: object) -> Record:
    return msgspec.structs.replace(
        BASE, **{section: msgspec.structs.replace(getattr(BASE, section), **values)}
    )


def test_equal_set_ups_have_no_factors() -> None:
    assert compare_set_ups(BASE, msgspec.structs.replace(BASE, nonce="other", created="later")) == ()


@pytest.mark.parametrize(
    ("other", "section", "words"),
    [
        (changed("project", parameters={"rate": "0.2"}), "command", "parameter rate: 0.1 -> 0.2"),
        (changed("project", command="train 2"), "command", "command: train 1 -> train 2"),
        (changed("code", commit="d" * 40), "code", "commit"),
        (changed("code", submodules=()), "code", "submodule sub: c -> absent"),
        (
            changed("environment", python=PythonBuild(version="3.11.8", build="main")),
            "environment",
            "python: 3.11.7 -> 3.11.8",
        ),
        (
            changed("environment", distributions=(Distribution(name="numpy", version="2.4.6"),)),
            "environment",
            "package numpy: 2.3.5 -> 2.4.6",
        ),
        (
            changed("environment", distributions=(Distribution(name="numpy", version="2.3.5", record="bb"),)),
            "environment",
            "files of package numpy",
        ),
        (changed("environment", variables={}), "environment", "variable OMP_NUM_THREADS: 2 -> absent"),
        (
            changed("environment", native=(NativeLibrary(path="/lib/libm.so", build_id="02"),)),
            "environment",
            "native library",
        ),
        (
            changed(
                "environment",
                native=(
                    *BASE.environment.native,
                    NativeLibrary(path="/x.so", kind="OpenBLAS", version="0.3.30", architecture="Haswell"),
                ),
            ),
            "environment",
            "OpenBLAS: absent -> OpenBLAS 0.3.30, Haswell",
        ),
        (changed("hardware", cpu_model="y"), "hardware", "CPU: x -> y"),
        (changed("randomness", seed=2), "randomness", "seed: 1 -> 2"),
        (msgspec.structs.replace(BASE, materials=()), "materials", "data.csv"),
    ],
)
def test_each_factor_is_named(other: Record, section: str, words: str) -> None:
    (factor,) = compare_set_ups(BASE, other)
    assert factor.subject == section
    assert words in factor.summary
    assert [child.subject for child in factor.children]
