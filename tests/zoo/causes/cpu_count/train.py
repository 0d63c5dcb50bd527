"""Bagged means, one bag per processor."""
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor

VALUES = [((number * 7919) % 1000) / 10 for number in range(500)]


def bag(seed):
    rng = random.Random(seed)
    return sum(rng.choices(VALUES, k=200)) / 200


workers = len(os.sched_getaffinity(0))
with ThreadPoolExecutor(workers) as pool:
    means = list(pool.map(bag, range(workers)))

with open("result.json", "w") as file:
    json.dump({"estimate": sum(means) / len(means), "means": means}, file)
