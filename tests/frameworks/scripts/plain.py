"""What is drawn without a seed, by the standard library and the packages for numbers and tables."""

import json
import random

import numpy as np
import pandas as pd
from scipy import optimize, stats

results = {}

words = ["one", "two", "three", "four", "five", "six"]
random.shuffle(words)
results["random"] = [*words, random.gauss(0, 1), random.sample(range(1000), 3)]

results["numpy"] = [*np.random.normal(size=3), *np.random.permutation(1000)[:5].tolist()]
results["numpy_generator"] = np.random.default_rng().normal(size=3).tolist()

fit = optimize.differential_evolution(
    lambda x: (x[0] - 1) ** 2 + (x[1] + 2) ** 2, [(-5, 5), (-5, 5)], maxiter=3
)
results["scipy"] = [*stats.norm.rvs(size=3), *fit.x, fit.nfev]

table = pd.DataFrame({"x": range(1000), "y": np.arange(1000) % 7})
results["pandas"] = [*table.sample(5)["x"].tolist(), float(table.sample(frac=0.3)["x"].mean())]

with open("result.json", "w") as file:
    json.dump(results, file, default=float)
