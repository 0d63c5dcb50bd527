"""Features of many blocks, fetched by threads; a running average over them."""
import hashlib
import json
import queue
import threading
import time

todo = queue.Queue()
results = []


def fetch(number):
    time.sleep(0.0005)  # the store answers slowly
    return bytes((number * i) % 251 for i in range(64)) * 256


def work():
    while True:
        try:
            number = todo.get_nowait()
        except queue.Empty:
            return
        digest = hashlib.sha256(fetch(number)).digest()
        results.append(int.from_bytes(digest[:4], "big") / 2**32)


for number in range(600):
    todo.put(number)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

average = 0.0
trace = []
for value in results:
    average = 0.9 * average + 0.1 * value
    trace.append(average)

with open("result.json", "w") as file:
    json.dump({"average": average, "trace": trace[::20]}, file)
