import json
import random
import sys

count = int(sys.argv[1])
print(json.dumps([random.gauss(0, 1) for _ in range(count)]))
