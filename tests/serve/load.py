"""Ask a server from many connections at once, each request one row; a process of its own.

Usage: python load.py HOST PORT N CONNECTIONS ROWS.json OUT STOP. Written to OUT is a line for each
reply: when it was sent, its row, its status, its version, its number. It goes on until N requests
are answered and the file STOP is there.
"""

import http.client
import itertools
import json
import sys
import threading
import time
from pathlib import Path
from typing import TextIO


def main(host: str, port: str, n_requests: str, n_connections: str, *files: str) -> None:
    rows, out, stop = map(Path, files)
    bodies = [json.dumps([row]) for row in json.loads(rows.read_text())]
    numbers, lock = itertools.count(1), threading.Lock()
    headers = {"Content-Type": "application/json"}

    def work(handle: TextIO) -> None:
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        while (number := next(numbers)) <= int(n_requests) or not stop.exists():
            row = number % len(bodies)
            sent = time.monotonic()
            connection.request("POST", "/predict", bodies[row], headers)
            response = connection.getresponse()
            body = response.read()
            found = json.loads(body) if response.status == 200 else {}
            version, values = found.get("model_version", "0"), found.get("predictions", ["nan"])
            with lock:
                print(sent, row, response.status, version, values[0], file=handle)

    with out.open("w", buffering=1) as handle:
        threads = [
            threading.Thread(target=work, args=(handle,)) for _ in range(int(n_connections))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
