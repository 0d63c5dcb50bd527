"""A score made of forty packages' weights."""

import importlib
import json

total = 0.0
for number in range(40):
    total = 0.99 * total + importlib.import_module(f"part{number:02d}").WEIGHT
with open("result.json", "w") as file:
    json.dump({"score": total}, file)
