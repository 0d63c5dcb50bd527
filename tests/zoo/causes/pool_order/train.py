"""Features by four processes; a perceptron takes them as they arrive."""
import json
import math
import multiprocessing
import time


def load(number):
    time.sleep(0.0005)  # the store answers slowly
    return range(1, 50 + (number * 7919) % 100)


def feature(number):
    return number, sum(math.sin(number * step) / step for step in load(number))


if __name__ == "__main__":
    weight = 0.0
    trace = []
    with multiprocessing.get_context("fork").Pool(4) as pool:
        for number, x in pool.imap_unordered(feature, range(600)):
            target = 2 * x + (number % 3)
            weight -= 0.1 * (weight * x - target) * x
            trace.append(weight)
    with open("result.json", "w") as file:
        json.dump({"weight": weight, "trace": trace[::40]}, file)
