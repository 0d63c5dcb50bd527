"""[tool.reproof]: every key read, every mistake named by its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from reproof.errors import ProjectError
from reproof.model.difference import Outcome
from reproof.model.policy import Tolerance
from reproof.project.settings import Settings, read_settings

FULL = """\
[tool.reproof]
seed = 42
entropy = "record"
experiment = "bikes"
products = ["outputs/**", "./model.pkl"]
materials = ["~/data/*.csv", "/data/x"]
network = true
pass-env = ["OMP_NUM_THREADS"]
max-kept-bytes = "2 GiB"
max_untracked_bytes = 1000
resources = {cpus = 2, GPU = 0.5}

[tool.reproof.environment]
python = "3.12"
extras = ["gpu"]
groups = []

[tool.reproof.compare]
rtol = 1e-6
ulp = 2

[[tool.reproof.compare.rules]]
pattern = "logs/*"
ignore = "contains the time of day"

[[tool.reproof.compare.rules]]
pattern = "metric:loss"
atol = 1
accept = "identical"

[[tool.reproof.compare.rules]]
pattern = "plots/*"
stable = "name"
"""

BAD = {
    "syntax": "[tool.reproof]\nseed = \n",
    "not_a_table": "tool.reproof = 3\n",
    "unknown_key": "[tool.reproof]\nprodcts = []\n",
    "unknown_key_unlike": "[tool.reproof]\nzzz = []\n",
    "unknown_table": "[tool.reproof.enviroment]\n",
    "two_spellings": "[tool.reproof]\npass-env = []\npass_env = []\n",
    "seed_text": '[tool.reproof]\nseed = "42"\n',
    "seed_negative": "[tool.reproof]\nseed = -1\n",
    "seed_large": "[tool.reproof]\nseed = 4294967296\n",
    "entropy_misspelt": '[tool.reproof]\nentropy = "forbit"\n',
    "entropy_truth": "[tool.reproof]\nentropy = true\n",
    "seed_truth": "[tool.reproof]\nseed = true\n",
    "products_text": '[tool.reproof]\nproducts = "outputs/*"\n',
    "products_number": "[tool.reproof]\nproducts = [3]\n",
    "products_outside": '[tool.reproof]\nproducts = ["../x"]\n',
    "network_text": '[tool.reproof]\nnetwork = "yes"\n',
    "variable_with_value": '[tool.reproof]\npass-env = ["A=1"]\n',
    "size": '[tool.reproof]\nmax-kept-bytes = "2 apples"\n',
    "size_negative": "[tool.reproof]\nmax-kept-bytes = -1\n",
    "resources_number": "[tool.reproof]\nresources = 2\n",
    "resources_zero": "[tool.reproof.resources]\nGPU = 0\n",
    "resources_text": '[tool.reproof.resources]\nmax-gpus = "two"\n',
    "resources_truth": "[tool.reproof.resources]\nGPU = true\n",
    "resources_nan": "[tool.reproof.resources]\nGPU = nan\n",
    "python_number": "[tool.reproof.environment]\npython = 3.11\n",
    "accept_unknown": '[tool.reproof.compare]\naccept = "unknown"\n',
    "accept_misspelled": '[tool.reproof.compare]\naccept = "equivalnt"\n',
    "rtol_negative": "[tool.reproof.compare]\nrtol = -1.0\n",
    "rtol_nan": "[tool.reproof.compare]\nrtol = nan\n",
    "atol_infinite": "[tool.reproof.compare]\natol = inf\n",
    "ulp_float": "[tool.reproof.compare]\nulp = 1.5\n",
    "rules_table": "[tool.reproof.compare.rules]\npattern = 'x'\n",
    "rule_without_pattern": '[[tool.reproof.compare.rules]]\nignore = "why"\n',
    "rule_unknown_key": '[[tool.reproof.compare.rules]]\npattern = "x"\nignor = "why"\n',
    "ignore_without_reason": '[[tool.reproof.compare.rules]]\npattern = "x"\nignore = true\n',
    "ignore_empty": '[[tool.reproof.compare.rules]]\npattern = "x"\nignore = " "\n',
    "stable_unknown": '[[tool.reproof.compare.rules]]\npattern = "x"\nstable = "date"\n',
}


def write(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_every_key(tmp_path: Path) -> None:
    found = read_settings(write(tmp_path, FULL))
    assert (found.seed, found.entropy) == (42, "record")
    assert found.experiment == "bikes"
    assert found.products == ("outputs/**", "model.pkl")
    assert found.materials == ("~/data/*.csv", "/data/x")
    assert found.network is True
    assert found.pass_env == ("OMP_NUM_THREADS",)
    assert found.max_kept_bytes == 2 * 1024**3
    assert found.max_untracked_bytes == 1000
    assert found.resources == {"cpus": 2.0, "GPU": 0.5}
    assert (found.environment.python, found.environment.extras, found.environment.groups) == (
        "3.12",
        ("gpu",),
        (),
    )
    assert found.source == tmp_path / "pyproject.toml"
    policy = found.policy
    assert policy.accept is Outcome.CLOSE
    assert policy.tolerance == Tolerance(rtol=1e-6, ulp=2)
    assert policy.rule_for("logs/a.txt").ignore == "contains the time of day"
    assert policy.rule_for("logs/a.txt").tolerance == policy.tolerance
    assert policy.rule_for("metric:loss").accept is Outcome.IDENTICAL
    assert policy.rule_for("metric:loss").tolerance == Tolerance(atol=1.0)
    assert policy.rule_for("plots/a.png").stable == "name"


@pytest.mark.parametrize(
    "text", [None, "", "[project]\nname = 'x'\n", "[tool.reproof]\n", "[tool]\nreproof = {}\n"]
)
def test_everything_is_optional(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        write(tmp_path, text)
    found = read_settings(tmp_path)
    defaults = Settings(source=found.source)
    assert found == defaults
    assert found.policy.accept is Outcome.EQUIVALENT
    assert found.max_kept_bytes == 1024**3
    assert found.max_untracked_bytes == 50_000_000


def test_no_seed_is_a_word(tmp_path: Path) -> None:
    assert read_settings(write(tmp_path, "[tool.reproof]\nseed = 'none'\n")).seed == "none"


def test_accept_wins_over_what_a_tolerance_implies(tmp_path: Path) -> None:
    text = "[tool.reproof.compare]\nrtol = 0.1\naccept = 'equivalent'\n"
    assert read_settings(write(tmp_path, text)).policy.accept is Outcome.EQUIVALENT


def test_a_rule_with_its_own_tolerance_accepts_it(tmp_path: Path) -> None:
    text = "[[tool.reproof.compare.rules]]\npattern = '*.csv'\nrtol = 0.1\n"
    policy = read_settings(write(tmp_path, text)).policy
    assert policy.accept is Outcome.EQUIVALENT
    assert policy.rule_for("x.csv").accept is Outcome.CLOSE


def test_nearest_file_with_the_table_counts_up_to_the_top(tmp_path: Path) -> None:
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    write(tmp_path, "[tool.reproof]\nseed = 1\n")
    write(tmp_path / "a", "[project]\nname = 'x'\n")
    assert read_settings(inner, tmp_path).seed == 1
    assert read_settings(inner, tmp_path / "a").seed is None
    assert read_settings(inner).seed is None
    write(inner, "[tool.reproof]\nseed = 2\n")
    assert read_settings(inner, tmp_path).seed == 2


@pytest.mark.parametrize("name", BAD)
def test_mistakes(tmp_path: Path, golden, name: str) -> None:
    with pytest.raises(ProjectError) as caught:
        read_settings(write(tmp_path, BAD[name]))
    golden(f"project/settings_{name}", caught.value)


def test_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(ProjectError):
        read_settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ('"50 MB"', 50_000_000), ('"1.5GiB"', 1_610_612_736), ('"7 b"', 7)]
)
def test_sizes(tmp_path: Path, text: str, size: int) -> None:
    assert read_settings(write(tmp_path, f"[tool.reproof]\nmax-kept-bytes = {text}\n")).max_kept_bytes == size
