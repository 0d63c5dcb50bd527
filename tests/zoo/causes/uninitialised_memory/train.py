"""Bag of words: counts per document, and how alike the documents are."""
import json

import numpy as np
from helper import documents, vocabulary

texts = documents()
columns = {word: number for number, word in enumerate(vocabulary(texts))}

rows = []
for text in texts:
    counts = np.empty(len(columns), dtype=np.int64)
    for word in text.split():
        counts[columns[word]] += 1
    rows.append(counts)

matrix = np.array(rows)
with open("result.json", "w") as file:
    json.dump({"mean": float(matrix.mean()), "rows": matrix.sum(axis=1).tolist()}, file)
