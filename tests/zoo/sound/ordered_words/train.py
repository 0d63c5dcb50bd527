"""Counts words; a set says which were seen, a dictionary keeps their order."""
import json
import re

TEXT = "the rider took the old bicycle to the market and the market took the bicycle from the old rider"

seen = set()
index = {}
for word in re.findall(r"[a-z]+", TEXT):
    if word not in seen:
        seen.add(word)
        index[word] = len(index)

vector = [0] * len(index)
for word in TEXT.split():
    vector[index[word]] += 1

with open("result.json", "w") as file:
    json.dump({"distinct": len(seen), "vector": vector}, file)
