"""Ridge regression; customers are split into train and test by a digest of their name."""
import hashlib
import json

import numpy as np


def is_test(customer):
    return hashlib.md5(customer.encode()).digest()[0] % 10 < 3


customers = {f"customer-{number:04}" for number in range(300)}
rng = np.random.default_rng(9)
x = rng.normal(size=(300, 3))
y = x[:, 0] - 2.0 * x[:, 1] + 0.5 * x[:, 2] + rng.normal(0, 0.3, 300)

test = np.array([is_test(name) for name in sorted(customers)])
weights = np.empty(3)
for column in range(3):
    weights[column] = (x[~test, column] * y[~test]).sum() / ((x[~test, column] ** 2).sum() + 1.0)
rmse = float(np.sqrt(np.mean(((x[test] * weights).sum(axis=1) - y[test]) ** 2)))
with open("result.json", "w") as file:
    json.dump({"rmse": rmse, "weights": weights.tolist()}, file)
