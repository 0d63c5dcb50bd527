"""Valid files of models: pickles, skops, MLflow's descriptions, and files that frameworks made; see samples.py.

Those of frameworks are in `files/`, made by `files/make.py`: `a` and `b` with one seed in two processes,
`c` with another.
"""

from __future__ import annotations

import io
import json
import pickle
import shutil
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FILES = Path(__file__).parent / "files"

RANDOM = np.random.RandomState(7)
POINTS = RANDOM.rand(60, 4)
TARGETS = POINTS.sum(axis=1)
WEIGHTS = np.arange(48, dtype="<f8").reshape(6, 8) / 7 + 0.1

MLMODEL = """\
artifact_path: file:///somewhere/mlruns/0/models/m-{model}/artifacts
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.skops
    predict_fn: predict
    python_version: 3.11.7
  sklearn:
    code: null
    pickled_model: model.skops
    serialization_format: skops
    sklearn_version: 1.9.1
mlflow_version: 3.17.2
model_id: m-{model}
model_size_bytes: {size}
model_uuid: m-{model}
run_id: {run}
signature:
  inputs: '[{{"type": "tensor", "tensor-spec": {{"dtype": "float64", "shape": [-1, 4]}}}}]'
utc_time_created: '{time}'
"""


def mlmodel(
    model: str = "a", run: str = "b", time: str = "2026-11-23 09:27:56.850729", size: int = 512
) -> bytes:
    return MLMODEL.format(model=model * 32, run=run * 32, time=time, size=size).encode()


REQUIREMENTS = b"mlflow==3.17.2\nnumpy==2.4.6\nscikit-learn==1.9.1\nscipy==1.17.1\nskops==0.16.0\n"
CONDA = b"""\
channels:
- conda-forge
dependencies:
- python=3.11.7
- pip<=24.0
- pip:
  - mlflow==3.17.2
  - numpy==2.4.6
  - scikit-learn==1.9.1
name: mlflow-env
"""


