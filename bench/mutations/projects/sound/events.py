"""A queue simulated by events; the clock is read to report progress, and the result holds no time."""

import heapq
import json
import random
import time

rng, began = random.Random(23), time.monotonic()
events, waited, free = [(rng.expovariate(1.0), number) for number in range(500)], [], 0.0
heapq.heapify(events)
while events:
    moment, number = heapq.heappop(events)
    start = max(moment, free)
    free = start + rng.expovariate(1.2)
    waited.append(start - moment)
print(f"simulated in {time.monotonic() - began:.3f} s")
with open("result.json", "w") as file:
    json.dump({"mean": sum(waited) / len(waited), "longest": max(waited)}, file)
