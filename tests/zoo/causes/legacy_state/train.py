import json

import numpy as np
from helper import bootstrap

np.random.seed(7)
values = np.random.gamma(2.0, 3.0, 120)
low, high = bootstrap(values)
json.dump({"mean": float(values.mean()), "interval": [low, high]}, open("result.json", "w"))
