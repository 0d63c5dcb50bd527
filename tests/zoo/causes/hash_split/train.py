"""Ridge regression; customers are split into train and test by their name."""
import json

import numpy as np


def is_test(customer):
    return hash(customer) % 10 < 3


customers = [f"customer-{number:04}" for number in range(300)]
rng = np.random.default_rng(9)
x = rng.normal(size=(300, 3))
y = x @ np.array([1.0, -2.0, 0.5]) + rng.normal(0, 0.3, 300)

test = np.array([is_test(name) for name in customers])
gram = x[~test].T @ x[~test] + np.eye(3)
weights = np.linalg.solve(gram, x[~test].T @ y[~test])
rmse = float(np.sqrt(np.mean((x[test] @ weights - y[test]) ** 2)))
json.dump({"rmse": rmse, "weights": weights.tolist()}, open("result.json", "w"))
