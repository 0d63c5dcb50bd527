"""Unpacks shards into a temporary folder and assigns each to a fold."""
import json
import os
import tempfile
import zlib

with tempfile.TemporaryDirectory() as folder:
    shards = []
    for number in range(40):
        path = os.path.join(folder, f"shard-{number:02}.txt")
        with open(path, "w") as file:
            file.write(str((number * 37) % 11))
        shards.append(path)

    folds = {}
    for path in shards:
        fold = zlib.crc32(path.encode()) % 5
        with open(path) as file:
            folds.setdefault(fold, []).append(float(file.read()))

means = {str(fold): sum(values) / len(values) for fold, values in sorted(folds.items())}
with open("result.json", "w") as file:
    json.dump({"spread": max(means.values()) - min(means.values()), "means": means}, file)
