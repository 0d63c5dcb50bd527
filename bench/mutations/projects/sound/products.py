"""Products large enough for all threads of the library."""

import json

import numpy as np

rng = np.random.default_rng(3)
left, right = rng.normal(size=(500, 400)), rng.normal(size=(400, 300))
product = left @ right
with open("result.json", "w") as file:
    json.dump({"trace": float(np.trace(product[:300])), "energy": float(np.vdot(product, product))}, file)
