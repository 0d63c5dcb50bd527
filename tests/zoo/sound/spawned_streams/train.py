"""A bootstrap with one stream for each round."""
import json

import numpy as np

root = np.random.default_rng(2024)
values = root.gamma(2.0, 3.0, 120)
means = [float(stream.choice(values, values.size).mean()) for stream in root.spawn(50)]

with open("result.json", "w") as file:
    json.dump({"interval": [min(means), max(means)], "means": means}, file)
