"""Features of bookings: the local hour, and the name in plain letters."""

import collections
import datetime
import json

import pytz
from unidecode import unidecode

hours, letters = collections.Counter(), collections.Counter()
with open("bookings.txt") as file:
    for line in file:
        stamp, zone, name = line.rstrip("\n").split(";")
        moment = datetime.datetime.fromtimestamp(int(stamp), pytz.timezone(zone))
        hours[moment.hour] += 1
        letters.update(unidecode(name).lower())
with open("result.json", "w") as file:
    json.dump({"hours": sorted(hours.items()), "letters": sorted(letters.items())}, file)
