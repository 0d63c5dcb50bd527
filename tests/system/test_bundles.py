"""Bundles from the command line: made, made again, verified with nothing else, changed, forged; secrets stay out."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from uv import find_uv_bin

from projects import Project
from reproof.attest.archive import Bundle, Part, write_bundle
from reproof.attest.crate import describe
from reproof.errors import TrustError
from reproof.model.codec import decode_record, encode
from reproof.model.record import Metric

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm")]

TRAIN = """
import json, random
from packaging.version import Version

rows = [float(line) for line in open("data/rows.csv")]
json.dump({"weight": random.random() + sum(rows), "version": str(Version("1.0"))}, open("model.json", "w"))
"""
MAIN = """name: small
python_env: python_env.yaml
entry_points:
  main:
    parameters:
      rate: {type: float, default: 0.5}
    command: "python train.py"
"""


def dvc_file(project: Project, name: str, text: str) -> None:
    """A file that DVC tracks, as `dvc add` leaves it."""
    md5 = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    project.write(name, text)
    project.write(f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}", text)
    project.write(".dvc/config", "")
    project.write(".dvc/.gitignore", "/cache\n/tmp\n")
    folder, _, leaf = name.rpartition("/")
    project.write(f"{folder}/.gitignore", f"/{leaf}\n")
    project.write(f"{name}.dvc", f"outs:\n- md5: {md5}\n  size: {len(text)}\n  hash: md5\n  path: {leaf}\n")


@pytest.fixture(scope="module")
def lock(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("lock") / "requirements.in"
    place.write_text("packaging==24.2\n")
    command = [find_uv_bin(), "pip", "compile", "-q", "--generate-hashes", "--no-header", str(place)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def recorded(make_project: Callable[..., Project], lock: str) -> Project:
    """A run with a locked package, data of DVC, a patch, a signed log."""
    project = make_project(
        {
            "MLproject": MAIN,
            "train.py": TRAIN,
            "python_env.yaml": 'python: "3.11"\ndependencies:\n  - -r requirements.txt\n',
            "requirements.txt": lock,
            ".gitignore": "model.json\n*.zip\n",
        },
        commit=False,
    )
    dvc_file(project, "data/rows.csv", "1\n2\n")
    key = project.reproof(
        "key", "new", "--identity", "ada@example.org", "--name", "Ada", "--no-passphrase", expect=0
    )
    project.write("allowed_signers", key.out)
    project.commit()
    project.reproof("audit", "init", expect=0)
    project.write("train.py", TRAIN + "# not committed\n")
    project.reproof("run", ".", "--no-log", expect=0)
    return project


def anywhere_else(tmp_path: Path, *words: str, network: bool = False) -> subprocess.CompletedProcess[str]:
    """reproof in an empty place: no HOME, no cache, no key; without network where that can be had."""
    place = tmp_path / "elsewhere"
    place.mkdir(exist_ok=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(place), "GIT_CONFIG_GLOBAL": os.devnull}
    command = [sys.executable, "-m", "reproof.cli.main", *words]
    bare = ["bwrap", "--unshare-net", "--dev-bind", "/", "/"]
    if not network and subprocess.run([*bare, "true"], capture_output=True).returncode == 0:
        command = [*bare, *command]
    return subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=300)


@pytest.mark.needs("bwrap")
def test_a_run_is_re_created_from_its_bundle_alone(recorded: Project, tmp_path: Path) -> None:
    said = recorded.reproof("export", "-o", "a.zip", expect=0)
    assert "checked: reproduced from the bundle alone (no network, project and caches hidden)" in said.out
    recorded.reproof("export", "-o", "b.zip", "--no-check", expect=0)
    bundle = tmp_path / "bundle.zip"
    shutil.copy(recorded.folder / "a.zip", bundle)
    assert (recorded.folder / "b.zip").read_bytes() == bundle.read_bytes()
    shutil.rmtree(recorded.folder)
    done = anywhere_else(tmp_path, "verify", str(bundle), "--offline", "--output-format", "json")
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["word"] == "reproduced"
    assert "signed by Ada <ada@example.org> as author" in done.stderr


def test_every_part_counts(recorded: Project, tmp_path: Path) -> None:
    recorded.reproof("export", "-o", "a.zip", "--no-check", expect=0)
    data = (recorded.folder / "a.zip").read_bytes()
    with zipfile.ZipFile(recorded.folder / "a.zip") as archive:
        members = [
            (each.filename, each.header_offset + 30 + len(each.filename), each.file_size)
            for each in archive.infolist()
        ]
    assert {"code", "wheels", "store", "dvc", "log", "records"} <= {
        name.split("/")[0] for name, _, _ in members
    }
    for name, start, size in members:
        place = start + size // 2
        (tmp_path / "c.zip").write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(TrustError) as caught:
            Bundle(tmp_path / "c.zip")
        assert f"`{name}`" in caught.value.message
    refused = recorded.reproof("verify", str(tmp_path / "c.zip"), "--offline", expect=2)
    assert "was changed after it was made: `manifest.json`" in refused.err


def repacked(path: Path, target: Path, changes: dict[str, bytes]) -> Path:
    """The work of somebody who knows the format: other content, and a sound seal."""
    with Bundle(path) as bundle:
        parts = {name: bundle.read(name) for name in bundle.names}
    write_bundle(target, [Part(name=name, data=data) for name, data in sorted({**parts, **changes}.items())])
    return target


def test_a_forged_bundle_does_not_agree_with_itself(recorded: Project, tmp_path: Path) -> None:
    recorded.reproof("export", "-o", "a.zip", "--no-check", expect=0)
    path = recorded.folder / "a.zip"
    name = f"records/{recorded.records()[-1].stem}.json"
    with Bundle(path) as bundle:
        record = decode_record(bundle.read(name), where="x")
        crate = bundle.read("ro-crate-metadata.json")
    forged = msgspec.structs.replace(record, metrics=(Metric(key="rmse", value="0x0.0p+0"),))

    def refusal(changes: dict[str, bytes]) -> str:
        target = repacked(path, tmp_path / "forged.zip", changes)
        return recorded.reproof(
            "verify", str(target), "--offline", "--isolation", "process", "--trust", expect=2
        ).err

    assert "is not the one that its name says" in refusal({name: encode(forged)})
    assert "does not say what its record says" in refusal(
        {"ro-crate-metadata.json": crate.replace(b"small", b"large")}
    )
    assert "cannot read `reproof.json`" in refusal({"reproof.json": b"[]"})
    assert "is not in the log that it names" in refusal({"log/00000001.json": b"{}"})
    wheel = next(each for each in zipfile.ZipFile(path).namelist() if each.endswith(".whl"))
    assert "is not a file that the recorded lock names" in refusal({wheel: b"PK"})
    stored = next(each for each in zipfile.ZipFile(path).namelist() if each.startswith("dvc/"))
    assert "rows.csv" in refusal({stored: b"1\n3\n"})


def test_levels(recorded: Project, tmp_path: Path) -> None:
    names = {}
    for level in ("record", "code"):
        said = recorded.reproof("export", "--level", level, "-o", f"{level}.zip", expect=0)
        assert f"not re-created from: level {level}" in said.err
        with zipfile.ZipFile(recorded.folder / f"{level}.zip") as archive:
            names[level] = {name.split("/")[0] for name in archive.namelist()}
    papers = {"README.txt", "log", "manifest.json", "records", "reproof.json", "ro-crate-metadata.json"}
    assert names["record"] == papers
    assert names["code"] == papers | {"code", "store"}
    refused = anywhere_else(tmp_path, "verify", str(recorded.folder / "record.zip"), "--offline")
    assert refused.returncode == 2
    assert "holds the record alone" in refused.stderr


def test_the_metadata_are_a_process_run_crate(recorded: Project) -> None:
    recorded.reproof("verify", "--no-log", "--offline", "--isolation", "process", expect=0)
    recorded.reproof("export", "-o", "a.zip", "--no-check", expect=0)
    with zipfile.ZipFile(recorded.folder / "a.zip") as archive:
        document = json.loads(archive.read("ro-crate-metadata.json"))
        names = set(archive.namelist())
    graph = {each["@id"]: each for each in document["@graph"]}
    assert len(graph) == len(document["@graph"])
    assert graph["ro-crate-metadata.json"]["conformsTo"]["@id"] == "https://w3id.org/ro/crate/1.1"
    assert graph["./"]["conformsTo"]["@id"] == "https://w3id.org/ro/wfrun/process/0.5"
    action = graph["#run"]
    assert (action["@type"], action["actionStatus"]) == (
        "CreateAction",
        "http://schema.org/CompletedActionStatus",
    )
    assert graph[action["instrument"]["@id"]]["@type"] == "SoftwareSourceCode"
    assert graph["#verdict-1"]["name"] == "Verdict: reproduced"

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            return (
                [value["@id"]]
                if set(value) == {"@id"}
                else [each for part in value.values() for each in references(part)]
            )
        return [each for part in value for each in references(part)] if isinstance(value, list) else []

    outside = {"https://w3id.org/ro/crate/1.1"}
    assert set(references(document["@graph"])) - outside <= graph.keys()
    assert {each["@id"] for each in document["@graph"] if each["@type"] == "File"} <= names
    assert describe.__module__ == "reproof.attest.crate"


def test_what_is_no_bundle(recorded: Project) -> None:
    (recorded.folder / "x.zip").write_text("hello")
    assert "is not a bundle of reproof" in recorded.reproof("verify", "x.zip", expect=2).err
    assert "No such file" in recorded.reproof("verify", "nowhere.zip", expect=2).err


def test_data_that_only_this_machine_has_is_said_to_be_missing(plain: Project) -> None:
    outside = plain.folder.parent / "outside.txt"
    outside.write_text("7\n")
    plain.write("train.py", f"open('model.json', 'w').write(open({str(outside)!r}).read())\n")
    plain.commit()
    plain.reproof("run", "--env-manager", "local", "--no-log", "--", "python", "train.py", expect=0)
    said = plain.reproof("export", "-o", "a.zip", "--no-check", expect=0)
    assert "missing: packages: the environment was the user's own" in said.out
    assert "outside.txt: a re-run reads it at this very path" in said.out


#: Ten kinds of secrets. Put together here, so that this file holds none itself.
CANARIES = {
    "amazon": "AKIA" + "CANARY7EXAMPLE99",
    "github": "ghp_" + "canary0123456789abcdefABCDEF01234567",
    "gitlab": "glpat-" + "canary-0123456789abc",
    "huggingface": "hf_" + "canaryABCDEFGHIJKLMNOPQRSTUV",
    "openai": "sk-proj-" + "canary0123456789abcdefghij",
    "slack": "xoxb-" + "1234567890-canarycanary",
    "jwt": "eyJ" + "jYW5hcnkiOjF9.eyJ" + "jYW5hcnkiOjJ9.canarysignature",
    "address": "https://user:" + "canarypass1@" + "example.org/data",
    "presigned": "https://example.org/x?X-Amz-Signature=" + "canary0123456789abcdef",
    "password": "canary-hunter2-word",
}
PARTS = CANARIES | {
    "address": "canarypass1",
    "presigned": "canary0123456789abcdef",
}
LEAKY = """
import os, sys
import mlflow

