"""Whole projects of which two runs differ in known things: the cause is found, and nothing else is said."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from projects import Project, Result, known_stores, user_environment

SCRIPT = """
import json, os, random, sys

rate = float(sys.argv[1])
rows = [float(line) for line in open("data.txt")]
weight = random.random()
for row in rows:
    weight += rate * (row - weight)
weight += 0.5 if os.environ.get("TZ") == "EST5" else 0
json.dump({"weight": weight, "failed": 0}, open("model.json", "w"))
"""
ROWS = "".join(f"{random.Random(n).random()}\n" for n in range(40))
FILES = {
    "train.py": SCRIPT,
    "data.txt": ROWS,
    "README.md": "what it is\n",
    ".gitignore": "model.json\nkept.csv\n",
}

Make = Callable[..., Project]

pytestmark = pytest.mark.usefixtures("warm")


def run(project: Project, *words: str, seed: str = "1", expect: int = 0, **env: str) -> str:
    """Record a run; its id."""
    command = words or ("--", "python", "train.py", "0.1")
    options = ["run", "-q", "--no-log", "--env-manager", "local", "--seed", seed]
    project.reproof(*options, *command, expect=expect, **env)
    return str(project.records()[-1].stem)


def edit(project: Project, name: str, old: str, new: str) -> None:
    path = project.folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def restore(project: Project) -> None:
    project.shell("git checkout -q -- .")


class Runs:
    """One project, and runs of it that differ in one or two things from `base`."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.ids = {"base": run(project), "seed": run(project, seed="2")}
        self.ids["variable"] = run(project, TZ="EST5", OMP_NUM_THREADS="3")
        edit(project, "README.md", "is", "was")
        self.ids["argument"] = run(project, "--", "python", "train.py", "0.2")
        restore(project)
        edit(project, "train.py", "import json, os", "import os, json")
        edit(project, "train.py", "(row - weight)", "(row - weight / 2)")
        edit(project, "train.py", "json.dump({", "json.dump(obj={")
        edit(project, "train.py", ", open(", ", fp=open(")
        self.ids["code"] = run(project)
        edit(project, "train.py", "weight / 2", "weight / 3")
        self.ids["code and seed"] = run(project, seed="2")
        restore(project)
        rows = ROWS.splitlines()
        rows[3], rows[17] = rows[3] + "0", "9.0"  # the first is the same number
        project.write("data.txt", "\n".join(rows) + "\n")
        self.ids["row"] = run(project)
        restore(project)
        edit(project, "train.py", "rate * (", "[][0] * rate * (")
        self.ids["failed"] = run(project, expect=1)
        restore(project)

    def ask(self, one: str, two: str, *words: str, expect: int | None = 0) -> Result:
        names = [self.ids[each] for each in (one, two)]
        return self.project.reproof("explain", *names, "--output-format", "json", *words, expect=expect)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    base = tmp_path_factory.mktemp("explain")
    (base / "home").mkdir()
    project = Project(base / "project", user_environment(base / "home"))
    project.env.update(
        REPROOF_DATA_DIR=str(base / "data"),
        REPROOF_CONFIG_DIR=str(base / "config"),
        REPROOF_CACHE_DIR=str(base / "cache"),
    )
    known_stores(base / "cache")
    for role in ("AUTHOR", "COMMITTER"):
        project.env.update({f"GIT_{role}_NAME": "Test", f"GIT_{role}_EMAIL": "test@example.org"})
    project.folder.mkdir()
    for name, text in FILES.items():
        project.write(name, text)
    project.commit()
    return Runs(project)


def only_cause(answer: Any) -> Any:
    assert answer["status"] == "proven", answer
    (cause,) = answer["causes"]
    assert "restores A" in answer["evidence"][1]
    return cause


