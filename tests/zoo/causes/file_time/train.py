"""Weighs measurements by their age."""
import json
import os

with open("measurements.csv") as file:
    values = [float(line) for line in file]

now = os.path.getmtime("measurements.csv")
weights = [1 / (1 + (now / 60 + number) % 97) for number in range(len(values))]
mean = sum(w * v for w, v in zip(weights, values)) / sum(weights)

with open("result.json", "w") as file:
    json.dump({"mean": mean, "weights": weights}, file)
