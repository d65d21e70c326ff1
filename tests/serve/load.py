"""Ask a server from many connections at once, each request one row; a process of its own.

Usage: python load.py HOST PORT N CONNECTIONS ROWS.json OUT STOP. Written to OUT is a line for each
reply: when it was sent, its row, its status, its version, its number. It goes on until N requests
are answered and the file STOP is there.
"""

import http.client
import json
import sys
import threading
import time
from pathlib import Path

host, port, n_requests, n_connections, rows, out, stop = sys.argv[1:]
BODIES = [json.dumps([row]) for row in json.loads(Path(rows).read_text())]
lock, handle = threading.Lock(), Path(out).open("w", buffering=1)
n_done = 0


def next_number() -> int | None:
    global n_done
    with lock:
        n_done += 1
        number = n_done
    return None if number > int(n_requests) and Path(stop).exists() else number


def work() -> None:
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    while (number := next_number()) is not None:
        row = number % len(BODIES)
        sent = time.monotonic()
        connection.request("POST", "/predict", BODIES[row], {"Content-Type": "application/json"})
        response = connection.getresponse()
        body = response.read()
        found = json.loads(body) if response.status == 200 else {}
        version, values = found.get("model_version", "-"), found.get("predictions", ["-"])
        with lock:
            print(sent, row, response.status, version, values[0], file=handle)


threads = [threading.Thread(target=work) for _ in range(int(n_connections))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
