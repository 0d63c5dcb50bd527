"""Runs in container images, and their re-runs from the recorded image alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from images import import_base
from projects import Project

pytestmark = pytest.mark.needs("docker", "mmdebstrap")

SCRIPT = """
import json, os, random, socket
rows = [float(line) for line in open("data.txt")]
extra = open("/inputs/extra.txt").read()
json.dump({"sum": sum(rows) + random.random(), "extra": extra, "mode": os.environ["MODE"]}, open("model.json", "w"))
try:
    socket.create_connection(("127.0.0.1", 1), 1)
except OSError as error:
    print("network:", error.strerror)
"""
MLPROJECT = """
name: imaged
docker_env:
  image: IMAGE
  volumes: ["./shared:/inputs"]
  environment: [["MODE", "fast"], "TOKEN"]
entry_points:
  main:
    command: "python3 train.py"
"""


@pytest.fixture(scope="session")
def base() -> str:
    return import_base()


@pytest.fixture
def imaged(make_project: Callable[..., Project], base: str) -> Project:
    project = make_project(
        {
            "train.py": SCRIPT,
            "data.txt": "1\n2\n3.5\n",
            "shared/extra.txt": "more",
            "MLproject": MLPROJECT.replace("IMAGE", base),
            ".gitignore": "model.json\n",
        }
    )
    project.env["TOKEN"] = "hunter2-do-not-keep"
    return project


def _identity(reference: str) -> str:
    words = ["docker", "image", "inspect", "--format", "{{.Id}}", reference]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def test_a_run_in_the_image_that_mlproject_names_is_re_created_from_its_digest(
    imaged: Project, base: str
) -> None:
    imaged.reproof("run", ".", expect=0)
    record = imaged.record()
    image = record["environment"]["image"]
    assert (image["reference"], image["id"]) == (base, _identity(base))
    assert image["volumes"] == [{"source": "shared", "target": "/inputs"}]
    assert record["environment"]["kind"] == "docker"
    names = {item["name"]: item["origin"] for item in record["materials"]}
    assert names["data.txt"] == "git"
    assert names["shared/extra.txt"] == "git"  # read as /inputs/extra.txt
    assert not any(name.startswith("/usr/lib/python3") for name in names)
    assert "hunter2" not in imaged.records()[-1].read_text()
    assert any(
        item["path"].endswith("libc.so.6") and item["digest"] for item in record["environment"]["native"]
    )
    (imaged.folder / "model.json").unlink()
    verdict = imaged.verify("--no-log", expect=0)
    assert verdict["word"] == "reproduced"
    assert {item["name"]: item["value"] for item in verdict["conditions"]}["isolation"] == "docker"
    assert not (imaged.folder / "model.json").exists()


def test_an_image_that_is_gone_is_named(imaged: Project, tmp_path: Path) -> None:
    imaged.write("Dockerfile.own", f"FROM {import_base()}\nLABEL own=1\n")
    imaged.shell("docker build -q -t reproof-test-gone:1 -f Dockerfile.own .")
    imaged.write("MLproject", MLPROJECT.replace("IMAGE", "reproof-test-gone:1"))
    imaged.commit()
    imaged.reproof("run", ".", expect=0)
    imaged.shell("docker rmi -f reproof-test-gone:1")
    result = imaged.reproof("verify", "--offline", expect=2)
    assert "the image `reproof-test-gone:1` is not on this machine" in result.err
    assert imaged.record()["environment"]["image"]["id"] in result.err


def test_an_image_from_the_project_s_dockerfile(imaged: Project, base: str) -> None:
    imaged.write("MLproject", 'name: own\nentry_points:\n  main:\n    command: "python3 own.py"\n')
    imaged.write("own.py", "open('model.json', 'w').write(open('/opt/note').read())\n")
    imaged.write("Dockerfile", f"FROM {base}\nRUN echo built > /opt/note\n")
    imaged.commit()
    imaged.reproof("run", ".", "--env-manager", "docker", expect=0)
    assert (imaged.folder / "model.json").read_text() == "built\n"
    built = imaged.record()["environment"]["image"]["built_from"]
    assert built["kept"] is True
    assert imaged.verify(expect=0)["word"] == "reproduced"


def test_a_dockerfile_that_does_not_build(imaged: Project, base: str) -> None:
    imaged.write("MLproject", "name: own\n")
    imaged.write("Dockerfile", f"FROM {base}\nRUN echo the reason >&2; false\n")
    result = imaged.reproof("run", ".", "-e", "train.py", "--env-manager", "docker", expect=125)
    assert "error: the image does not build" in result.err
    assert "the reason" in result.err


def test_an_engine_that_is_not_running(imaged: Project) -> None:
    result = imaged.reproof("run", ".", expect=125, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert "error: no container engine answers" in result.err


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('volumes: ["named:/inputs"]', "one of the engine's own"),
        ('volumes: ["./absent:/inputs"]', "is not here"),
        ('volumes: ["./shared"]', "names no place in the container"),
        ("environment: [ABSENT]", "is not set"),
    ],
)
def test_what_mlproject_asks_for_and_cannot_be_had(
    imaged: Project, base: str, line: str, complaint: str
) -> None:
    text = f"name: x\ndocker_env:\n  image: {base}\n  {line}\nentry_points:\n  main:\n    command: 'true'\n"
    imaged.write("MLproject", text)
    result = imaged.reproof("run", ".", expect=125)
    assert complaint in result.err.splitlines()[-3:][0] + result.err


def test_the_rooms_of_a_uv_environment_too(make_project: Callable[..., Project], tmp_path: Path) -> None:
    """`--isolation docker` for a run that was recorded outside of containers."""
    probe = (
        "import json, os, socket\n"
        "def network():\n"
        "    try: socket.create_connection(('192.0.2.1', 80), 1)\n"
        "    except OSError as error: return str(error.errno == 101)\n"
        "def writes(path):\n"
        "    try: open(path, 'w'); return True\n"
        "    except OSError: return False\n"
        "json.dump([1], open('model.json', 'w'))\n"
        "print(json.dumps([network(), writes('/usr/x'), writes(os.path.join(os.environ.get('TMPDIR', '/tmp'), 'own'))]))\n"
    )
    project = make_project({"train.py": probe, "requirements.txt": "# none\n", ".gitignore": "model.json\n"})
    project.env["TMPDIR"] = str(tmp_path)
    project.reproof("run", ".", "-e", "train.py", expect=0)
    verdict = project.verify("--isolation", "docker", "--keep", expect=0)
    assert verdict["word"] == "reproduced"
    out = json.loads((Path(verdict["room"]) / "run-1/logs/stdout").read_text())
    assert out == ["True", False, True]


def test_an_image_that_is_generated_for_the_lock(make_project: Callable[..., Project], base: str) -> None:
    """By hash, on a base that the settings name; the record has no other way to its packages than the image."""
    project = make_project(
        {
            "train.py": "import iniconfig, sys\nopen('model.json', 'w').write(sys.prefix)\n",
            "requirements.txt": "iniconfig==2.0.0\n",
            "MLproject": "name: g\nentry_points:\n  main:\n    command: 'python train.py'\n",
            "pyproject.toml": f'[tool.reproof.environment]\nbase-image = "{base}"\n',
            ".gitignore": "model.json\n",
        }
    )
    project.reproof("run", ".", "--env-manager", "docker", expect=0)
    assert (project.folder / "model.json").read_text() == "/opt/environment"
    names = {item["name"]: item["version"] for item in project.record()["environment"]["distributions"]}
    assert names["iniconfig"] == "2.0.0"
    assert project.verify(expect=0)["word"] == "reproduced"


def test_an_image_that_is_generated_for_a_lock_of_uv(make_project: Callable[..., Project], base: str) -> None:
    """By `uv sync --frozen`: the lock is taken as it stands, with the groups that the settings name."""
    series = subprocess.run(
        [
            "docker",
            "run",
            "--rm",
            "--network",
            "none",
            base,
            "python3",
            "-c",
            "import sys; print(*sys.version_info[:2], sep='.')",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    project = make_project(
        {
            "train.py": "import iniconfig, sys\nopen('model.json', 'w').write(sys.prefix)\n",
            "pyproject.toml": f'[project]\nname = "g"\nversion = "1"\nrequires-python = "=={series}.*"\n'
            'dependencies = ["iniconfig==2.0.0"]\n[dependency-groups]\nmore = ["toml==0.10.2"]\n'
            f'[tool.reproof.environment]\nbase-image = "{base}"\ngroups = ["more"]\n',
            "MLproject": "name: g\nentry_points:\n  main:\n    command: 'python train.py'\n",
            ".gitignore": "model.json\n.venv/\n",
        }
    )
    project.shell("uv lock -q")
    project.commit()
    project.reproof("run", ".", "--env-manager", "docker", expect=0)
    assert (project.folder / "model.json").read_text() == "/opt/environment"
    record = project.record()
    names = {item["name"]: item["version"] for item in record["environment"]["distributions"]}
    assert (names["iniconfig"], names["toml"]) == ("2.0.0", "0.10.2")
    kept = record["environment"]["image"]["built_from"]["digests"]["blake3"]
    text = (project.folder / ".reproof/objects/b3" / kept[:2] / kept[2:]).read_text()
    assert "uv sync --frozen" in text
    assert "USER 1000:1000" in text
    export = ("env", "export", "--format", "dockerfile")
    assert project.reproof(*export, expect=0).out == text
    project.reproof("run", ".", "--env-manager", "uv", expect=0)
    assert project.reproof(*export, expect=0).out == text


def test_a_run_in_an_image_is_sealed_where_that_is_asked_for(imaged: Project) -> None:
    imaged.reproof("run", ".", "--isolation", "docker", expect=0)
    assert imaged.record()["environment"]["isolation"] == {"level": "docker"}
    assert json.loads((imaged.folder / "model.json").read_text())["mode"] == "fast"
    result = imaged.reproof("run", ".", "--isolation", "bubblewrap", expect=125)
    assert "cannot isolate by `bubblewrap`: the project runs in a container image" in result.err
