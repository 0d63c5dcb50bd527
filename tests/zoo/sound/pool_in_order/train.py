"""Features by four processes."""
import json
import math
import multiprocessing
import random


def feature(number):
    rng = random.Random(number)
    return sum(math.sin(number * step) * rng.random() / step for step in range(1, 300))


if __name__ == "__main__":
    weight = 0.0
    with multiprocessing.get_context("fork").Pool(4) as pool:
        features = pool.map(feature, range(200))
    for number, x in enumerate(features):
        weight -= 0.1 * (weight * x - (2 * x + number % 3)) * x
    with open("result.json", "w") as file:
        json.dump({"weight": weight, "features": features[::20]}, file)
