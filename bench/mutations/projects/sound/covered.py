"""Draws that nobody seeded: the recorded seed is what repeats them."""

import json
import random

weights = [random.gauss(0, 1) for _ in range(100)]
random.shuffle(weights)
with open("result.json", "w") as file:
    json.dump(weights, file)
