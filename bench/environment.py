"""What an environment costs: made from a warm cache, checked before reuse, and run in a sandbox.

    python bench/environment.py [--rounds N] [--requirement NAME ...]

Prints JSON lines: medians in seconds, and ratios against what nobody can do without. Rounds are
interleaved; PYTHONDONTWRITEBYTECODE is off. The first resolution and download need an index.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from reproof.environment import (
    Environment,
    EnvironmentRequest,
    LockSource,
    check,
    check_contents,
    create,
    find_python,
    make_lock,
)
from reproof.environment.install import link_mode
from reproof.environment.manifest import changed_since, write_manifest
from reproof.environment.uv import find_uv, uv_environment
from reproof.execute import (
    BubblewrapRunner,
    Confinement,
    DockerRunner,
    ProcessRunner,
    Watch,
    docker,
    probe,
    visible,
)
from reproof.model.recipe import Recipe

PYPROJECT = (
    '[project]\nname = "bench"\nversion = "1"\nrequires-python = "=={version}"\ndependencies = {names}\n'
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requirement", nargs="*", default=["mlflow", "scikit-learn", "pandas", "pyarrow"])
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["REPROOF_CACHE_DIR"] = str(folder / "cache")
        creation(folder, options.requirement, options.rounds)
        reuse(folder, options.rounds)
        sandbox(folder, options.rounds * 5)


def creation(folder: Path, names: list[str], rounds: int) -> None:
    project = folder / "project"
    project.mkdir()
    python = find_python()
    (project / "pyproject.toml").write_text(PYPROJECT.format(version=python.version, names=json.dumps(names)))
    (project / "requirements.txt").write_text("\n".join(names))
    env = uv_environment(UV_PROJECT_ENVIRONMENT=str(folder / "plain"))
    uv(["lock", "--quiet", "--python", python.path], project, env)
    mode = link_mode(folder)
    locks = {
        "uv.lock": LockSource(kind="uv.lock", folder=project, file="uv.lock"),
        "requirements": LockSource(kind="requirements", folder=project, file="requirements.txt"),
    }
    requests = {
        kind: EnvironmentRequest(lock=make_lock(source, python), python=python, folder=project)
        for kind, source in locks.items()
    }
    (project / "lock.txt").write_text(requests["requirements"].lock.text)
    sync = ["sync", "--quiet", "--frozen", "--python", python.path, "--link-mode", mode]
    install = [
        "pip",
        "sync",
        "--quiet",
        "--require-hashes",
        "--link-mode",
        mode,
        "--python",
        folder / "plain/bin/python",
    ]

    def plain_pip() -> None:
        uv(["venv", "--quiet", "--python", python.path, folder / "plain"], project, env)
        uv([*install, project / "lock.txt"], project, env)

    plain: dict[str, Callable[[], object]] = {
        "uv.lock": lambda: uv(sync, project, env),
        "requirements": plain_pip,
    }
    for kind, request in requests.items():
        ours: list[tuple[float, float]] = []
        theirs: list[tuple[float, float]] = []
        for _ in range(rounds + 1):
            theirs.append(costs(plain[kind]))
            shutil.rmtree(folder / "plain")
            ours.append(costs(lambda request=request: create(request, folder / "ours")))
            shutil.rmtree(folder / "ours")
        for number, unit in enumerate(("wall", "cpu")):
            plain_uv, reproof = (median([cost[number] for cost in side[1:]]) for side in (theirs, ours))
            ratio = round(reproof / plain_uv, 3)
            say(
                what="create",
                lock=kind,
                link_mode=mode,
                unit=unit,
                plain_uv=plain_uv,
                reproof=reproof,
                ratio=ratio,
                limit=1.3,
            )
    state(create(requests["requirements"]), rounds)
    peers(project, names)


def peers(project: Path, names: list[str]) -> None:
    """The same packages by pip in a virtualenv, as `mlflow run --env-manager virtualenv` makes its environments."""
    place = project.parent / "virtualenv"

    def by_pip() -> None:
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        command = [place / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, "--no-deps", "--requirement", project / "lock.txt"], check=True)

    wall, cpu = costs(by_pip)
    shutil.rmtree(place)
    say(what="create", by="virtualenv and pip", packages=names, wall=round(wall, 3), cpu=round(cpu, 3))


def state(environment: Environment, rounds: int) -> None:
    files = sum(len(names) for _, _, names in os.walk(environment.folder))
    size = sum(path.lstat().st_size for path in environment.folder.rglob("*"))
    stat = median([seconds(lambda: check(environment)) for _ in range(rounds)])
    content = median([seconds(lambda: check_contents(environment)) for _ in range(rounds)])
    say(what="check", files=files, bytes=size, states=stat, contents=content)


def reuse(folder: Path, rounds: int, files: int = 40_000) -> None:
    """Checking by file states costs by the file, whatever their size: as many as a 5 GB environment has."""
    tree = folder / "large"
    for number in range(files):
        path = tree / f"package{number // 50}" / f"module{number % 50}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    write_manifest(tree, tree)
    walls, cpus = zip(*(costs(lambda: changed_since(tree, tree)) for _ in range(rounds)), strict=True)
    say(what="check before reuse", files=files, seconds=median([*walls]), cpu=median([*cpus]), limit=0.2)


def sandbox(folder: Path, rounds: int) -> None:
    if reason := probe():
        say(what="bubblewrap", skipped=reason)
        return
    prefix = Path(sys.base_prefix)
    runners = [
        ProcessRunner(),
        BubblewrapRunner(Confinement(writable=(folder,), read_only=visible([prefix]))),
    ]
    program = str(Path(sys.executable).resolve())
    argv = (program, "-I", "-S", "-c", "pass")
    recipe = Recipe(argv=argv, env={"PATH": "/usr/bin:/bin"}, cwd=str(folder))
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for runner, took in zip(runners, times, strict=True):
            took.append(runner.run(recipe, Watch()).seconds)
    plain, confined = median(times[0]), median(times[1])
    say(what="bubblewrap", plain=plain, confined=confined, added=round(confined - plain, 4), limit=0.02)
    if reason := docker.probe():
        say(what="docker", skipped=reason)
        return
    contained = DockerRunner(Confinement(writable=(folder,), read_only=visible([prefix])))
    took = median([contained.run(recipe, Watch()).seconds for _ in range(max(3, rounds // 5))])
    say(what="docker", plain=plain, confined=took, added=round(took - plain, 4))


def uv(arguments: list[str | Path], cwd: Path, env: dict[str, str]) -> None:
    subprocess.run([find_uv(), *arguments], cwd=cwd, env=env, check=True)


def seconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def costs(action: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds, those of child processes included."""
    before = os.times()
    took = seconds(action)
    after = os.times()
    return took, sum(after[:4]) - sum(before[:4])


def median(values: list[float]) -> float:
    return round(statistics.median(values), 4)


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
