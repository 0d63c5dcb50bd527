"""Tokens and passwords that reproof needs, or sees, are in nothing that it writes: every byte is searched."""

from __future__ import annotations

import base64
import io
import re
import shutil
import urllib.parse
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from projects import Project, Result
from servers import MLflowServer
from websites import Site

pytestmark = [pytest.mark.needs("mlflow"), pytest.mark.xdist_group("server")]

#: Where each secret is, and what it is.
CANARIES = {
    "index in a variable": "cnry-index-7f3a1d9e",
    "index in pyproject.toml": "cnry-tools-5b8e0c24",
    "index in pip.conf": "cnry-pipcf-91d4a6f0",
    "netrc": "cnry-netrc-c06e2b57",
    "remote of Git": "cnry-gitre-38f9e1ab",
    "tracking address": "cnry-track-e4d27c90",
    "remote of DVC": "cnry-dvcre-1a6b93f8",
    "key of S3": "cnry-s3key-b25f70de",
    "session of S3": "cnry-s3ses-4c81e9a3",
    "proxy": "cnry-proxy-d7093e6b",
    "variable handed on": "cnry-passd-60a5f8c1",
    "token of a hub": "cnry-hubtk-f19c4d72",
}
USER = "cnry-user-2e95"

TRAIN = """import json, os, pathlib, random, urllib.request, spokes
login = pathlib.Path.home() / ".netrc"
if login.exists():  # not in a clean room
    password = login.read_text().split()[-1]
    address = os.environ["SITE"].replace("//", "//me:" + password + "@") + "/nothing?token=" + os.environ["HF_TOKEN"]
    try:
        urllib.request.urlopen(address)
    except Exception as error:
        print("no service:", type(error).__name__)
assert os.environ["SERVICE_LOGIN"]
with open("model.json", "w") as model:
    json.dump({"weight": random.random()}, model)
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site", USER, CANARIES["index in a variable"])
    yield site
    site.close()


@pytest.fixture
def project(
    make_project: Callable[..., Project], site: Site, server: MLflowServer, tmp_path: Path
) -> Project:
    """A project amid credentials of all kinds."""
    digest = site.add_wheel("spokes")
    index = f"http://{USER}:{CANARIES['index in pyproject.toml']}@{site.host}/other"
    project = make_project(
        {
            "train.py": TRAIN,
            "requirements.txt": f"spokes==1.0 --hash=sha256:{digest}\n",
            ".gitignore": "model.json\n",
            "pyproject.toml": f'[[tool.uv.index]]\nname = "other"\nurl = "{index}"\n'
            '[tool.reproof]\npass-env = ["SERVICE_LOGIN"]\nnetwork = true\n',
            ".dvc/config": f"[core]\n    remote = web\n['remote \"web\"']\n    url = http://{site.host}/dvc\n",
            ".dvc/config.local": "['remote \"web\"']\n    auth = basic\n"
            f"    user = {USER}\n    password = {CANARIES['remote of DVC']}\n",
            ".dvc/.gitignore": "/config.local\n",
        }
    )
    home = tmp_path / "home"
    (home / ".netrc").write_text(f"machine {site.host} login {USER} password {CANARIES['netrc']}\n")
    (home / ".config/pip").mkdir(parents=True)
    (home / ".config/pip/pip.conf").write_text(
        f"[global]\nextra-index-url = http://{USER}:{CANARIES['index in pip.conf']}@{site.host}/pip\n"
    )
    project.shell(f"git remote add origin http://{USER}:{CANARIES['remote of Git']}@{site.host}/project.git")
    project.env.update(
        UV_DEFAULT_INDEX=site.with_login(f"{USER}:{CANARIES['index in a variable']}") + "/simple",
        MLFLOW_TRACKING_URI=server.uri.replace("//", f"//{USER}:{CANARIES['tracking address']}@"),
        AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE",
        AWS_SECRET_ACCESS_KEY=CANARIES["key of S3"],
        AWS_SESSION_TOKEN=CANARIES["session of S3"],
        HTTPS_PROXY=f"http://{USER}:{CANARIES['proxy']}@127.0.0.1:9",
        NO_PROXY="127.0.0.1,localhost",
        SERVICE_LOGIN=CANARIES["variable handed on"],
        HF_TOKEN=CANARIES["token of a hub"],
        SITE=site.uri,
    )
    return project


def forms(secret: str) -> set[bytes]:
    """How a secret may be written: plain, quoted, in base64 at each of the three phases."""
    found = {secret.encode(), urllib.parse.quote(secret, safe="").encode()}
    for before in ("", "x", "xy"):
        found.add(base64.b64encode(f"{before}{secret}".encode())[4:-4])
    return found


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """The bytes of a file, and of the members of an archive."""
    data = path.read_bytes()
    yield str(path), data
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from ((f"{path}!{name}", archive.read(name)) for name in archive.namelist())


def found_in(places: list[tuple[str, bytes]]) -> list[str]:
    secrets = {**CANARIES, "user": USER}
    return [
        f"{kind} in {place}"
        for place, data in places
        for kind, secret in secrets.items()
        if any(form in data for form in forms(secret))
    ]


def files_of(*folders: Path) -> list[tuple[str, bytes]]:
    """Everything below `folders` but what Git keeps of the user's own files, and uv of its index."""
    kept = re.compile(r"/\.git/|/uv/|/\.dvc/config\.local$|/pyproject\.toml$")
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return [each for path in paths if not kept.search(str(path)) for each in contents(path)]


