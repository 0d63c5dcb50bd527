"""Mean demand per hour of the day."""
import json
from datetime import datetime

START = 1_700_000_000

totals = [0.0] * 24
counts = [0] * 24
for number in range(500):
    stamp = START + number * 3600
    demand = 40 + (number * 7919) % 61 + 30 * (number % 24 in (8, 17))
    hour = datetime.fromtimestamp(stamp).hour
    totals[hour] += demand
    counts[hour] += 1

profile = [total / count for total, count in zip(totals, counts)]
with open("result.json", "w") as file:
    json.dump({"peak_hour": profile.index(max(profile)), "profile": profile}, file)