@pytest.mark.parametrize(
    ("other", "kind", "name", "sides"),
    [
        ("argument", "parameter", "argument 2", ("0.1", "0.2")),
        ("seed", "seed", "seed", ("1", "2")),
        ("variable", "variable", "TZ", ("UTC", "EST5")),
    ],
)
def test_one_cause(runs: Runs, other: str, kind: str, name: str, sides: tuple[str, str]) -> None:
    answer = runs.ask("base", other).json
    cause = only_cause(answer)
    assert (cause["kind"], cause["name"], cause["from"], cause["to"]) == (kind, name, *sides)
    # The variables that reproof sets as this one says are no factors of their own.
    threads = [each["name"] for each in answer["factors"] if each["kind"] == "threads"]
    assert threads == (["OMP_NUM_THREADS"] if other == "variable" else [])


def test_a_line_of_code_among_others(runs: Runs) -> None:
    cause = only_cause(runs.ask("base", "code").json)
    assert (cause["kind"], cause["name"], cause["where"]) == ("code", "train.py", "train.py:8")
    assert "weight / 2" in cause["to"]


def test_a_row_of_data(runs: Runs) -> None:
    cause = only_cause(runs.ask("base", "row", "--jobs", "2").json)
    assert (cause["kind"], cause["where"], cause["to"]) == ("data", "data.txt:18", "9.0")


def test_two_causes_and_what_each_does(runs: Runs) -> None:
    answer = runs.ask("base", "code and seed").json
    assert {each["kind"] for each in answer["causes"]} == {"code", "seed"}
    assert sum("alone gives a third result" in line for line in answer["evidence"]) == 2
    page = runs.ask("base", "code and seed", "--output-format", "html").out  # all of it is remembered
    assert "2 of 2 runs" in page
    assert "train.py:8" in page


def test_a_run_that_failed(runs: Runs) -> None:
    answer = runs.ask("base", "failed").json
    assert only_cause(answer)["where"] == "train.py:8"
    assert "exit status" in answer["subjects"]


def test_a_budget_leaves_suspects_and_the_next_call_goes_on(runs: Runs) -> None:
    answer = runs.ask("seed", "code", "--budget", "3", expect=1).json
    assert (answer["status"], answer["causes"]) == ("suspected", [])
    assert "not found within the budget of 3 re-runs" in answer["reason"]
    assert [each["kind"] for each in answer["suspects"]] == ["code", "seed"]
    answer = runs.ask("seed", "code").json
    assert (answer["status"], answer["remembered"]) == ("proven", 3)


def test_nothing_to_explain(runs: Runs) -> None:
    assert runs.ask("base", "base", expect=2).err.startswith("error: cannot explain the run")
    answer = runs.ask("base", "row", "--metric", "model.json:failed", expect=3).json
    assert answer["status"] == "not found"
    assert "does not differ by more than 0 %" in answer["reason"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--metric", "rmse"), "A has no metric `rmse`"),
        (("--worse-than", "1%"), "`--worse-than` needs a metric"),
        (("--metric", "model.json:weight", "--worse-than", "much"), "`much` is no share of a metric"),
        (("--budget", "1"), "`1` is no budget"),
    ],
)
def test_what_makes_no_sense(runs: Runs, words: Sequence[str], said: str) -> None:
    assert said in runs.ask("base", "row", *words, expect=2).err


def test_runs_of_different_projects(runs: Runs) -> None:
    project = runs.project
    project.shell("mkdir inner && cp train.py data.txt inner/")
    project.commit()
    inner = project.reproof(
        "run", "-q", "--no-log", "--env-manager", "local", "inner", "-e", "train.py", expect=1
    )
    assert "IndexError" in inner.err or inner.status == 1  # it wants an argument
    runs.ids["inner"] = project.records()[-1].stem
    assert "error: A and B are runs of different projects" in runs.ask("base", "inner", expect=2).err
    runs.ask("base", "inner", "--force", "--budget", "2", expect=None)


