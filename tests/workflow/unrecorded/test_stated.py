"""What logged models say of the environment that they were made in."""

from __future__ import annotations

from pathlib import Path

import msgspec

from reproof.model.artifact import Artifact
from reproof.model.record import Distribution, EnvironmentSection, Lock
from reproof.store.directory import DirectoryStore
from reproof.workflow.unrecorded.stated import Stated, held, stated_by

MODEL = {
    "MLmodel": "flavors:\n  python_function:\n    python_version: 3.11.7\n",
    "requirements.txt": "mlflow==2.22.5\ntorch==2.1.0+cu121 ; python_version > '3'\nscikit_learn[x]==1.5\nsix>=1\n-r a==1\n",
    "python_env.yaml": "python: 3.11.7\nbuild_dependencies:\n- pip==23.2.1\n- setuptools==65.5.0\n- wheel\ndependencies:\n- -r requirements.txt\n",
}


def logged(store: DirectoryStore, folder: str, files: dict[str, str]) -> list[Artifact]:
    found = []
    for name, text in files.items():
        digest = store.put_bytes(text.encode())
        found.append(Artifact(name=f"{folder}/{name}", digests={digest.algorithm: digest.value}))
    return found


def test_a_model_names_python_packages_and_tools(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    stray = logged(store, "mlflow/artifacts", {"requirements.txt": "numpy==1.0\n"})  # of no model
    stated = stated_by([*stray, *logged(store, "mlflow/models/m", MODEL)], store)
    assert stated.python == ("3.11.7", "mlflow/models/m/MLmodel")
    assert stated.packages == {"mlflow": "2.22.5", "torch": "2.1.0", "scikit-learn": "1.5"}
    assert stated.tools == {"pip": "23.2.1", "setuptools": "65.5.0"}
    assert stated.constraints[-1] == "setuptools==65.5.0"
    assert stated_by([], store) == Stated()


def test_what_two_models_contradict_in_is_left_out(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    other = {**MODEL, "requirements.txt": "mlflow==2.22.5\ntorch==2.2\n"}
    stated = stated_by([*logged(store, "m/a", MODEL), *logged(store, "m/b", other)], store)
    assert stated.packages == {"mlflow": "2.22.5", "scikit-learn": "1.5"}
    assert stated.files[0] == ("m/a/requirements.txt", "m/b/requirements.txt")


def test_the_verdict_says_only_what_decided_the_environment() -> None:
    stated = Stated(
        packages={"six": "1.0", "mlflow": "2", "torch": "2.1.0"},
        tools={"pip": "23.2.1"},
        files=(("r", "s"), ("e",)),
    )
    versions = {"six": "1.0", "mlflow": "3", "torch": "2.1.0+cpu", "pip": "23.2.1"}
    lock = Lock(format="requirements", source="r.txt", artifact=Artifact(name="r.txt"), resolved=True)
    made = EnvironmentSection(
        lock=lock,
        distributions=tuple(Distribution(name=name, version=version) for name, version in versions.items()),
    )
    assert [(line.value, line.note) for line in held(stated, made)] == [
        ("six 1.0, torch 2.1.0", "`r` and 1 more of the run names them"),
        ("pip 23.2.1", "`e` of the run names it"),
    ]
    whole = msgspec.structs.replace(made, lock=msgspec.structs.replace(lock, resolved=False))
    assert not list(held(stated, whole))
