"""Writes to a hub with `assay.run()` until its time is over; a file says what has to be there.

Within a run nothing waits for the hub; at its end all has arrived, or lies in a file that the next
run sends. So a run is written down when its block ends.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import assay


def main(name: str, seconds: str, journal: str) -> None:
    until, number = time.monotonic() + float(seconds), 0
    with Path(journal).open("a", buffering=1) as file:
        while number == 0 or time.monotonic() < until:
            number += 1
            said: list[dict[str, object]] = []
            with assay.run(name=f"{name}-{number}", experiment=name) as run:
                assay.log_params({"lr": number, "name": name})
                said += [{"param": "lr", "value": str(number)}, {"param": "name", "value": name}]
                for step in range(200):
                    assay.log_metric(f"m{step % 5}", step / 7, step=step)
                    said.append({"metric": f"m{step % 5}", "step": step, "value": step / 7})
                assay.set_tag("last", number)
                said.append({"tag": "last", "value": str(number)})
            said.append({"status": "finished"})
            file.writelines(json.dumps({"run": run.id, **one}) + "\n" for one in said)


if __name__ == "__main__":
    main(*sys.argv[1:])
