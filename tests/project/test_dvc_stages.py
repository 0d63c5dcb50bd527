"""dvc.yaml files: each feature read as the real DVC reads it, and each mistake named."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reproof.errors import ProjectError
from reproof.project.dvc_graph import chosen, read_pipeline

PARAMS = """\
seed: 42
lr: 1e-5
on: yes
octal: 010
models:
  small: {depth: 2, name: tiny}
  large: {depth: 8, name: huge}
sizes: [1, 2]
nested:
  list: [a, b]
  deep: {x: 1.5, flag: true}
"""

#: Name to files; every one is a project of its own.
PROJECTS: dict[str, dict[str, str]] = {
    "plain": {
        "dvc.yaml": """\
stages:
  evaluate:
    cmd: cp model.txt metrics.json
    deps: [model.txt]
    metrics: [{metrics.json: {cache: false}}]
  train:
    cmd: cp data.txt model.txt
    deps: [data.txt]
    params: [seed, nested.deep.x]
    outs: [model.txt]
"""
    },
    "command list and description": {
        "dvc.yaml": """\
stages:
  make:
    desc: two commands
    cmd:
      - echo one > one.txt
      - echo two > two.txt
    outs: [one.txt, two.txt]
  use:
    cmd: |
      cat one.txt > both.txt
      cat two.txt >> both.txt
    deps: [one.txt, two.txt]
    outs: [both.txt]
"""
    },
    "foreach list": {
        "dvc.yaml": """\
stages:
  part:
    foreach: [a, b, c]
    do:
      cmd: echo ${item} > ${item}.txt
      outs: ["${item}.txt"]
  whole:
    cmd: cat *.txt > whole
    deps: [a.txt, b.txt, c.txt]
    outs: [whole]
"""
    },
    "foreach mapping": {
        "dvc.yaml": """\
stages:
  train:
    foreach: ${models}
    do:
      cmd: echo ${key} ${item.depth} > ${item.name}.txt
      outs: ["${item.name}.txt"]
"""
    },
    "foreach of mappings": {
        "dvc.yaml": """\
stages:
  train:
    foreach:
      - {lr: 1, name: x}
      - {lr: 2, name: y}
    do:
      cmd: echo ${item.lr} > ${item.name}
      outs: ["${item.name}"]
"""
    },
    "matrix": {
        "dvc.yaml": """\
stages:
  train:
    matrix:
      model: [cnn, rnn]
      size: ${sizes}
      data: [{path: p, n: 1}, {path: q, n: 2}]
    cmd: echo ${key} ${item.data.n} > ${item.model}-${item.size}-${item.data.path}
    outs: ["${item.model}-${item.size}-${item.data.path}"]
"""
    },
    "vars": {
        "dvc.yaml": """\
vars:
  - more.json
  - other.toml:name,size
  - folder: out
stages:
  make:
    vars:
      - own: 7
    cmd: echo ${name} ${size} ${kind} ${own} ${nested.list[1]} > ${folder}-${seed}.txt
    outs: ["${folder}-${seed}.txt"]
""",
        "more.json": '{"kind": "fast"}',
        "other.toml": 'name = "n"\nsize = 3\nunused = 1\n',
    },
    "options": {
        "dvc.yaml": """\
stages:
  make:
    cmd: echo ${nested} \\${HOME} ${on} ${octal} ${lr} > out.txt
    outs: [out.txt]
"""
    },
    "wdir": {
        "dvc.yaml": """\
vars: [{place: sub}]
stages:
  inside:
    wdir: ${place}
    cmd: echo hi > there.txt
    params: [../params.yaml: [seed]]
    outs: [there.txt]
  after:
    cmd: cat sub/there.txt > end.txt
    deps: [sub/there.txt]
    outs: [end.txt]
""",
        "sub/keep": "",
    },
    "several files": {
        "dvc.yaml": """\
stages:
  last:
    cmd: cat one/out.txt two/out.txt > all.txt
    deps: [one/out.txt, two/out.txt]
    outs: [all.txt]
""",
        "one/dvc.yaml": "stages: {make: {cmd: echo 1 > out.txt, outs: [out.txt]}}\n",
        "two/dvc.yaml": "stages: {make: {cmd: 'echo ${x} > out.txt', outs: [out.txt], deps: [../one/out.txt]}}\n",
        "two/params.yaml": "x: 5\n",
    },
    "folders": {
        "dvc.yaml": """\
stages:
  split:
    cmd: mkdir parts && echo 1 > parts/a && echo 2 > parts/b
    outs: [parts]
  one:
    cmd: cat parts/a > one.txt
    deps: [parts/a]
    outs: [one.txt]
  deep:
    cmd: mkdir -p d/e && echo 1 > d/e/f
    outs: [d/e/f]
  above:
    cmd: ls d > listing
    deps: [d]
    outs: [listing]
