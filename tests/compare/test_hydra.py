from __future__ import annotations

from pathlib import Path

import pytest

from reproof.compare.hydra import PATHS, STAMPS, SWEEP_PATHS, kind_of, set_aside

CONFIG = """hydra:
  run:
    dir: outputs/${now:%Y-%m-%d}
  runtime:
    version: 1.3.8
    cwd: /home/ada/work
    config_sources:
    - path: hydra.conf
      schema: pkg
    - path: /home/ada/work/conf
      schema: file
    - path: /home/ada/workshop/conf
    output_dir: /home/ada/work/outputs/NOW
    note: /home/ada/work
"""


def test_which_files_are_hydras() -> None:
    beside = frozenset({"out/.hydra/hydra.yaml", "out/train.log", "other/train.log"})
    assert kind_of("out/.hydra/hydra.yaml", beside) == PATHS
    assert kind_of("out/train.log", beside) == STAMPS
    for name in ("other/train.log", "out/.hydra/config.yaml", "hydra.yaml", "out/train.txt"):
        assert kind_of(name, beside) is None


def test_a_sweep_is_known_by_the_runs_below_it() -> None:
    beside = frozenset(
        {"m/now/0/.hydra/hydra.yaml", "m/by/model/a/.hydra/hydra.yaml", "one/.hydra/hydra.yaml"}
    )
    for name in ("m/now/multirun.yaml", "m/by/multirun.yaml"):
        assert kind_of(name, beside) == SWEEP_PATHS
    for name in ("one/multirun.yaml", "m/now/0/multirun.yaml", "other/multirun.yaml", "m/now/other.yaml"):
        assert kind_of(name, beside) is None


@pytest.mark.parametrize("kind", [PATHS, SWEEP_PATHS])
def test_paths_of_the_project_are_taken_out_of_three_fields(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "hydra.yaml"
    path.write_text(CONFIG)
    assert set_aside(path, kind, lambda text: text.replace("NOW", "{time}"))
    left = path.read_text().splitlines()
    changed = [line.strip() for line in left if "{project}" in line]
    assert changed == [
        "cwd: {project}",
        "- path: {project}/conf",
        "output_dir: {project}/outputs/{time}",
    ]
    assert "    note: /home/ada/work" in left
    assert "    - path: /home/ada/workshop/conf" in left


@pytest.mark.parametrize("text", ["", "hydra: {}\n", "\xff", "    output_dir: /elsewhere\n"])
def test_other_files_are_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hydra.yaml"
    path.write_bytes(text.encode("latin-1"))
    assert not set_aside(path, PATHS, str.upper)
    assert path.read_bytes() == text.encode("latin-1")


def test_times_stand_at_the_start_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text(
        "[2026-11-23 17:58:55,958][a][INFO] - [2026-11-23 17:58:55,958][x]\n2026-11-23 17:58:55,958\n"
    )
    assert set_aside(path, STAMPS, str)
    assert path.read_text() == "[time][a][INFO] - [2026-11-23 17:58:55,958][x]\n2026-11-23 17:58:55,958\n"
