"""Projects as strangers keep them: at addresses of Git of every kind, with environments named in every way."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from projects import Project
from websites import Site

pytestmark = pytest.mark.usefixtures("warm")

TOKEN = "token-of-the-forge"  # noqa: S105 - of a test
TRAIN = "import sys\nopen('model.txt', 'w').write('first ' + sys.argv[1])\n"
MAIN = 'entry_points:\n  main:\n    parameters:\n      rate: {type: float, default: 0.5}\n    command: "python train.py {rate}"\n'
RUN = ("run", "--env-manager", "local", "--no-log")


def certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1 in one file, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    place = folder / "server.pem"
    place.write_bytes(key.private_bytes(*form) + made.public_bytes(serialization.Encoding.PEM))
    return place


@pytest.fixture
def forge(make_project: Callable[..., Project], tmp_path: Path) -> Path:
    """A bare repository whose project lies deep, with a tag that is not its newest commit."""
    project = make_project({"models/bikes/MLproject": MAIN, "models/bikes/train.py": TRAIN}, name="origin")
    project.shell("git tag v1")
    project.write("models/bikes/train.py", TRAIN.replace("first", "second"))
    project.commit()
    place = tmp_path / "forge" / "team.git"
    place.parent.mkdir()
    project.shell(f"git clone -q --bare . {place} && git -C {place} update-server-info")
    return place


@pytest.fixture
def user(forge: Path, make_project: Callable[..., Project]) -> Project:
    """Somebody in a folder that is no repository."""
    return make_project({}, commit=False, name="elsewhere")


def made(user: Project) -> tuple[Any, str]:
    """The record of the only run, and what its model says."""
    (place,) = (Path(user.env["REPROOF_DATA_DIR"]) / "projects").glob("*/team")
    (record,) = (place / ".reproof/records").glob("?" * 64 + ".json")
    assert not (user.folder / ".reproof").exists()
    return json.loads(record.read_text()), (place / "models/bikes/model.txt").read_text()


def test_file(user: Project, forge: Path) -> None:
    user.reproof(*RUN, f"file://{forge}#models/bikes", expect=0)
    record, model = made(user)
    assert model == "second 0.5"
    assert record["project"]["subdirectory"] == "models/bikes"
    assert record["code"]["remote"] == str(forge)


def test_file_at_a_tag(user: Project, forge: Path) -> None:
    user.reproof(*RUN, "--revision", "v1", "-P", "rate=2", f"file://{forge}#models/bikes", expect=0)
    assert made(user)[1] == "first 2"
    (place,) = (Path(user.env["REPROOF_DATA_DIR"]) / "projects").glob("*/team")
    assert Project(place, user.env).verify("last", "--no-log", expect=0)["reproduced"]


@pytest.fixture
def secure(forge: Path, tmp_path: Path) -> Iterator[tuple[Site, Path]]:
    """The forge over https, for those who have its token and trust its certificate."""
    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    site = Site(forge.parent, "oauth2", TOKEN, context)
    yield site, pem
    site.close()


def test_https_with_a_token(user: Project, secure: tuple[Site, Path]) -> None:
    site, pem = secure
    user.env["GIT_SSL_CAINFO"] = str(pem)
    address = f"https://oauth2:{TOKEN}@{site.host}/team.git#models/bikes"
    said = user.reproof(*RUN, "--revision", "v1", address, expect=0)
    record, model = made(user)
    assert model == "first 0.5"
    assert record["code"]["remote"] == f"https://{site.host}/team.git"
    assert TOKEN not in said.out + said.err + json.dumps(record)


def test_https_without_a_token_or_trust(user: Project, secure: tuple[Site, Path]) -> None:
    site, pem = secure
    address = f"https://{site.host}/team.git#models/bikes"
    said = user.reproof(*RUN, address, expect=125)
    assert f"cannot clone `https://{site.host}/team.git`" in said.err
    assert "certificate" in said.err
    said = user.reproof(*RUN, address, expect=125, GIT_SSL_CAINFO=str(pem))
    assert "could not read Username" in said.err


@pytest.mark.parametrize("form", ["ssh://git@forge.example.org{path}", "git@forge.example.org:{path}"])
def test_ssh(user: Project, forge: Path, tmp_path: Path, form: str) -> None:
    """Git speaks to its other half over a program that connects; here one that stays on this machine."""
    program = tmp_path / "connect"
    program.write_text('#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\nexec sh -c "$1"\n')
    program.chmod(0o755)
    address = form.format(path=forge)
    user.reproof(*RUN, f"{address}#models/bikes", expect=0, GIT_SSH=str(program))
    record, model = made(user)
    assert model == "second 0.5"
    assert "git@" not in record["code"]["remote"] or record["code"]["remote"] == address
    assert record["code"]["remote"].endswith(f"{forge}")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("#models/wheels", "`models/wheels` is no folder of"),
        ("", "there is no MLproject in"),
        ("#../outside", "leads out of the repository"),
    ],
)
def test_an_address_where_nothing_is_to_be_run(user: Project, forge: Path, address: str, words: str) -> None:
    assert words in user.reproof(*RUN, f"file://{forge}{address}", expect=125).err


def test_a_revision_that_is_not_there(user: Project, forge: Path) -> None:
    said = user.reproof(*RUN, "--revision", "mastr", f"file://{forge}#models/bikes", expect=125)
    assert "no branch, tag or commit `mastr`" in said.err
    assert said.hint == "--revision master"


# Environments -----------------------------------------------------------------------------------------

SPOKES = "import spokes\nopen('model.txt', 'w').write(spokes.VERSION)\n"
COMMAND = 'entry_points:\n  main:\n    command: "python train.py"\n'
FORMS = {
    "by file": {
        "MLproject": f"python_env: env/python_env.yaml\n{COMMAND}",
        "env/python_env.yaml": "dependencies:\n  - spokes==1.0\n",
    },
    "inline": {"MLproject": f"python_env:\n  dependencies: [spokes==1.0]\n{COMMAND}"},
    "conda of pip": {
        "MLproject": f"conda_env: conda.yaml\n{COMMAND}",
        "conda.yaml": "channels: [defaults]\ndependencies:\n  - pip: [spokes==1.0]\n",
    },
    "default file": {"MLproject": COMMAND, "python_env.yaml": "dependencies:\n  - spokes\n"},
    "requirements": {"MLproject": COMMAND, "requirements.txt": "spokes>=1\n"},
}


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "index").mkdir()
    site = Site(tmp_path / "index", "me", TOKEN)
    site.add_wheel("spokes")
    yield site
    site.close()


def with_index(project: Project, index: Site) -> Project:
    project.env["UV_DEFAULT_INDEX"] = index.with_login(f"me:{TOKEN}") + "/simple"
    project.env["UV_CACHE_DIR"] = str(index.folder / "cache")
    return project


@pytest.mark.parametrize("form", FORMS)
def test_environments_that_projects_name(
    make_project: Callable[..., Project], index: Site, form: str
) -> None:
    files = {**FORMS[form], "train.py": SPOKES, ".gitignore": "model.txt\n"}
    project = with_index(make_project(files), index)
    said = project.reproof("run", "--no-log", expect=0)
    assert (project.folder / "model.txt").read_text() == "1.0"
    assert [item["name"] for item in project.record()["environment"]["distributions"]] == ["spokes"]
    assert ("without Conda" in said.err) == (form == "conda of pip")
    assert TOKEN not in said.err + json.dumps(project.record())


def test_a_conda_environment_says_what_makes_it(make_project: Callable[..., Project]) -> None:
    files = {
        "MLproject": f"conda_env: conda.yaml\n{COMMAND}",
        "conda.yaml": "name: bikes\ndependencies:\n  - python=3.11\n  - cudatoolkit=11\n",
        "train.py": "open('model.txt', 'w').write('made')\n",
        ".gitignore": "model.txt\n",
    }
    project = make_project(files)
    said = project.reproof("run", "--no-log", expect=125)
    assert "asks for `cudatoolkit=11`, which only Conda can install" in said.err
    assert "install micromamba, mamba, conda or pixi" in said.err
    assert said.hint.startswith("micromamba create --name NAME --file conda.yaml")
    project.reproof(
        "run", "--no-log", "--env-manager", "local", expect=0
    )  # as the hint says, once it is active


@pytest.mark.parametrize("script", ["train.py", "train.sh"])
def test_a_script_is_an_entry_point(make_project: Callable[..., Project], script: str) -> None:
    texts = {"train.py": TRAIN.replace("[1]", "[2]"), "train.sh": 'printf "first %s" "$2" > model.txt\n'}
    project = make_project({script: texts[script], ".gitignore": "model.txt\n"})
    project.reproof(*RUN, "-e", script, "-P", "rate=3", ".", expect=0)
    assert (project.folder / "model.txt").read_text() == "first 3"
    assert project.record()["project"]["entry_point"] == script
    assert project.verify("--no-log", expect=0)["reproduced"]