"""
    },
    "flags": {
        "dvc.yaml": """\
stages:
  keep:
    cmd: echo 1 >> log.txt; echo 2 > plot.csv
    always_changed: true
    meta: {owner: me}
    outs:
      - log.txt: {persist: true, cache: false, desc: a log}
    plots:
      - plot.csv: {x: step, y: loss, title: Loss, cache: false}
  old:
    frozen: true
    cmd: echo 1 > old.txt
    deps: [log.txt]
    outs: [old.txt]
plots:
  - Together: {x: step, y: {plot.csv: loss}}
metrics: [metrics.json]
params: [params.yaml]
artifacts:
  model: {path: old.txt, type: model}
""",
    },
    "params files": {
        "dvc.yaml": """\
stages:
  make:
    cmd: echo > out.txt
    params:
      - seed
      - models.small
      - other.json: [a.b]
      - conf.toml:
      - const.py: [RATE, Net.layers]
    outs: [out.txt]
  next:
    cmd: echo > two.txt
    deps: [out.txt]
    params: [other.json: ]
    outs: [two.txt]
""",
        "other.json": '{"a": {"b": 1}}',
        "conf.toml": "x = 1\n",
        "const.py": "RATE = 0.5\nclass Net:\n    layers = [1, 2]\n",
    },
    "data files": {
        "dvc.yaml": "stages: {use: {cmd: cat data.csv > copy.csv, deps: [data.csv], outs: [copy.csv]}}\n",
        "data.csv": "a,b\n1,2\n",
        "data.csv.dvc": "outs:\n- md5: 0a05e1a3c1a1e2b1e4a5d6c7b8a90123\n  size: 8\n  hash: md5\n  path: data.csv\n",
    },
}


def write(top: Path, files: dict[str, str]) -> Path:
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    for name, text in {
        "params.yaml": PARAMS,
        ".dvc/config": "[core]\n    analytics = false\n",
        **files,
    }.items():
        place = top / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return top


def dvc(top: Path, *words: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("dvc"), *words], cwd=top, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.needs("dvc")
@pytest.mark.parametrize("name", PROJECTS)
def test_agrees_with_dvc(tmp_path: Path, name: str) -> None:
    top = write(tmp_path, PROJECTS[name])
    pipeline = read_pipeline(top)
    listed = [line.split("  ")[0].strip() for line in dvc(top, "stage", "list", "--all").splitlines()]
    stages = [line for line in listed if not line.endswith(".dvc")]
    assert sorted(stage.address for stage in pipeline.stages) == sorted(stages)
    arrows = re.findall(r'"(.*?)" -> "(.*?)"', dvc(top, "dag", "--dot"))
    assert set(pipeline.edges()) == set(arrows)


_DUMP = """
import json, sys
from dvc.repo import Repo
from dvc.stage.utils import split_params_deps
found = {}
for stage in Repo('.').index.stages:
    if not stage.cmd: continue
    params, deps = split_params_deps(stage)
    found[stage.addressing] = dict(
        cmd=stage.cmd, wdir=stage.wdir, deps=[d.def_path for d in deps],
        params={p.def_path: sorted(p.params) for p in params},
        outs=[[o.def_path, o.use_cache, o.persist, bool(o.metric), bool(o.plot)] for o in stage.outs],
        frozen=stage.frozen, always=stage.always_changed, desc=stage.desc or '')