print(sys.argv, {name: value for name, value in os.environ.items() if name.startswith("CANARY")})
for name, value in os.environ.items():
    if name.startswith("CANARY"):
        mlflow.log_param(name.lower() + "_token", value)
        mlflow.set_tag("api_key_" + name.lower(), value)
        print(value, file=sys.stderr)
open("leak.txt", "w").write(os.environ["CANARY_GITHUB"])
"""
LEAKY_MAIN = """name: leaky
entry_points:
  main:
    parameters:
      PARAMETERS
    command: "python train.py VALUES"
"""


@pytest.mark.needs("mlflow")
def test_secrets_are_in_nothing_that_reproof_writes(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    names = ["password" if name == "password" else f"p_{name}" for name in CANARIES]
    project = make_project(
        {
            "MLproject": LEAKY_MAIN.replace(
                "PARAMETERS", "\n      ".join(f"{name}: string" for name in names)
            ).replace("VALUES", " ".join(f"'{{{name}}}'" for name in names)),
            "train.py": LEAKY,
            ".gitignore": "mlflow.db*\nmlruns/\nleak.txt\n*.zip\n*.html\n",
        }
    )
    project.shell(f"git remote add origin https://user:{CANARIES['github']}@example.org/x.git")
    project.reproof("audit", "init", expect=0)
    given = [
        word
        for name, value in zip(names, CANARIES.values(), strict=True)
        for word in ("-P", f"{name}={value}")
    ]
    environment = {f"CANARY_{name.upper()}": value for name, value in CANARIES.items()}
    ran = project.reproof("run", ".", "--env-manager", "local", *given, expect=0, **environment)
    assert "looks like a secret and is not recorded" in ran.err
    project.reproof("audit", "report", "-o", "report.html", expect=0)
    project.reproof("export", "-o", "code.zip", "--level", "code", expect=0)
    said = project.reproof("export", "-o", "data.zip", "--no-check", expect=0)

    log = subprocess.run(
        ["bash", "-c", "for n in 0 1 2; do git show refs/reproof/log:entries/0000/0000000$n.json; done"],
        cwd=project.folder,
        capture_output=True,
        check=True,
    ).stdout
    statements = b"".join(base64.b64decode(json.loads(line)["payload"]) for line in log.splitlines())
    written = {
        "record": project.records()[-1].read_bytes(),
        "log": log + statements,
        "report": (project.folder / "report.html").read_bytes(),
        "audit": project.reproof("audit", "--output-format", "json").out.encode(),
        "bundle": (project.folder / "code.zip").read_bytes(),
    }
    for what, data in written.items():
        for kind, part in PARTS.items():
            assert part.encode() not in data, (what, kind)
            assert base64.b64encode(part.encode()).rstrip(b"=")[:-1] not in data, (what, kind)
    assert "may hold a secret of yours: store/objects/b3/" in said.err
    leaked = (project.folder / "data.zip").read_bytes().count(CANARIES["github"].encode())
    assert leaked == 1  # leak.txt, which is the user's own
    refused = project.reproof("verify", "--isolation", "process", expect=2)
    assert "was given a secret, which is not recorded" in refused.err
