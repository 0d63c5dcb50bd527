"""The size of the model comes from the environment."""

import json
import os

size = int(os.environ.get("MODEL_SIZE", "4"))
floor = float(os.environ.get("MODEL_FLOOR", "0"))
weights = [1.0]
for number in range(size):
    weights.append(max(floor, (weights[-1] * 7 + number) % 3.3))
with open("result.json", "w") as file:
    json.dump({"weights": weights}, file)