json.dump(found, sys.stdout)
"""


@pytest.mark.needs("dvc")
@pytest.mark.parametrize("name", PROJECTS)
def test_means_what_dvc_means(tmp_path: Path, name: str) -> None:
    top = write(tmp_path.resolve(), PROJECTS[name])
    done = subprocess.run([sys.executable, "-c", _DUMP], cwd=top, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = json.loads(done.stdout)
    for stage in read_pipeline(top).stages:
        assert {
            "cmd": list(stage.cmd) if isinstance(stage.cmd, tuple) else stage.cmd,
            "wdir": str(top / stage.wdir),
            "deps": [dep.path for dep in stage.deps],
            "params": {each.path: sorted(each.keys) for each in stage.params},
            "outs": [[o.path, o.cache, o.persist, o.kind == "metric", o.kind == "plot"] for o in stage.outs],
            "frozen": stage.frozen,
            "always": stage.always_changed,
            "desc": stage.desc,
        } == expected[stage.address]


BAD = {
    "cycle": (
        "stages:\n  a: {cmd: x, deps: [b.txt], outs: [a.txt]}\n  b: {cmd: x, deps: [a.txt], outs: [b.txt]}\n",
        r"`dvc.yaml`: stages wait for each other: a -> b -> a|b -> a -> b",
    ),
    "own out": ("stages:\n  a: {cmd: x, deps: [t], outs: [t]}\n", r"line 2: stage `a`, `outs`: it reads `t`"),
    "overlapping outs": (
        "stages:\n  a: {cmd: x, outs: [d]}\n  b: {cmd: x, outs: [d/e]}\n",
        r"`dvc.yaml`, line 3: stage `b`, `outs`: it makes `d/e`, which overlaps .* stage `a`",
    ),
    "same out": (
        "stages:\n  a: {cmd: x, outs: [d]}\n  b: {cmd: x, metrics: [d]}\n",
        r"stage `b`, `metrics`: it makes `d`, which is also made by stage `a`",
    ),
    "unknown key": (
        "stages:\n  a:\n    cmd: x\n    dep: [d]\n",
        r"`dvc.yaml`, line 4: unknown key `stages.a.dep`; did you mean `deps`",
    ),
    "unknown top key": ("stage: {}\n", r"line 1: unknown key `stage`; did you mean `stages`"),
    "unknown option": (
        "stages:\n  a: {cmd: x, outs: [{d: {cach: false}}]}\n",
        r"`stages.a.outs\[0\]` gives `d` the unknown option `cach`",
    ),
    "undefined variable": (
        "stages:\n  a:\n    cmd: echo ${sed}\n",
        r"`dvc.yaml`, line 3: `stages.a.cmd` has `\$\{sed\}`, which has no value",
    ),
    "missing vars file": (
        "vars: [none.yaml]\n",
        r"line 1: `vars\[0\]` cannot be loaded: the parameters file `none.yaml`",
    ),
    "set again": ("vars: [{seed: 1}]\n", r"`vars\[0\]` sets `seed` again: it has a value from `params.yaml`"),
    "no command": ("stages:\n  a: {deps: [x]}\n", r"line 2: `stages.a` has no `cmd`"),
    "command of another type": ("stages:\n  a: {cmd: 7}\n", r"`stages.a.cmd` must be a text or a list"),
    "list in a text": ("stages:\n  a: {cmd: 'echo ${sizes}'}\n", r"`stages.a.cmd` has an expression for a list"),
    "foreach over a number": (
        "stages:\n  a: {foreach: '${seed}', do: {cmd: x}}\n",
        r"`stages.a.foreach` must be a list or a mapping, not the number `42`",
    ),
    "foreach without do": ("stages:\n  a: {foreach: [1]}\n", r"`stages.a` needs both"),
    "matrix of a text": ("stages:\n  a: {cmd: x, matrix: {m: y}}\n", r"`stages.a.matrix.m` must be a list"),
    "deps is a text": ("stages:\n  a: {cmd: x, deps: d}\n", r"`stages.a.deps` must be a list"),
    "flag": ("stages:\n  a: {cmd: x, frozen: 'no'}\n", r"`stages.a.frozen` must be `true` or `false`"),
    "remote path": ("stages:\n  a: {cmd: x, deps: ['s3://b/x']}\n", r"`stages.a.deps\[0\]` is the address"),
    "outside": ("stages:\n  a: {cmd: x, outs: [../y]}\n", r"`stages.a.outs\[0\]` has `../y`, which is not within"),
    "not a mapping": ("- 1\n", r"must be a mapping"),
    "not yaml": ("stages: [\n", r"this is not YAML"),
    "templated vars": ("vars: [{a: '${seed}'}]\n", r"`vars\[0\]` has an expression"),
    "bad name": ("stages:\n  a/b: {cmd: x}\n", r"`stages.a/b` has a name with one of"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_mistakes_are_named(tmp_path: Path, name: str) -> None:
    text, message = BAD[name]
    top = write(tmp_path, {"dvc.yaml": text})
    with pytest.raises(ProjectError, match=message):
        read_pipeline(top)


def test_unknown_stage(tmp_path: Path) -> None:
    pipeline = read_pipeline(write(tmp_path, PROJECTS["plain"]))
    with pytest.raises(ProjectError, match="has no stage `trian`") as caught:
        chosen(pipeline, ["trian"])
    assert caught.value.hint == "did you mean `train`?"


def test_targets_bring_what_they_depend_on(tmp_path: Path) -> None:
    pipeline = read_pipeline(write(tmp_path, PROJECTS["foreach list"]))
    assert [stage.address for stage in chosen(pipeline, ["whole"])] == ["part@a", "part@b", "part@c", "whole"]
    assert [stage.address for stage in chosen(pipeline, ["part"])] == ["part@a", "part@b", "part@c"]
    assert [stage.address for stage in chosen(pipeline, ["b.txt"])] == ["part@b"]


def test_data_in_dvc_files_cannot_be_made(tmp_path: Path) -> None:
    files = {**PROJECTS["data files"], "dvc.yaml": "stages: {a: {cmd: x, outs: [data.csv]}}\n"}
    with pytest.raises(ProjectError, match=r"which `data.csv.dvc` names as data"):
        read_pipeline(write(tmp_path, files))
