"""Processes: results in the order of the tasks, one seed for each."""

import json
import random
from multiprocessing import Pool


def work(task):
    return sum(random.Random(task).random() for _ in range(1000))


if __name__ == "__main__":
    with Pool(3) as pool:
        sums = pool.map(work, range(12))
    with open("result.json", "w") as file:
        json.dump(sums, file)