def test_the_same_set_up_twice_and_other_results(make_project: Make) -> None:
    project = make_project(
        {
            "train.py": "import json, os\njson.dump(os.getpid(), open('model.json', 'w'))\n",
            ".gitignore": "*.json\n",
        }
    )
    for _ in range(2):
        run(project, "--", "python", "train.py")
    answer = project.reproof("explain", "last~1", "last", "--budget", "2", "--output-format", "json").json
    assert "the set-ups of A and B do not differ" in " ".join([answer["reason"], *answer["evidence"]])


STEPS = """
import json, steps
json.dump({"test": {"rmse": 10 + sum(value for name, value in vars(steps).items() if name[0] == "S")}}, open("metrics.json", "w"))
"""


def test_the_commit_that_made_a_score_worse(make_project: Make) -> None:
    project = make_project({"train.py": STEPS, "steps.py": "S = 0.0\n", ".gitignore": "metrics.json\n"})
    run(project, "--", "python", "train.py")
    lines = [f"S{n} = {0.2 if n == 19 else 0.001}" for n in range(1, 31)]
    project.shell(
        "; ".join(f"echo '{line}' >> steps.py; git commit -qam 'step {n}'" for n, line in enumerate(lines, 1))
    )
    run(project, "--", "python", "train.py")
    words = ["--metric", "metrics.json:test.rmse", "--worse-than", "0.5%", "--budget", "12"]
    answer = project.reproof("explain", "last~1", "last", *words, "--output-format", "json", expect=0).json
    cause = only_cause(answer)
    assert cause["name"].endswith("step 19")
    assert cause["where"] == "steps.py:20"
    assert answer["runs"] <= 12


