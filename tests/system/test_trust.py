"""Records that the user's own runs did not make: a stranger's code, held in a sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from projects import Project

SCRIPT = """
import json, os, socket, sys
def connects():
    try: socket.create_connection(("127.0.0.1", int(os.environ.get("PORT", "9"))), 1); return True
    except OSError: return False
seen = {
    "tokens": sorted(name for name in os.environ if "TOKEN" in name or "SECRET" in name or name.startswith("AWS")),
    "addresses": [name for name, value in os.environ.items() if "tracking.example.org" in value],
    "connects": connects(),
    "environment": os.access(sys.prefix + "/pyvenv.cfg", os.W_OK),
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
}
json.dump([1, 2, 3], open("model.json", "w"))
print(json.dumps(seen))
"""


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    made = make_project(
        {
            "train.py": SCRIPT,
            "requirements.txt": "# no packages\n",
            "pyproject.toml": "[tool.reproof]\nnetwork = true\n",
            ".gitignore": "model.json\n",
        }
    )
    made.reproof("run", "--no-log", ".", "-e", "train.py", expect=0)
    return made


def stranger(project: Project, folder: Path) -> Project:
    """The same files before somebody else: they made none of the records."""
    env = {
        **project.env,
        "REPROOF_DATA_DIR": str(folder / "data"),
        "REPROOF_CONFIG_DIR": str(folder / "config"),
    }
    env.update(MLFLOW_TRACKING_TOKEN="s3cret-token", AWS_SECRET_ACCESS_KEY="s3cret")
    return Project(project.folder, env)


def conditions(verdict: Any) -> dict[str, tuple[str, str]]:
    return {item["name"]: (item["value"], item.get("note") or "") for item in verdict["conditions"]}


def test_one_s_own_record_is_trusted(project: Project) -> None:
    verdict = project.verify("--no-log", expect=0)
    assert "record" not in conditions(verdict)


@pytest.mark.needs("bwrap")
@pytest.mark.parametrize("isolation", ["auto", pytest.param("docker", marks=pytest.mark.needs("docker"))])
def test_a_stranger_s_record_is_held(project: Project, tmp_path: Path, isolation: str) -> None:
    other = stranger(project, tmp_path)
    other.env["MLFLOW_TRACKING_URI"] = "http://tracking.example.org"
    verdict = other.verify("--keep", "--no-log", "--isolation", isolation, expect=0)
    found = conditions(verdict)
    assert found["isolation"][0] in ("bubblewrap", "docker")
    value, note = found["record"]
    assert value == "not made here"
    assert "no network" in note
    assert "memory" in note
    seen = json.loads((Path(verdict["room"]) / "run-1/logs/stdout").read_text())
    assert seen.pop("processes") <= 3
    assert seen == {"tokens": [], "addresses": [], "connects": False, "environment": False}


def test_a_level_that_prevents_nothing_is_refused(project: Project, tmp_path: Path) -> None:
    for level in ("process", "none"):
        result = stranger(project, tmp_path).reproof("verify", "--isolation", level, expect=2)
        assert f"cannot isolate by `{level}`: the record was not made by you on this machine" in result.err
        assert "--trust" in result.err


def test_trust_overrides_and_is_stated(project: Project, tmp_path: Path) -> None:
    verdict = stranger(project, tmp_path).verify("--trust", "--isolation", "process", expect=0)
    assert conditions(verdict)["record"] == (
        "not made here",
        "`--trust` was passed: its code was treated like your own",
    )


def test_no_sandbox_no_re_run(project: Project, tmp_path: Path) -> None:
    other = stranger(project, tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("git", "bash", "sh", "env"):
        (tools / name).symlink_to(project.shell(f"command -v {name}").out.strip())
    other.env["PATH"] = str(tools)
    result = other.reproof("verify", expect=2)
    assert "error: there is no sandbox here for code that is not trusted" in result.err


@pytest.mark.needs("bwrap")
def test_nothing_is_built_from_a_stranger_s_source(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    """A build script is code that would run outside of the room."""
    project = make_project(
        {
            "setup.py": "import pathlib, setuptools\n"
            f"pathlib.Path({str(tmp_path / 'ran')!r}).write_text('x')\nsetuptools.setup(name='own', version='1')\n",
            "requirements.txt": "-e .\n",
            "train.py": "open('model.json', 'w').write('1')\n",
            ".gitignore": "model.json\n*.egg-info\n",
        }
    )
    project.reproof("run", "--no-log", ".", "-e", "train.py", expect=0)
    (tmp_path / "ran").unlink()
    result = stranger(project, tmp_path).reproof("verify", expect=2)
    assert "has to be built from source, and building was refused" in result.err
    assert not (tmp_path / "ran").exists()


def test_an_environment_without_a_lock_is_refused(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    project = make_project({"train.py": "open('model.json', 'w').write('1')\n", ".gitignore": "model.json\n"})
    project.reproof("run", "--no-log", "--env-manager", "local", "--", "python", "train.py", expect=0)
    result = stranger(project, tmp_path).reproof("verify", expect=2)
    assert "the record of somebody else has no lock" in result.err


@pytest.mark.parametrize(
    "name", ["../escaped", ".git/hooks/post-checkout", "/etc/escaped", "a/../../escaped"]
)
def test_a_record_whose_names_lead_out_of_the_room(project: Project, tmp_path: Path, name: str) -> None:
    record = project.record()
    record["code"]["untracked"] = [
        {"name": name, "digests": {"blake3": "00" * 32}, "size": 1, "origin": "captured"}
    ]
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    result = project.reproof("verify", str(path), expect=2)
    assert "is no name of a file below the project" in result.err


def test_the_settings_of_the_recorded_commit_count(project: Project) -> None:
    """What the work tree says today is not what the run was made with."""
    project.write("pyproject.toml", "[tool.reproof]\nnetwork = false\n")
    verdict = project.verify("--no-log", expect=0)
    assert "the network was on" in conditions(verdict)["isolation"][1]


def test_another_patch_of_python_only_where_it_is_allowed(project: Project) -> None:
    """Not this machine's: as if the record came from one with another patch release."""
    from reproof.environment.python import find_python

    version = find_python("3.11").version
    text = project.records()[-1].read_text()
    other = project.folder.parent / "record.json"
    other.write_text(text.replace(f'"version": "{version}"', '"version": "3.11.99"', 1))
    refused = project.reproof("verify", "--trust", str(other), expect=2)
    assert "error: Python `3.11.99` is not on this machine" in refused.err
    assert f"{version} at" in refused.err
    verdict = project.verify("--trust", "--allow-python", "3.11.*", str(other), expect=0)
    assert "recorded 3.11.99; `--allow-python 3.11.*`" in conditions(verdict)["Python"][1]
