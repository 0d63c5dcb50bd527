"""Rows go to the test set by a digest of their key."""

import hashlib
import json

import numpy as np

table = np.loadtxt("readings.csv", delimiter=",", skiprows=1)
keys = [repr((row[0], row[1])) for row in table]
test = [number for number, key in enumerate(keys) if hashlib.md5(key.encode()).digest()[0] < 64]
with open("result.json", "w") as file:
    json.dump({"test": test, "mean": float(table[test, -1].mean())}, file)