def wheel(folder: Path, name: str, version: str, needs: str = "") -> str:
    """A small package, packed; its line of a lock."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VALUE = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text)}\n")
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"])
    target = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(target.read_bytes()).hexdigest()}\n"


def test_a_package_and_what_it_needs(make_project: Make, tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()

    def lock(version: str) -> str:
        needs = f"Requires-Dist: inner=={version}\n"
        lines = [wheel(folder, name, version) for name in ("inner", "one", "two", "three")]
        return f"--find-links {folder}\n" + "".join([*lines, wheel(folder, "outer", version, needs)])

    script = "import json, inner, outer, one, two, three\njson.dump(outer.VALUE, open('model.json', 'w'))\n"
    files = {"train.py": script, "requirements.txt": lock("1.0"), ".gitignore": "model.json\n"}
    project = make_project(files)
    words = ("run", "-q", "--no-log", "--seed", "1", "-e", "train.py")
    project.reproof(*words, expect=0, UV_OFFLINE="1")
    project.write("requirements.txt", lock("2.0"))
    project.commit()
    project.reproof(*words, expect=0, UV_OFFLINE="1")
    answer = project.reproof(
        "explain", "last~1", "last", "--offline", "--output-format", "json", expect=0
    ).json
    assert {each["name"] for each in answer["causes"]} == {"inner", "outer"}
    assert {each["kind"] for each in answer["causes"]} == {"package"}


WITHIN = ("--metric", "model.json:rmse", "--worse-than", "0.5%", "--budget", "18", "--output-format", "json")


def test_data_that_only_the_store_has(make_project: Make) -> None:
    script = "import json\nrows = [float(row) for row in open('kept.csv')]\njson.dump({'rmse': sum(r > 5 for r in rows) + 1}, open('model.json', 'w'))\n"
    project = make_project({"train.py": script, ".gitignore": "model.json\nkept.csv\n"})
    chance = random.Random(1)
    for guilty in ("", "7.5"):
        rows = [str(chance.random()) for _ in range(300)]
        rows[200] = guilty or rows[200]
        project.write("kept.csv", "\n".join(rows) + "\n")
        project.reproof("keep", "kept.csv", expect=0)
        run(project, "--", "python", "train.py")
    cause = only_cause(project.reproof("explain", "last~1", "last", *WITHIN, expect=0).json)
    assert (cause["kind"], cause["where"]) == ("data", "kept.csv:201-202")  # a block of two rows


def test_rows_that_lie_across_two_blocks_of_a_table(make_project: Make) -> None:
    script = (
        "import json, pyarrow.parquet as pq\n"
        "rows = pq.read_table('rows.parquet').column('x').to_pylist()\n"
        "json.dump({'rmse': 1 + 0.004 * sum(row > 5 for row in rows)}, open('model.json', 'w'))\n"
    )
    project = make_project({"train.py": script, ".gitignore": "model.json\n"})
    chance = random.Random(1)
    for guilty in (range(0), range(302, 309)):  # the blocks are of five rows
        rows = [9.0 if row in guilty else chance.random() for row in range(1200)]
        pq.write_table(pa.table({"x": rows}), project.folder / "rows.parquet")
        project.commit()
        run(project, "--", "python", "train.py")
    answer = project.reproof("explain", "last~1", "last", *WITHIN, expect=0).json
    assert only_cause(answer)["where"] == "rows.parquet:301-310"
    assert answer["runs"] <= 15


def test_where_the_budget_is_too_small_for_rows_the_file_is_proven(make_project: Make) -> None:
    script = (
        "import json\n"
        "rows = [float(row) for row in open('rows.csv')]\n"
        "json.dump({'rmse': 1 + (sum(row > 5 for row in rows) >= 3)}, open('model.json', 'w'))\n"
    )
    project = make_project({"train.py": script, ".gitignore": "model.json\n"})
    chance = random.Random(1)
    for guilty in ((), (2, 8, 14)):
        rows = [7.5 if row in guilty else chance.random() for row in range(16)]
        project.write("rows.csv", "".join(f"{row}\n" for row in rows))
        project.commit()
        run(project, "--", "python", "train.py")
    words = ("--metric", "model.json:rmse", "--budget", "10", "--output-format", "json")
    answer = project.reproof("explain", "last~1", "last", *words, expect=0).json
    assert (only_cause(answer)["name"], answer["causes"][0]["parts"]) == ("rows.csv", 16)
    assert answer["runs"] <= 10


def test_one_of_many_files_that_git_does_not_know(make_project: Make) -> None:
    script = (
        "import json, pathlib\n"
        "rows = [float(row) for path in pathlib.Path('days').iterdir() for row in path.read_text().split()]\n"
        "json.dump({'rmse': 1 + sum(row > 5 for row in rows)}, open('model.json', 'w'))\n"
    )
    project = make_project({"train.py": script, ".gitignore": "model.json\ndays/\n"})
    chance = random.Random(1)
    for guilty in (None, 137):
        for day in range(200):
            rows = [chance.random(), 7.5 if day == guilty else chance.random()]
            project.write(f"days/{day:03}.txt", "".join(f"{row}\n" for row in rows))
        project.reproof("keep", "days", expect=0)
        run(project, "--", "python", "train.py")
    answer = project.reproof("explain", "last~1", "last", *WITHIN, expect=0).json
    assert only_cause(answer)["where"] == "days/137.txt:2"
    assert answer["runs"] <= 15


def test_data_that_is_gone(make_project: Make) -> None:
    project = make_project(
        {
            "train.py": "open('model.txt', 'w').write(open('kept.csv').read())\n",
            ".gitignore": "model.txt\nkept.csv\n",
        }
    )
    for text in ("1\n", "2\n"):
        project.write("kept.csv", text)
        run(project, "--", "python", "train.py")
    for path in (project.folder / ".reproof/objects").rglob("*"):
        if path.is_file() and path.read_bytes() == b"1\n":
            path.unlink()
    answer = project.reproof("explain", "last~1", "last", "--output-format", "json").json
    assert answer["status"] in ("suspected", "not found")
    assert answer["factors"][0]["obstacle"]
    assert json.dumps(answer)
