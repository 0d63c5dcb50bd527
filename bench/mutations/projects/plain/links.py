"""How many links of a crawl lead where."""

import collections
import json
from urllib.parse import urlsplit


def host(link):
    try:
        return urlsplit(link).netloc or "none"
    except ValueError:
        return "broken"


with open("data/links.txt") as file:
    links = file.read().split("\n")
hosts = collections.Counter(host(link) for link in links if link)
with open("result.json", "w") as file:
    json.dump(dict(sorted(hosts.items())), file)
