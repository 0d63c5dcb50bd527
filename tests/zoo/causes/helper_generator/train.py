import json

import numpy as np
from helper import augment

np.random.seed(0)

x = np.linspace(-1, 1, 50)
y = 3 * x**2 + 0.5 * x + np.random.normal(0, 0.05, x.size)

xs, ys = augment(x, y, copies=4)
coefficients = np.polyfit(xs, ys, 2)
rmse = float(np.sqrt(np.mean((np.polyval(coefficients, x) - y) ** 2)))
json.dump({"rmse": rmse, "coefficients": coefficients.tolist()}, open("result.json", "w"))
