"""Letters by frequency, in the encoding of the user's locale."""

import collections
import json
import locale

locale.setlocale(locale.LC_CTYPE, "")
with open("data/names.txt", "rb") as file:
    text = file.read().decode(locale.getencoding(), errors="replace")
counts = collections.Counter(text)
with open("result.json", "w") as file:
    json.dump(sorted(counts.items()), file)
