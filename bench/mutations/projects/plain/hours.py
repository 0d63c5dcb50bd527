"""At which hour of the day most trips begin."""

import datetime
import json

with open("data/trips.txt") as file:
    stamps = [int(line) for line in file]
counts = [0] * 24
for stamp in stamps:
    counts[datetime.datetime.fromtimestamp(stamp).hour] += 1
with open("result.json", "w") as file:
    json.dump({"peak": counts.index(max(counts)), "counts": counts}, file)
