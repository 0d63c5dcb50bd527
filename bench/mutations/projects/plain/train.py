import argparse
import csv
import json
import random

from model import fit, predict
from scaling import scale

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0.05)
parser.add_argument("--steps", type=int, default=150)
options = parser.parse_args()

with open("config.json") as file:
    config = json.load(file)
with open(config["table"]) as file:
    rows = [(scale(float(row["x"])), float(row["y"])) for row in csv.DictReader(file)]

# The last tenth is kept for the score.
held = max(1, len(rows) // 10)
train, test = rows[:-held], rows[-held:]
start = random.Random(config["seed"]).random()
weights = fit(train, start, options.rate, options.steps, config["penalty"])
error = sum((predict(weights, x) - y) ** 2 for x, y in test) / len(test)
with open("result.json", "w") as file:
    json.dump({"weights": weights, "rmse": error**0.5}, file, indent=1)
