import json
import random

import numpy as np

SEED = 42
random.seed(SEED)
np.random.seed(SEED)
rng = np.random.default_rng(SEED)

order = list(range(100))
random.shuffle(order)
x = rng.normal(size=(100, 3))
y = x[:, 0] - 2 * x[:, 1] + np.random.normal(0, 0.1, 100)

weights = np.zeros(3)
for epoch in range(3):
    for row in order:
        error = float((x[row] * weights).sum()) - y[row]
        weights -= 0.05 * error * x[row]

mse = float(np.mean(((x * weights).sum(axis=1) - y) ** 2))
with open("result.json", "w") as file:
    json.dump({"mse": mse, "weights": weights.tolist()}, file)
