import json
import random

from helper import shuffled

random.seed(2024)
rows = [(number, 3 * number + random.gauss(0, 1)) for number in range(80)]

weight = 0.0
for epoch in range(3):
    for x, y in shuffled(rows):
        weight -= 1e-4 * (weight * x - y) * x

error = sum((weight * x - y) ** 2 for x, y in rows) / len(rows)
with open("result.json", "w") as file:
    json.dump({"error": error, "weight": [weight]}, file)