VERBS = (
    ("verify", "-v"),
    ("verify", "--output-format", "junit"),
    *(("show", "--verdict", "--output-format", form) for form in ("html", "json")),
    *(("show", "--output-format", form) for form in ("text", "json")),
    ("list",),
    ("sync",),
    ("diff", "last", "last", "--output-format", "json"),
    ("env", "show"),
    *(("env", "export", "--format", form) for form in ("requirements", "dockerfile", "cyclonedx")),
    ("doctor",),
)


def test_no_secret_is_in_anything_that_is_written(
    project: Project, site: Site, server: MLflowServer, own_places: Path, tmp_path: Path
) -> None:
    said: list[tuple[str, Result]] = []

    def reproof(*words: str, expect: int | None = 0, **env: str) -> None:
        said.append((" ".join(words), project.reproof(*words, expect=expect, **env)))

    project.env["XDG_CACHE_HOME"] = str(tmp_path / "caches")
    reproof("run", "-v", "--", "python", "train.py")
    assert site.served, "the index was asked"
    for words in VERBS:
        reproof(*words)
    reproof("export", "last", "-o", str(tmp_path / "bundle.zip"), "--level", "code", "--no-check")
    # and where it goes wrong: another password, a package that is not there, a server that is away
    site.lock(USER, "changed")
    shutil.rmtree(tmp_path / "caches")
    reproof("run", "-v", "--", "python", "train.py", expect=125)
    reproof("verify", "-v", "--no-log", expect=2)
    reproof("run", f"http://{USER}:{CANARIES['remote of Git']}@{site.host}/none.git", expect=125)
    gone = f"http://{USER}:{CANARIES['tracking address']}@127.0.0.1:9"
    reproof("run", "--", "python", "train.py", expect=125, MLFLOW_TRACKING_URI=gone)
    reproof("verify", "0" * 32, expect=2, MLFLOW_TRACKING_URI=gone)

    outputs = [
        (f"{words}: {part}", text.encode())
        for words, done in said
        for part, text in done._asdict().items()
        if isinstance(text, str)
    ]
    kept = files_of(project.folder / ".reproof", own_places, tmp_path / "caches", server.folder)
    kept += contents(tmp_path / "bundle.zip")
    assert any("record.json" in place for place, _ in kept)
    assert found_in(outputs + kept) == []


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text(f"a {CANARIES['netrc']} b")
    (tmp_path / "encoded").write_bytes(base64.b64encode(f"{USER}:{CANARIES['proxy']}".encode()))
    with zipfile.ZipFile(tmp_path / "packed", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner", CANARIES["remote of DVC"] * 20)
    assert len(found_in(files_of(tmp_path))) == 4
