import random

SYLLABLES = ["ba", "ke", "mo", "ri", "tu", "sa", "ne", "lo", "fi", "du"]


def documents():
    rng = random.Random(5)
    words = ["".join(rng.choices(SYLLABLES, k=3)) for _ in range(300)]
    return [" ".join(rng.choices(words, k=120)) for _ in range(40)]


def vocabulary(texts):
    found = []
    for text in texts:
        found.extend(text.split())
    return sorted(set(found))
