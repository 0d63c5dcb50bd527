"""Each way to be wrong: what is said, with which exit status, and that the hint, when pasted, cures it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from projects import Project, Result
from servers import MLflowServer

RUN = ("run", "--env-manager", "local", "--no-log")
WITH_UV = ("run", "--no-log")
TRAIN = "import sys\nopen('model.txt', 'w').write(sys.argv[1] if len(sys.argv) > 1 else 'none')\n"
MAIN = """name: small
entry_points:
  main:
    parameters:
      rate: {type: float, default: 0.5}
    command: "python train.py {rate}"
"""
PYTHON_ENV = """name: small
python_env: python_env.yaml
entry_points:
  main:
    command: "python train.py"
"""

Golden = Callable[[str, str], None]

pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture
def small(make_project: Callable[..., Project]) -> Project:
    """An MLproject with one parameter, whose training writes one file."""
    return make_project({"MLproject": MAIN, "train.py": TRAIN, ".gitignore": "model.txt\n"})


@pytest.fixture
def says(golden: Golden) -> Callable[[str, Result], Result]:
    """Compare what a failed command says with a golden text; what differs from run to run is left out."""

    def compare(name: str, result: Result) -> Result:
        text = re.sub(r"\b\d[\d,]* bytes", "N bytes", result.err)
        text = re.sub(r"\b[0-9a-f]{32}\.json", "<nonce>.json", text)
        text = re.sub(r"reproof-kept-\w+", "reproof-kept-<random>", text)
        golden(f"bad_input/{name}", text)
        return result

    return compare


def cured(project: Project, result: Result, *words: str, expect: int = 0, **placeholders: str) -> Result:
    """Do what the hint of `result` says, then the same command again, which must now end with `expect`.

    A command after `run` is pasted into a shell in the project; words after `pass` or `add` are put at
    the end of the command line. Placeholders are what only the user knows.
    """
    hint = re.findall(r"^hint: (.*)$", result.err, re.MULTILINE)[-1]
    match = re.search(r"\b(?P<verb>run|pass|add) `(?P<words>[^`]+)`", hint)
    assert match, f"not a hint that can be pasted: {hint}"
    text = match["words"]
    for name, value in placeholders.items():
        assert name in text
        text = text.replace(name, value)
    if match["verb"] == "run":
        project.shell(text)
        return project.reproof(*words, expect=expect)
    return project.reproof(*words, *text.split(), expect=expect)


def paste(project: Project, result: Result) -> Result:
    """Run the command that the last hint of `result` names."""
    commands = re.findall(r"^hint: .*?\brun `([^`]+)`", result.err, re.MULTILINE)
    return project.shell(commands[-1])


# The project ------------------------------------------------------------------------------------------


def test_no_git(make_project: Callable[..., Project], says) -> None:
    project = make_project({"MLproject": MAIN, "train.py": TRAIN}, commit=False)
    refused = says("no_git", project.reproof(*RUN, expect=125))
    assert not (project.folder / ".reproof").exists()
    for verb in ("verify", "list", "show", "sync"):
        result = project.reproof(verb, expect=2)
        assert result.err == (says("no_git_verify", result).err)
    cured(project, refused, *RUN)


def test_no_git_elsewhere(make_project: Callable[..., Project], says, tmp_path: Path) -> None:
    project = make_project({"MLproject": MAIN, "train.py": TRAIN}, commit=False, name="a project")
    here = Project(tmp_path, project.env)
    refused = says("no_git_elsewhere", here.reproof(*RUN, str(project.folder), expect=125))
    cured(here, refused, *RUN, str(project.folder))
    assert not (tmp_path / ".git").exists()


def test_no_commits(make_project: Callable[..., Project], says) -> None:
    project = make_project({"MLproject": MAIN, "train.py": TRAIN}, commit=False)
    project.shell("git init -q")
    refused = says("no_commits", project.reproof(*RUN, expect=125))
    cured(project, refused, *RUN)


def test_nothing_recorded_yet(small: Project, says) -> None:
    refused = says("nothing_recorded", small.reproof("verify", expect=2))
    assert not (small.folder / ".reproof").exists()
    assert paste(small, refused).status == 0
    small.reproof("verify", "--no-log", expect=0)


def test_nothing_to_run(make_project: Callable[..., Project], says) -> None:
    project = make_project({"train.py": TRAIN})
    refused = says("nothing_to_run", project.reproof(*RUN, expect=125))
    cured(project, refused, *RUN)
    (project.folder / "train.py").unlink()
    says("nothing_at_all_to_run", project.reproof(*RUN, expect=125))


BROKEN = {
    "not_yaml": MAIN.replace("name: small", "name: [small"),
    "two_environments": MAIN + "python_env: python_env.yaml\nconda_env: conda.yaml\n",
    "brace": MAIN.replace("{rate}", "{rate} | awk '{print $1}'"),
    "misspelled_brace": MAIN.replace("{rate}", "{raet}"),
    "unknown_type": MAIN.replace("float", "flaot"),
}
MENDED = {
    "not_yaml": ("[small", "small"),
    "two_environments": ("python_env: python_env.yaml\nconda_env: conda.yaml\n", ""),
    "brace": ("{print $1}", "{{print $1}}"),
    "misspelled_brace": ("{raet}", "{rate}"),
    "unknown_type": ("flaot", "float"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_mlproject(small: Project, says, name: str) -> None:
    file = small.write("MLproject", BROKEN[name])
    before = small.status()
    says(f"mlproject_{name}", small.reproof(*RUN, expect=125))
    assert small.status() == before
    assert not (small.folder / "model.txt").exists()
    file.write_text(BROKEN[name].replace(*MENDED[name]))  # what the message asks for
    small.reproof(*RUN, expect=0)


def test_unknown_key_is_a_warning(small: Project, says) -> None:
    small.write("MLproject", MAIN + "nmae: other\n")
    result = small.reproof(*RUN, expect=0)
    warnings = "".join(line + "\n" for line in result.err.splitlines() if line.startswith("warning:"))
    says("mlproject_unknown_key", result._replace(err=warnings))
    assert (small.folder / "model.txt").read_text() == "0.5"


# The command line -------------------------------------------------------------------------------------


def test_unknown_entry_point(small: Project, says) -> None:
    refused = says("unknown_entry_point", small.reproof(*RUN, "-e", "mian", expect=125))
    cured(small, refused, *RUN, "-e", "mian")
    says("unknown_entry_point_unlike", small.reproof(*RUN, "-e", "evaluate", expect=125))


def test_missing_script(small: Project, says) -> None:
    refused = says("missing_script", small.reproof(*RUN, "-e", "trian.py", expect=125))
    cured(small, refused, *RUN, "-e", "trian.py")


def test_missing_parameter(small: Project, says) -> None:
    small.write("MLproject", MAIN.replace(", default: 0.5", ""))
    refused = says("missing_parameter", small.reproof(*RUN, expect=125))
    cured(small, refused, *RUN, FLOAT="0.25")
    assert (small.folder / "model.txt").read_text() == "0.25"


def test_parameter_of_the_wrong_type(small: Project, says) -> None:
    refused = says("wrong_type", small.reproof(*RUN, "-P", "rate=high", expect=125))
    assert "given twice" in small.reproof(*RUN, "-P", "rate=high", "-P", "rate=1", expect=125).err
    cured(small, refused, *RUN)


def test_parameter_without_value(small: Project, says) -> None:
    says("parameter_without_value", small.reproof(*RUN, "-P", "rate", expect=125))


def test_path_parameter_that_does_not_exist(small: Project, says) -> None:
    small.write("MLproject", MAIN.replace("{type: float, default: 0.5}", "path"))
    small.write("confs/training.yaml", "")
    refused = says("missing_path", small.reproof(*RUN, "-P", "rate=confs/trainig.yaml", expect=125))
    cured(small, refused, *RUN)
    says("missing_path_unlike", small.reproof(*RUN, "-P", "rate=elsewhere/x.csv", expect=125))


def test_seed_that_is_no_number(small: Project, says) -> None:
    refused = says("bad_seed", small.reproof(*RUN, "--seed", "lucky", expect=125))
    cured(small, refused, *RUN)


def test_commit_that_is_gone(small: Project, golden: Golden) -> None:
    small.reproof(*RUN, expect=0)
    small.shell(f"git clone -q --bare . {small.folder.parent}/remote")
    commit = small.shell("git rev-parse HEAD").out.strip()
    small.shell(
        "git commit -q --amend -m other && git reflog expire --expire=now --all && git gc -q --prune=now"
    )
    refused = small.reproof("verify", expect=2)
    golden("bad_input/commit_gone", refused.err.replace(commit, "<commit>"))
    small.shell(f"git remote add origin {small.folder.parent}/remote")
    refused = small.reproof("verify", expect=2)
    golden("bad_input/commit_elsewhere", refused.err.replace(commit, "<commit>"))
    cured(small, refused, "verify")


# The environment --------------------------------------------------------------------------------------


def test_lock_that_does_not_match(make_project: Callable[..., Project], says) -> None:
    table = '[project]\nname = "small"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["idna==3.10"]\n'
    project = make_project({"pyproject.toml": table, "train.py": TRAIN, ".gitignore": "model.txt\n"})
    project.shell("uv lock -q")
    project.commit()
    project.write("pyproject.toml", table.replace('"idna==3.10"', '"idna==3.10", "six==1.17.0"'))
    command = (*WITH_UV, "--", "python", "train.py")
    refused = says("stale_lock", project.reproof(*command, expect=125))
    cured(project, refused, *command)
    assert {item["name"] for item in project.record()["environment"]["distributions"]} >= {"idna", "six"}


def locked(make_project: Callable[..., Project], python: str = "") -> Project:
    """A project with one package, locked by hash."""
    version = python or f"{sys.version_info[0]}.{sys.version_info[1]}"
    project = make_project(
        {
            "MLproject": PYTHON_ENV,
            "python_env.yaml": f"python: '{version}'\ndependencies:\n  - -r requirements.txt\n",
            "requirements.in": "idna==3.10\n",
            "train.py": "import idna\n" + TRAIN,
            ".gitignore": "model.txt\n",
        }
    )
    project.shell(
        "uv pip compile -q --generate-hashes --no-header --no-annotate requirements.in -o requirements.txt"
    )
    project.commit()
    return project


def test_hash_that_does_not_match(make_project: Callable[..., Project], says) -> None:
    project = locked(make_project)
    lock = (project.folder / "requirements.txt").read_text()
    other = re.sub(r"sha256:(.)", lambda match: "sha256:" + ("0" if match[1] != "0" else "1"), lock)
    project.write("requirements.txt", other)
    says("hash_mismatch", project.reproof(*WITH_UV, expect=125))
    assert not (project.folder / "model.txt").exists()
    project.write("requirements.txt", lock)
    project.reproof(*WITH_UV, expect=0)


def test_python_that_is_not_here(make_project: Callable[..., Project], golden: Golden) -> None:
    project = locked(make_project, python="3.99")
    refused = project.reproof(*WITH_UV, expect=125)
    here = ".".join(map(str, sys.version_info[:2]))
    assert re.search(rf"^ +(found +)?{re.escape(here)}\.\d+ at /", refused.err, re.MULTILINE)
    found = re.compile(r"^  found .*\n(^    .*\n)*", re.MULTILINE)
    golden("bad_input/missing_python", found.sub("  found  <the Pythons of this machine>\n", refused.err))
    text = (project.folder / "python_env.yaml").read_text()
    project.write("python_env.yaml", text.replace("3.99", "three point nine"))
    golden("bad_input/no_python_version", project.reproof(*WITH_UV, expect=125).err)
    project.write("python_env.yaml", text.replace("3.99", here))
    project.reproof(*WITH_UV, expect=0)


# Records ----------------------------------------------------------------------------------------------


@pytest.fixture
def two_runs(small: Project) -> tuple[Project, list[Path]]:
    """A project with two records, the older one first."""
    for rate in ("1", "2"):
        small.reproof(*RUN, "-P", f"rate={rate}", expect=0)
    return small, small.records()


def states(project: Project) -> dict[str, str]:
    """The state of each record, by id, as the list shows it."""
    rows = project.reproof("list", "--output-format", "json", expect=0).json["runs"]
    return {row["record"]: row["state"] for row in rows}


def test_truncated_record(two_runs: tuple[Project, list[Path]], says) -> None:
    project, (older, newer) = two_runs
    newer.write_bytes(newer.read_bytes()[:100])
    for verb in (["verify"], ["show"], ["verify", newer.name[:12]], ["diff", "last~1", "last"]):
        says("truncated_record", project.reproof(*verb, expect=2))
    assert states(project) == {newer.stem: "damaged", older.stem: "finished"}
    project.reproof("verify", "last~1", expect=0)


def test_tampered_record(two_runs: tuple[Project, list[Path]], says) -> None:
    project, (_, newer) = two_runs
    data = newer.read_bytes()
    place = data.index(b'"rate": "2') + len(b'"rate": "')
    newer.write_bytes(data[:place] + b"3" + data[place + 1 :])
    for verb in (["verify"], ["show", "last"], ["verify", str(newer)], ["diff", "last", "last~1"]):
        result = project.reproof(*verb, expect=2)
        says("tampered_record", result._replace(err=result.err.replace(str(newer.parent), "<records>")))
    assert "changed after it was written" in project.reproof("list", expect=0).out
    newer.write_bytes(data)
    project.reproof("verify", expect=0)


def test_record_of_a_newer_schema(two_runs: tuple[Project, list[Path]], says) -> None:
    project, (older, newer) = two_runs
    data = newer.read_bytes().replace(b"reproof/record/1", b"reproof/record/2")
    newer.unlink()
    strange = newer.with_name(f"{hashlib.sha256(data).hexdigest()}.json")
    strange.write_bytes(data)
    for verb in (["verify"], ["show"], ["verify", strange.name[:12]]):
        says("newer_record", project.reproof(*verb, expect=2))
    assert states(project) == {strange.stem: "it has a newer schema", older.stem: "finished"}
    project.reproof("verify", older.name[:12], expect=0)


def test_no_record_at_all(small: Project, says) -> None:
    small.write("record.json", "[1, 2]")
    says("no_record", small.reproof("verify", "record.json", expect=2))
    says("no_record_file", small.reproof("verify", "records.json", expect=2))


def test_unknown_run(two_runs: tuple[Project, list[Path]], says) -> None:
    project, (_, newer) = two_runs
    newer.with_suffix(".mlflow.json").write_text(json.dumps({"run_id": "0123456789abcdef" * 2}))
    says("unknown_run", project.reproof("verify", "no-such-run", expect=2))
    unknown = says("nearly_known_run", project.reproof("show", "0123457", expect=2))
    (meant,) = re.findall(r"did you mean `(\w+)`", unknown.err)
    assert newer.stem in project.reproof("show", meant, expect=0).out.replace("\n", "")
    says("too_far_back", project.reproof("verify", "last~2", expect=2))


def test_ambiguous_run(two_runs: tuple[Project, list[Path]], golden: Golden) -> None:
    project, records = two_runs
    for number, record in enumerate(records):
        record.with_suffix(".mlflow.json").write_text(json.dumps({"run_id": f"abc{number}" + "0" * 28}))
    refused = project.reproof("verify", "abc", expect=2)
    text = refused.err
    for number, record in enumerate(records):
        text = text.replace(record.name[:12], f"<record {number}>")
    golden("bad_input/ambiguous_run", re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", text))
    project.reproof("verify", "--no-log", "abc1", expect=0)  # more characters, as the hint says


def test_no_verdict_yet(small: Project, golden: Golden) -> None:
    small.reproof(*RUN, expect=0)
    refused = small.reproof("show", "--verdict", expect=2)
    golden("bad_input/never_verified", refused.err.replace(small.records()[0].name[:12], "<record>"))
    cured(small, refused, "show", "--verdict")


# Data -------------------------------------------------------------------------------------------------

READER = "open('model.txt', 'w').write('sum of ' + open('data/numbers.txt').read())\n"


@pytest.fixture
def with_dvc(make_project: Callable[..., Project]) -> Project:
    """A recorded run that read a file of DVC, which the cache and a remote on this disk have."""
    project = make_project(
        {"train.py": READER, ".gitignore": "model.txt\n", "data/numbers.txt": "1\n2\n"}, commit=False
    )
    project.shell("git init -q && dvc init -q && dvc add -q data/numbers.txt")
    with (project.folder / ".dvc/config").open("a") as config:
        config.write(
            f"[core]\n    remote = disk\n['remote \"disk\"']\n    url = {project.folder.parent}/remote\n"
        )
    project.shell("dvc push -q")
    project.commit()
    project.reproof(*RUN, "--", "python", "train.py", expect=0)
    return project


def copies(project: Project) -> tuple[Path, Path]:
    """The object of the data in cache and remote."""
    (cached,) = (project.folder / ".dvc/cache/files/md5").glob("??/*")
    (remote,) = (project.folder.parent / "remote/files/md5").glob("??/*")
    return cached, remote


def corrupt(place: Path) -> None:
    """Change one byte, as a failing disk does: without a trace in mode or name."""
    data = bytearray(place.read_bytes())
    data[0] ^= 1
    place.chmod(0o644)
    place.write_bytes(data)
    place.chmod(0o444)


@pytest.mark.needs("dvc")
def test_corrupted_object_is_noticed_and_restored(with_dvc: Project, says) -> None:
    cached, _ = copies(with_dvc)
    corrupt(cached)
    noticed = says("dvc_corrupted_in_cache", with_dvc.reproof("verify", expect=0))
    verdict = with_dvc.verify(expect=0)
    (condition,) = [each for each in verdict["conditions"] if each["name"] == "corrupted object"]
    assert str(cached) in condition["value"]
    assert "remote" in condition["value"]
    paste(with_dvc, noticed)
    assert with_dvc.reproof("verify", expect=0).err == ""
    assert cached.read_text() == "1\n2\n"


@pytest.mark.needs("dvc")
def test_object_corrupted_everywhere_is_refused(with_dvc: Project, says, tmp_path: Path) -> None:
    cached, remote = copies(with_dvc)
    shutil.copytree(with_dvc.folder / ".dvc/cache", tmp_path / "other")
    for place in (cached, remote):
        corrupt(place)
    intact = says("dvc_corrupted_but_intact_here", with_dvc.reproof("verify", expect=2))
    (with_dvc.folder / "data/numbers.txt").write_text("1\n3\n")
    refused = says("dvc_corrupted_everywhere", with_dvc.reproof("verify", expect=2))
    cured(with_dvc, refused, "verify", PATH=str(tmp_path / "other"))
    (with_dvc.folder / "data/numbers.txt").write_text("1\n2\n")
    paste(with_dvc, intact)  # the way out while the user's own copy is sound
    assert with_dvc.reproof("verify", expect=0).err == ""


@pytest.mark.needs("dvc")
def test_object_that_is_nowhere(with_dvc: Project, says) -> None:
    for place in (*copies(with_dvc), with_dvc.folder / "data/numbers.txt"):
        place.unlink()
    says("dvc_nowhere", with_dvc.reproof("verify", expect=2))


@pytest.mark.needs("dvc")
def test_data_that_nothing_versions(make_project: Callable[..., Project], says) -> None:
    files = {"train.py": READER, ".gitignore": "model.txt\n/data/\n", "data/numbers.txt": "1\n2\n"}
    project = make_project(files)
    advice = project.reproof(*RUN, "--", "python", "train.py", expect=0)
    lines = [line for line in advice.err.splitlines() if "neither Git nor DVC" in line]
    says("data_unversioned", advice._replace(err="\n".join(lines)))
    data = project.folder / "data/numbers.txt"
    data.write_text("1\n3\n")
    says("data_changed", project.reproof("verify", expect=2))
    data.unlink()
    says("data_gone", project.reproof("verify", expect=2))
    data.write_text("1\n2\n")
    project.reproof("verify", expect=0)
    (command,) = re.findall(r"run `([^`]+)`", lines[0])
    project.shell(command)
    again = project.reproof(*RUN, "--", "python", "train.py", expect=0)
    assert "neither Git nor DVC" not in again.err
    data.unlink()
    project.reproof("verify", expect=0)


# The disk ---------------------------------------------------------------------------------------------

FILL = """
with open("filler.bin", "wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(1 << 14))
    except OSError as error:
        print("the disk is full:", error.strerror)
"""


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that holds four megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def test_disk_that_is_full_when_the_record_is_written(
    make_project: Callable[..., Project], says, tiny_disk: Path, tmp_path: Path
) -> None:
    files = {"train.py": FILL, ".gitignore": "filler.bin\n"}
    project = make_project(files, name="disk/project")
    (tmp_path / "tmp").mkdir()
    project.env["TMPDIR"] = str(tmp_path / "tmp")
    full = says("disk_full", project.reproof(*RUN, "--", "python", "train.py", expect=125))
    assert project.records() == []
    (project.folder / "filler.bin").unlink()
    paste(project, full)
    assert project.record()["state"] == "finished"
    assert "filler.bin" in project.reproof("show", expect=0).out
    assert not list((tmp_path / "tmp").rglob("*.json"))


def test_disk_that_is_full_when_the_verdict_is_kept(
    make_project: Callable[..., Project], says, tiny_disk: Path
) -> None:
    project = make_project(
        {"train.py": TRAIN, "fill.py": FILL, ".gitignore": "*.bin\nmodel.txt\n"}, name="disk/project"
    )
    project.reproof(*RUN, "--", "python", "train.py", expect=0)
    project.shell("python fill.py")
    full = says(
        "disk_full_for_the_verdict", project.reproof("verify", expect=0)
    )  # it is a verdict all the same
    assert "repeated" in full.out


def test_disk_that_is_full_before_the_start(
    make_project: Callable[..., Project], says, tiny_disk: Path
) -> None:
    project = make_project({"train.py": FILL, ".gitignore": "filler.bin\n"}, name="disk/project")
    project.shell("python train.py")
    (project.folder / "train.py").write_text("open('started', 'w')\n")
    for _ in range(2):
        says("disk_full_before", project.reproof(*RUN, "--", "python", "train.py", expect=125))
    assert not (project.folder / "started").exists()


def test_record_over_the_size_limit_of_files(plain: Project, says) -> None:
    """Works without mounting: what the kernel refuses is the size of one file."""
    many = "for number in range(2000):\n    open(f'model-{number}.json', 'w').close()\n"
    plain.write("train.py", many)
    plain.write(".gitignore", "model-*.json\n")
    plain.commit()
    script = " ".join([sys.executable, "-m", "reproof.cli.main", *RUN, "--", "python", "train.py"])
    refused = plain.shell(f"ulimit -f 128; {script}", check=False)
    assert refused.status == 125
    says("over_the_size_limit", refused)
    (draft,) = (plain.folder / ".reproof/unfinished").glob("*.json")
    assert json.loads(draft.read_text())["state"] == "unfinished"
    plain.reproof(*RUN, "--", "python", "train.py", expect=0)


# MLflow -----------------------------------------------------------------------------------------------


def test_server_that_cannot_be_reached(small: Project, says) -> None:
    command = ("run", "--env-manager", "local", "--tracking-uri", "http://127.0.0.1:9")
    refused = says("server_unreachable", small.reproof(*command, expect=125))
    assert not (small.folder / "model.txt").exists()
    by_variable = small.reproof("run", "--env-manager", "local", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert by_variable == refused
    cured(small, refused, *command)


def test_store_that_is_none(small: Project, says) -> None:
    small.write("notes.db", "these are notes, not a database\n" * 100)
    command = ("run", "--env-manager", "local", "--tracking-uri", "sqlite:///notes.db")
    refused = says("store_that_is_none", small.reproof(*command, expect=125))
    cured(small, refused, *command)


@pytest.mark.needs("mlflow")
def test_store_with_a_misspelled_scheme(small: Project, says) -> None:
    command = ("run", "--env-manager", "local", "--tracking-uri", "sqllite:///runs.db")
    refused = says("misspelled_scheme", small.reproof(*command, expect=125))
    cured(small, refused, *command)
    assert (small.folder / "runs.db").exists()


TRACKED = """
import pathlib, sys, time
import mlflow

with mlflow.start_run():
    mlflow.log_metric("loss", 0.1)
    print("ready", flush=True)
    while not pathlib.Path("go").exists():
        time.sleep(0.05)
    try:
        mlflow.log_metric("loss", 0.05, step=1)
    except Exception as error:
        print("not logged:", type(error).__name__)
"""


@pytest.mark.slow
@pytest.mark.needs("mlflow")
def test_server_that_is_gone_while_the_run_goes_on(
    make_project: Callable[..., Project], says, mlflow_server: MLflowServer
) -> None:
    project = make_project({"train.py": TRACKED, ".gitignore": "go\n"})
    project.env.update(
        MLFLOW_TRACKING_URI=mlflow_server.uri,
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
        MLFLOW_EXPERIMENT_NAME="bikes",
    )
    words = [
        sys.executable,
        "-m",
        "reproof.cli.main",
        "run",
        "--env-manager",
        "local",
        "--",
        "python",
        "train.py",
    ]
    running = subprocess.Popen(
        words, cwd=project.folder, env=project.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    try:
        assert running.stdout.readline() == "ready\n"
        mlflow_server.kill()
        project.write("go", "")
        out, err = running.communicate(timeout=240)
    finally:
        running.kill()
        mlflow_server.start()
    told = [line for line in err.splitlines() if line.startswith(("warning: the record", "hint:", "MLflow:"))]
    text = "\n".join(told).replace(mlflow_server.uri, "http://<server>")
    said = says("server_gone", Result(running.returncode, out, text))
    record = project.record()
    assert [float.fromhex(each["value"]) for each in record["metrics"]] == [0.1, 0.05]  # as they were given
    assert any(each["subject"] == "mlflow store" for each in record["omissions"])
    assert list((project.folder / ".reproof/pending").iterdir())
    assert paste(project, said).out == "1 pushed, 0 still waiting\n"
    assert not list((project.folder / ".reproof/pending").iterdir())
    check_pushed(project, mlflow_server.uri)
    assert project.reproof("sync", expect=0).out == "0 pushed, 0 still waiting\n"


def check_pushed(project: Project, uri: str) -> None:
    """The run on the server holds the very record, its tags, and how it ended."""
    facts = json.loads(project.records()[-1].with_suffix(".mlflow.json").read_text())
    script = f"""
import json, mlflow, sys
client = mlflow.MlflowClient({uri!r})
run = client.get_run({facts["run_id"]!r})
path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="reproof/record.json", tracking_uri={uri!r})
print(json.dumps([run.info.status, run.data.tags, open(path).read()]))
"""
    status, tags, text = json.loads(project.shell(f"{sys.executable} -c {shlex.quote(script)}").out)
    assert status == {"finished": "FINISHED", "failed": "FAILED"}[project.record()["state"]]
    assert tags["reproof.record"] == project.records()[-1].stem
    assert tags["reproof.exit_status"] == str(project.record()["byproducts"]["exit_status"])
    assert text == project.records()[-1].read_text()
