"""Scripts as users write them, without seeds, in each framework: equal with reproof's seed, and by it alone.

Frameworks that take long to import share a script, and a script is run once for all tests of it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from projects import Project, user_environment

SCRIPTS = Path(__file__).parent / "scripts"

#: What each script needs, and which results it has.
GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "plain": (("numpy", "scipy", "pandas"), ("random", "numpy", "numpy_generator", "scipy", "pandas")),
    "learners": (
        ("sklearn", "xgboost", "lightgbm", "catboost", "optuna", "gymnasium"),
        ("sklearn", "xgboost", "lightgbm", "catboost", "optuna", "gymnasium"),
    ),
    "networks": (("torch", "transformers", "lightning"), ("torch", "loader", "transformers", "lightning")),
    "ranks": (("torch",), ("ddp",)),
    "graphs": (("tensorflow", "keras"), ("tensorflow", "keras", "tf_data")),
    "keys": (("jax",), ("jax", "jax_stateful")),
}
LAUNCHERS = {
    "ranks": ("torchrun", "--standalone", "--nproc-per-node", "2"),
}


class Runs(NamedTuple):
    """The results of one script under different seeds, and the record of the first run."""

    seeded: dict[str, Any]
    again: dict[str, Any]
    other: dict[str, Any]
    unseeded: dict[str, Any]
    unseeded_again: dict[str, Any]
    record: dict[str, Any]


@pytest.fixture(scope="session")
def runs_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Runs]:
    """Runs a script five times, once for all tests of this worker."""
    done: dict[str, Runs] = {}
    folder = tmp_path_factory.mktemp("frameworks")

    def runs(group: str) -> Runs:
        if group not in done:
            project = Project(folder / group, environment(folder))
            project.folder.mkdir(exist_ok=True)
            shutil.copy(SCRIPTS / f"{group}.py", project.folder)
            project.write(".gitignore", "result.json\ncheckpoint.pt\n")
            project.commit()
            first = carry_out(project, group, "42")
            record = project.record()
            seeds = ("42", "43", "none", "none")
            done[group] = Runs(first, *(carry_out(project, group, seed) for seed in seeds), record)
        return done[group]

    return runs


def environment(folder: Path) -> dict[str, str]:
    """The variables of a user of reproof's own; what frameworks say at their start stays out of the way."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {**user_environment(home), **quiet}


def carry_out(project: Project, group: str, seed: str) -> dict[str, Any]:
    (project.folder / "result.json").unlink(missing_ok=True)
    launcher = LAUNCHERS.get(group, ("python",))
    words = ("--seed", seed, "--no-log", "--env-manager", "local", "--", *launcher, f"{group}.py")
    project.reproof("run", *words, expect=0)
    result: dict[str, Any] = json.loads((project.folder / "result.json").read_text())
    return result


def parameters() -> list[Any]:
    return [
        pytest.param(
            group,
            name,
            id=name,
            marks=[pytest.mark.frameworks, pytest.mark.needs(*needs), pytest.mark.xdist_group(group)],
        )
        for group, (needs, names) in GROUPS.items()
        for name in names
    ]


@pytest.mark.parametrize(("group", "name"), parameters())
def test_equal_with_a_seed_and_by_it_alone(group: str, name: str, runs_of: Callable[[str], Runs]) -> None:
    runs = runs_of(group)
    assert runs.seeded[name] == runs.again[name]
    assert runs.seeded[name] != runs.other[name]
    assert runs.unseeded[name] not in (runs.seeded[name], runs.unseeded_again[name])


@pytest.mark.frameworks
@pytest.mark.needs("torch", "transformers", "lightning")
@pytest.mark.xdist_group("networks")
def test_resumed_training_is_the_uninterrupted_one(runs_of: Callable[[str], Runs]) -> None:
    runs = runs_of("networks")
    assert runs.seeded["resumed_is_uninterrupted"]
    assert runs.seeded["loader_workers_differ"]


@pytest.mark.frameworks
@pytest.mark.needs("torch")
@pytest.mark.xdist_group("ranks")
def test_ranks_have_streams_of_their_own(runs_of: Callable[[str], Runs]) -> None:
    runs = runs_of("ranks")
    assert runs.seeded["ranks_agree"]
    assert runs.seeded["ranks_draw_differently"]
    assert runs.seeded["threads_of_ranks"] == [1]


@pytest.mark.frameworks
@pytest.mark.needs("jax")
@pytest.mark.xdist_group("keys")
def test_stateful_generators_have_streams_of_their_own(runs_of: Callable[[str], Runs]) -> None:
    assert runs_of("keys").seeded["streams_differ"]


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("group", "applied"),
    [
        pytest.param(
            group, applied, marks=[pytest.mark.needs(*GROUPS[group][0]), pytest.mark.xdist_group(group)]
        )
        for group, applied in (
            ("plain", {"random", "numpy.random"}),
            ("networks", {"torch"}),
            ("graphs", {"tensorflow"}),
            ("keys", {"jax.random.stateful_rng"}),
        )
    ],
)
def test_what_was_seeded_is_recorded(group: str, applied: set[str], runs_of: Callable[[str], Runs]) -> None:
    record = runs_of(group).record
    assert applied <= set(record["randomness"]["applied"])
    assert record["randomness"]["profile"] == "default"
    subjects = {each["subject"] for each in record.get("omissions", [])}
    assert not {
        subject for subject in subjects if subject.startswith(("hook", "import of", "torch", "tensorflow"))
    }


REFUSED = """
import tensorflow as tf
tf.nn.fractional_max_pool(tf.ones((1, 8, 8, 1)), [1.0, 1.5, 1.5, 1.0])
"""


@pytest.mark.frameworks
@pytest.mark.needs("tensorflow")
@pytest.mark.xdist_group("graphs")
def test_an_operation_that_refuses_names_the_way_out(tmp_path: Path) -> None:
    project = Project(tmp_path / "refused", environment(tmp_path))
    project.folder.mkdir()
    project.write("train.py", REFUSED)
    project.commit()
    words = ("--seed", "42", "--no-log", "--env-manager", "local")
    result = project.reproof("run", *words, "--", "python", "train.py", expect=1)
    assert "determinism" in result.err.partition("randomness:")[0]  # the library's own words
    last = " ".join(result.err.rpartition("randomness:")[2].split())
    assert "if that is why the command failed, pass `--determinism off`" in last
    project.reproof("run", *words, "--determinism", "off", "--", "python", "train.py", expect=0)
