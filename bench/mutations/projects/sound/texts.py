"""Words counted, sorted, normalised and split by a digest."""

import collections
import hashlib
import json
import re
import unicodedata

text = "Zoë saw Łukasz; ŁUKASZ saw nobody. The ﬁnch saw all of it, twice. " * 40
words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
counts = collections.Counter(words)
test = sorted(word for word in set(words) if hashlib.sha256(word.encode()).digest()[0] % 4 == 0)
with open("result.json", "w", encoding="utf-8") as file:
    json.dump({"counts": sorted(counts.items()), "test": test}, file, ensure_ascii=False)
