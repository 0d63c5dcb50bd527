from __future__ import annotations

from pathlib import Path

import pytest

from reproof.project.hydra_config import HydraMain, overrides, read_main

FILES = {
    "conf/config.yaml": """
defaults:
  - optimizer: sgd
  - optional data: null
  - experiment: plain
  - _self_
epochs: 3
tag: base
label: "7"
small: 1e-3
layers: [8, 8]
name: ${optimizer.kind}-run
model:
  width: 4
  drop: null
hydra:
  job: {chdir: true}
""",
    "conf/optimizer/sgd.yaml": "kind: sgd\nlr: 0.01\n",
    "conf/optimizer/adam.yaml": "kind: adam\nlr: 0.001\nbeta: 0.9\n",
    "conf/experiment/plain.yaml": "# @package _global_\nrepeats: 2\n",
}
MAIN = HydraMain(path="conf", name="config")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "main"),
    [
        (
            "import hydra\n@hydra.main(version_base=None, config_path='conf', config_name='config')\ndef f(c): ...",
            MAIN,
        ),
        ("from hydra import main as m\n@m(config_path='conf', config_name='config')\ndef f(c): ...", MAIN),
        ("import hydra\n@hydra.main()\ndef f(c): ...", HydraMain()),
        ("import hydra\n@hydra.main(config_name=NAME)\ndef f(c): ...", HydraMain()),
        ("@main(config_name='x')\ndef f(c): ...", None),
        ("import hydra\nhydra.initialize()", None),
        ("def f(:", None),
    ],
)
def test_the_decorator_is_read(source: str, main: HydraMain | None) -> None:
    assert read_main(source) == main


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, []),
        ({"optimizer.lr": "0.1"}, ["optimizer.lr=0.1"]),
        ({"lr": "0.1", "epochs": "3"}, ["optimizer.lr=0.1"]),
        (
            {"optimizer": "adam", "optimizer.lr": "0.001", "optimizer.beta": "0.5"},
            ["optimizer=adam", "optimizer.beta=0.5"],
        ),
        ({"optimizer": "sgd"}, []),
        ({"model.width": "8", "width": "8"}, ["model.width=8"]),
        ({"tag": "two words, it's"}, ["tag='two words, it\\'s'"]),
        ({"tag": "12"}, ["tag='12'"]),
        ({"label": "8"}, ["label=8"]),
        ({"small": "0.001"}, []),
        ({"small": "0.002"}, ["small=0.002"]),
        ({"layers": "[4, 4]"}, ["layers=[4, 4]"]),
        ({"tag": "None"}, ["tag=null"]),
        ({"model.drop": "None"}, []),
        ({"repeats": "5"}, ["repeats=5"]),
        (
            {
                "name": "adam-run",
                "model": "{'width': 1}",
                "unknown": "1",
                "job": "1",
                "hydra.job.chdir": "False",
            },
            [],
        ),
    ],
)
def test_parameters_become_overrides(top: Path, parameters: dict[str, str], words: list[str]) -> None:
    assert overrides(MAIN, top / "train.py", top, parameters)[0] == words


def test_nothing_outside_of_the_clone_is_read(top: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "config.yaml").write_text("epochs: 3\n")
    (top / "conf/linked.yaml").symlink_to(other / "config.yaml")
    asked = {"epochs": "4"}
    script = top / "train.py"
    assert overrides(HydraMain(path="conf", name="linked"), script, top, asked) == ([], [])
    assert overrides(HydraMain(path=str(other), name="config"), script, top, asked) == ([], [])
    assert overrides(HydraMain(path="conf", name=""), script, top, asked) == ([], [])
    assert overrides(MAIN, script, top, {"optimizer": "../../../" + other.name}) == ([], [])
    (top / "conf/bad.yaml").write_text("epochs: [\n")
    assert overrides(HydraMain(path="conf", name="bad"), script, top, asked) == ([], [])
