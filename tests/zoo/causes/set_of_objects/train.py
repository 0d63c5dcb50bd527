"""Spreads demand over a network of stations."""
import json
import random


class Station:
    def __init__(self, name, demand):
        self.name = name
        self.demand = demand


random.seed(3)
stations = [Station(f"s{number:02}", random.uniform(0, 100)) for number in range(40)]
links = set()
for station in stations:
    for other in random.sample(stations, 4):
        if other is not station:
            links.add((station, other))

for sweep in range(5):
    for station, other in links:
        flow = 0.2 * (station.demand - other.demand)
        station.demand -= flow
        other.demand += flow

demands = [station.demand for station in stations]
with open("result.json", "w") as file:
    json.dump({"spread": max(demands) - min(demands), "demands": demands}, file)