class Plain:
    """An object whose pickle needs nothing but its module."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def plain_tree() -> dict[str, Any]:
    return {
        "name": "forest",
        "depth": 12345678,
        "rate": 0.12345678901234567,
        "flags": [True, False, None],
        "weights": WEIGHTS,
        "names": OrderedDict([("alpha", b"one"), ("beta", b"two")]),
        "few": {1.5, "word", (3, 4)},
        "big": 1 << 80,
    }


def fitted(trees: int = 3, seed: int = 1) -> Any:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    forest = RandomForestRegressor(trees, max_depth=3, random_state=seed)
    return Pipeline([("scaler", StandardScaler()), ("regressor", forest)]).fit(POINTS, TARGETS)


def frame(value: float = 2.5) -> Any:
    import pandas as pd

    columns = {
        "a": [1, 2, 3],
        "b": ["x", None, "z"],
        "c": [0.5, value, 3.5],
        "d": pd.Categorical(["u", "v", "u"]),
    }
    return pd.DataFrame({**columns, "e": pd.date_range("2020", periods=3, tz="UTC"), "f": [{1}, (2,), "s"]})


def _written(folder: Path, files: dict[str, bytes]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return [folder / name for name in files]


def _copied(*names: str) -> Callable[[Path], list[Path]]:
    def build(folder: Path) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copyfile(FILES / name, folder / name)) for name in names]

    return build


def joblib_bytes(value: Any, compress: Any = 0) -> bytes:
    import joblib

    buffer = io.BytesIO()
    joblib.dump(value, buffer, compress=compress)
    return buffer.getvalue()


def skops_bytes(value: Any) -> bytes:
    import skops.io

    data: bytes = skops.io.dumps(value)
    return data


def _pickle(folder: Path) -> list[Path]:
    import cloudpickle

    tree = plain_tree()
    model = fitted()
    changed = {**tree, "rate": 0.12345678901234568}
    return _written(
        folder,
        {
            "a.pkl": pickle.dumps(tree, 5),
            "b.pkl": pickle.dumps(tree, 2),
            "c.pkl": pickle.dumps(changed, 4),
            "d.pkl": pickle.dumps(model, 4),
            "e.pkl": pickle.dumps(fitted(seed=2), 4),
            "f.joblib": joblib_bytes(model),
            "g.joblib": joblib_bytes(model, compress=3),
            "h.pkl": cloudpickle.dumps(lambda value: value + 1),
            "i.pkl": pickle.dumps(frame(), 5),
            "j.pkl": pickle.dumps(frame(), 3),
            "k.pkl": pickle.dumps(1) + pickle.dumps(2),
            "l.pickle": pickle.dumps(tree, 0),
            "module_a.pkl": (FILES / "module_a.pkl").read_bytes(),
            "module_b.pkl": (FILES / "module_b.pkl").read_bytes(),
        },
    )


def _skops(folder: Path) -> list[Path]:
    from sklearn.linear_model import LinearRegression

    line = LinearRegression().fit(POINTS, TARGETS)
    return _written(
        folder,
        {
            "a.skops": skops_bytes(line),
            "b.skops": skops_bytes(LinearRegression().fit(POINTS, TARGETS)),
            "c.skops": skops_bytes(LinearRegression().fit(POINTS, TARGETS + POINTS[:, 0])),
            "d.skops": skops_bytes(fitted()),
            "e.skops": skops_bytes(fitted()),
        },
    )


def _mlmodel(folder: Path) -> list[Path]:
    return _written(
        folder,
        {
            "a/MLmodel": mlmodel(),
            "b/MLmodel": mlmodel("c", "d", "2026-11-24 09:27:56.1"),
            "c/MLmodel": mlmodel().replace(b"1.9.1", b"1.9.2"),
            "d/MLmodel": mlmodel(size=513),
        },
    )


def _registered(folder: Path) -> list[Path]:
    text = b"model_name: bikes\nmodel_version: '%d'\n"
    name = "registered_model_meta"
    return _written(
        folder,
        {f"a/{name}": text % 1, f"b/{name}": text % 12, f"c/{name}": (text % 1).replace(b"bikes", b"cars")},
    )


def _requirements(folder: Path) -> list[Path]:
    lines = REQUIREMENTS.splitlines(keepends=True)
    return _written(
        folder,
        {
            "a/requirements.txt": REQUIREMENTS,
            "b/requirements.txt": b"".join(reversed(lines)),
            "c/requirements.txt": REQUIREMENTS.replace(b"2.4.6", b"2.4.5"),
            "d/requirements.txt": b"# made by hand\n-c constraints.txt\n" + REQUIREMENTS + b"\n",
        },
    )


def _conda(folder: Path) -> list[Path]:
    return _written(
        folder,
        {
            "a/conda.yaml": CONDA,
            "b/conda.yaml": CONDA.replace(
                b"  - mlflow==3.17.2\n  - numpy==2.4.6\n", b"  - numpy==2.4.6\n  - mlflow==3.17.2\n"
            ),
            "c/conda.yaml": CONDA.replace(b"2.4.6", b"2.4.5"),
            "d/python_env.yaml": b"python: 3.11.7\nbuild_dependencies:\n- pip==24\ndependencies:\n- -r requirements.txt\n",
        },
    )


SAMPLES: dict[str, Callable[[Path], list[Path]]] = {
    "pickle": _pickle,
    "skops": _skops,
    "mlmodel": _mlmodel,
    "registered_model_meta": _registered,
    "requirements": _requirements,
    "conda": _conda,
    "torch": _copied("state_a.pt", "state_b.pt", "state_c.pt", "full_a.ckpt", "full_b.ckpt", "types_a.pt",
                     "script_a.pt", "script_b.pt"),
    "torch-legacy": _copied("old_a.pt", "old_b.pt", "old_c.pt"),
    "ubjson": _copied("xgboost_a.ubj", "xgboost_c.ubj"),
    "lightgbm": _copied("lightgbm_a.txt", "lightgbm_c.txt"),
    "catboost": _copied("catboost_a.cbm", "catboost_b.cbm", "catboost_c.cbm"),
    "catboost-json": _copied("catboost_a.json", "catboost_b.json", "catboost_c.json"),
    "keras": _copied("keras_a.keras", "keras_b.keras", "keras_c.keras"),
    "hdf5": _copied("keras_a.h5", "keras_c.h5"),
}  # fmt: skip


def _content(
    name: str, make: Callable[[], bytes], *pieces: bytes
) -> Callable[[Path], tuple[Path, list[int]]]:
    def build(folder: Path) -> tuple[Path, list[int]]:
        data = make()
        (path,) = _written(folder, {name: data})
        return path, [data.index(piece) + number for piece in pieces for number in range(len(piece))]

    return build


def _file(name: str, *pieces: bytes) -> Callable[[Path], tuple[Path, list[int]]]:
    return _content(name, (FILES / name).read_bytes, *pieces)


def _members(name: str, choose: Callable[[str], bool]) -> Callable[[Path], tuple[Path, list[int]]]:
    """The bytes of some members of a zip file that stores them as they are."""

    def build(folder: Path) -> tuple[Path, list[int]]:
        data = (FILES / name).read_bytes()
        (path,) = _written(folder, {name: data})
        offsets: list[int] = []
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if choose(member):
                    content = archive.read(member)
                    start = data.index(content)
                    offsets += range(start, start + len(content))
        return path, offsets

    return build


def _skops_content(folder: Path) -> tuple[Path, list[int]]:
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(POINTS, TARGETS)
    data = skops_bytes(model)
    (path,) = _written(folder, {"a.skops": data})
    pieces = [
        model.coef_.tobytes(),
        b"fit_intercept",
        b"LinearRegression",
        b"sklearn.linear_model",
        b"copy_X",
    ]
    return path, [data.index(piece) + number for piece in pieces for number in range(len(piece))]


def _catboost_values() -> list[bytes]:
    """Leaf values and weights of each tree as the binary model holds them, from the model in JSON."""
    trees = json.loads((FILES / "catboost_a.json").read_text())["oblivious_trees"]
    packed = [struct.pack(f"<{len(tree['leaf_values'])}d", *tree["leaf_values"]) for tree in trees]
    return packed + [struct.pack(f"<{len(tree['leaf_weights'])}d", *tree["leaf_weights"]) for tree in trees]


_PIECES = (
    b"forest",
    (12345678).to_bytes(4, "little"),
    WEIGHTS.tobytes(),
    b"alpha",
    b"one",
    b"depth",
    b"word",
)

CONTENT: dict[str, Callable[[Path], tuple[Path, list[int]]]] = {
    "pickle": _content("a.pkl", lambda: pickle.dumps(plain_tree(), 5), *_PIECES),
    "skops": _skops_content,
    "mlmodel": _content(
        "MLmodel", mlmodel, b"mlflow.sklearn", b"3.11.7", b"1.9.1", b"float64", b"[-1, 4]", b"model.skops", b"3.17.2"
    ),
    "registered_model_meta": _content(
        "registered_model_meta", lambda: b"model_name: bicycles-and-many-other-things\nmodel_version: '1'\n",
        b"model_name: bicycles-and-many-other-things",
    ),
    "requirements": _content("requirements.txt", lambda: REQUIREMENTS, *REQUIREMENTS.split()),
    "conda": _content("conda.yaml", lambda: CONDA, b"conda-forge", b"python=3.11.7", b"numpy==2.4.6", b"mlflow-env"),
    "torch": _members("state_a.pt", lambda name: "/data/" in name or name.endswith("data.pkl")),
    "torch-legacy": _file("old_a.pt", (FILES / "old_a.pt").read_bytes()[-108:]),
    "ubjson": _file("xgboost_a.ubj", (FILES / "xgboost_a.ubj").read_bytes()),
    "lightgbm": _file(
        "lightgbm_a.txt", (FILES / "lightgbm_a.txt").read_bytes().partition(b"Tree=0")[2].partition(b"\n\n")[0][1:]
    ),
    "catboost": _file("catboost_a.cbm", *_catboost_values(), b"random_seed", b"RMSE"),
    "catboost-json": _file("catboost_a.json", b"oblivious_trees", b"leaf_values", b"scale_and_bias", b"float_features"),
    "keras": _members("keras_a.keras", lambda name: name == "config.json"),
    "hdf5": _file("keras_a.h5", b"keras_version", b"backend", b"sequential", b"model_weights"),
}  # fmt: skip
