"""Word embeddings by a toy skip-gram model."""
import json
import re

import numpy as np

TEXT = """
The rider unlocked the old blue bicycle near the station before seven and followed the river towards the market.
Heavy rain kept most visitors inside, yet commuters still rented every bicycle that remained beneath the bridge.
On warm Sundays families cross the park slowly, stop for ice cream, and return long after sunset without hurry.
Our forecast counts trips per hour; wind, holidays, temperature and humidity explain more than anybody expected.
"""

words = re.findall(r"[a-z]+", TEXT.lower())
index = {word: number for number, word in enumerate(set(words))}

rng = np.random.default_rng(42)
vectors = rng.normal(scale=0.1, size=(len(index), 8))
for epoch in range(3):
    for left, right in zip(words, words[1:]):
        a, b = index[left], index[right]
        step = 0.05 * (1.0 - np.tanh(vectors[a] @ vectors[b]))
        vectors[a], vectors[b] = vectors[a] + step * vectors[b], vectors[b] + step * vectors[a]

loss = -float(np.mean([np.tanh(vectors[index[a]] @ vectors[index[b]]) for a, b in zip(words, words[1:])]))
with open("result.json", "w") as file:
    json.dump({"loss": loss, "rider": vectors[index["rider"]].tolist()}, file)
