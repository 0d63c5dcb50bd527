"""Options come from the environment; later ones win over earlier ones."""
import json
import os

STEPS = {"HOME": 0.31, "LANG": 0.17, "PATH": 0.23}

value = 1.0
trace = []
for name in os.environ:
    if name in STEPS:
        value = (value + STEPS[name]) * (1 - STEPS[name])
        trace.append(value)

with open("result.json", "w") as file:
    json.dump({"value": value, "trace": trace}, file)
