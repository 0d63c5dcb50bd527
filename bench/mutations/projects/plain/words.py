"""Number the words, and train on the numbers."""

import json

with open("data/reviews.txt") as file:
    lines = file.read().split("\n")
words = list({word for line in lines for word in line.split()})
numbers = {word: number for number, word in enumerate(words)}
weights = [0.0] * len(words)
for line in lines:
    for word in line.split():
        weights[numbers[word]] = 0.9 * weights[numbers[word]] + numbers[word] / 7.0
with open("result.json", "w") as file:
    json.dump({"bias": weights[0], "sum": sum(weights)}, file)
