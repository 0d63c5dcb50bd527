"""Makes the files of this folder, by frameworks that the tests do without.

Run in an environment with torch, xgboost, lightgbm, catboost, keras, h5py and numpy, once for each name:

    python make.py a 1 && python make.py b 1 && python make.py c 2

`a` and `b` are trainings with one seed in two processes, `c` is one with another seed.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
POINTS = np.random.RandomState(0).rand(80, 3)
TARGETS = POINTS.sum(1)


def torch_files(name: str, seed: int) -> None:
    import torch

    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(16, 3)).pow(2).mean().backward()
        optimizer.step()
    torch.save(model.state_dict(), FOLDER / f"state_{name}.pt")
    torch.save(model.state_dict(), FOLDER / f"old_{name}.pt", _use_new_zipfile_serialization=False)
    torch.save(
        {"model": model.state_dict(), "optimizer": optimizer.state_dict()}, FOLDER / f"full_{name}.ckpt"
    )
    torch.jit.script(model[:2]).save(FOLDER / f"script_{name}.pt")
    with (FOLDER / f"module_{name}.pkl").open("wb") as file:
        pickle.dump(model, file)
    if name == "a":
        numbers = torch.arange(24.0).reshape(2, 3, 4)
        types = {
            "turned": numbers.transpose(0, 2),
            "part": numbers[1],
            "bfloat16": numbers.bfloat16(),
            "float8": numbers.to(torch.float8_e4m3fn),
            "uint16": numbers.to(torch.uint16),
            "complex": numbers.to(torch.complex64),
            "sparse": numbers[0].to_sparse(),
            "bool": numbers > 3,
            "empty": numbers[:0],
        }
        torch.save(types, FOLDER / "types_a.pt")


def booster_files(name: str, seed: int) -> None:
    import lightgbm
    import xgboost
    from catboost import CatBoostRegressor

    xgb = xgboost.XGBRegressor(n_estimators=2, max_depth=2, subsample=0.6, random_state=seed, n_jobs=1)
    xgb.fit(POINTS, TARGETS).save_model(FOLDER / f"xgboost_{name}.ubj")
    options = {
        "n_estimators": 2,
        "num_leaves": 4,
        "subsample": 0.6,
        "subsample_freq": 1,
        "min_child_samples": 5,
    }
    lgb = lightgbm.LGBMRegressor(**options, random_state=seed, n_jobs=1, verbose=-1).fit(POINTS, TARGETS)
    lgb.booster_.save_model(FOLDER / f"lightgbm_{name}.txt")
    with (FOLDER / f"lightgbm_{name}.pkl").open("wb") as file:
        pickle.dump(lgb, file)
    cat = CatBoostRegressor(
        iterations=2, depth=2, random_seed=seed, verbose=0, allow_writing_files=False, thread_count=1
    ).fit(POINTS, TARGETS)
    cat.save_model(FOLDER / f"catboost_{name}.cbm")
    cat.save_model(FOLDER / f"catboost_{name}.json", format="json")


def keras_files(name: str, seed: int) -> None:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2, activation="relu")])
    model.compile("sgd", "mse")
    model.fit(POINTS, np.stack([TARGETS, TARGETS], 1), epochs=1, verbose=0)
    model.save(FOLDER / f"keras_{name}.keras")
    model.save(FOLDER / f"keras_{name}.h5")


if __name__ == "__main__":
    name, seed = sys.argv[1], int(sys.argv[2])
    torch_files(name, seed)
    booster_files(name, seed)
    keras_files(name, seed)
