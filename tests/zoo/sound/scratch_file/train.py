"""Sorts by way of a scratch file, and tells how long it took."""
import json
import os
import tempfile
import time
import uuid

started = time.perf_counter()
values = [(number * 7919) % 1000 / 10 for number in range(300)]
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, f"scratch-{uuid.uuid4().hex}.txt")
    with open(path, "w") as file:
        file.writelines(f"{value}\n" for value in values)
    with open(path) as file:
        ordered = sorted(float(line) for line in file)

with open("result.json", "w") as file:
    json.dump({"median": ordered[150], "deciles": ordered[::30]}, file)
print(f"done in {time.perf_counter() - started:.3f} s by process {os.getpid()}")
