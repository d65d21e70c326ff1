"""What the unchanged tritonclient does; runs in `.peers/triton`, which has nothing of ours.

`check URL MODEL ROWS.json` prints what the client got, as JSON. `load` takes what
`tests/serve/load.py` takes: every second request is binary, as the client does by default.
"""

import collections
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any


def inputs(http: Any, rows: list[dict[str, Any]], metadata: Any, *, binary: bool) -> list[Any]:
    """Return the tensors that the model's own metadata asks for."""
    np = importlib.import_module("numpy")
    utils = importlib.import_module("tritonclient.utils")
    tensors = []
    for one in metadata["inputs"]:
        values = np.array(
            [row[one["name"]] for row in rows], utils.triton_to_np_dtype(one["datatype"])
        )
        tensor = http.InferInput(one["name"], [len(rows)], one["datatype"])
        tensor.set_data_from_numpy(values, **({} if binary else {"binary_data": False}))
        tensors.append(tensor)
    return tensors


def check(url: str, model: str, path: str) -> None:
    http = importlib.import_module("tritonclient.http")
    utils = importlib.import_module("tritonclient.utils")
    rows = json.loads(Path(path).read_text())
    client = http.InferenceServerClient(url)
    metadata = client.get_model_metadata(model)
    found: dict[str, Any] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": [client.is_model_ready(name) for name in (model, "unknown")],
        "version_ready": [client.is_model_ready(model, one) for one in ("1", "2")],
        "server": client.get_server_metadata(),
        "metadata": metadata,
        "errors": [],
        "answers": [],
    }
    binary = inputs(http, rows, metadata, binary=True)
    plain = inputs(http, rows, metadata, binary=False)
    names = [one["name"] for one in metadata["outputs"]]
    asked = [http.InferRequestedOutput(name, binary_data=False) for name in reversed(names)]
    requests: list[tuple[list[Any], dict[str, Any]]] = [
        (binary, {}),
        (list(reversed(binary)), {}),
        (plain, {"outputs": asked}),
        (binary, {"outputs": asked, "request_id": "mine"}),
        (binary, {"request_compression_algorithm": "gzip"}),
        (plain, {"request_compression_algorithm": "deflate"}),
        (binary, {"response_compression_algorithm": "gzip"}),
        (binary, {"response_compression_algorithm": "deflate"}),
        (plain[:1] + binary[1:], {"model_version": "1"}),
        (binary, {"parameters": {"custom": 1}, "timeout": 1_000_000}),
    ]
    for tensors, options in requests:
        result = client.infer(model, tensors, **options)
        response = result.get_response()
        found["answers"].append(
            {
                "values": {name: result.as_numpy(name).tolist() for name in names},
                "names": [one["name"] for one in response["outputs"]],
                "id": response.get("id"),
                "version": response["model_version"],
            }
        )
    strange = http.InferInput("strange", [1], "FP32")
    strange.set_data_from_numpy(importlib.import_module("numpy").zeros(1, "float32"))
    classes = [http.InferRequestedOutput(names[0], class_count=2)]
    refused: list[tuple[str, list[Any], dict[str, Any]]] = [
        ("unknown", binary, {}),
        (model, [*binary, strange], {}),
        (model, binary[1:], {}),
        (model, binary, {"outputs": classes}),
        (model, binary, {"model_version": "7"}),
    ]
    for name, tensors, options in refused:
        try:
            client.infer(name, tensors, **options)
        except utils.InferenceServerException as error:
            found["errors"].append([error.status(), error.message()])
    sys.stdout.write(json.dumps(found, default=bytes.decode))


def load(host: str, port: str, n_requests: str, n_connections: str, *files: str) -> None:
    http = importlib.import_module("tritonclient.http")
    path, out, stop = map(Path, files)
    rows = json.loads(path.read_text())
    client = http.InferenceServerClient(
        f"{host}:{port}", concurrency=int(n_connections), network_timeout=60
    )
    metadata = client.get_model_metadata("bikes")
    forms = [[inputs(http, [row], metadata, binary=b) for row in rows] for b in (True, False)]
    plain = [http.InferRequestedOutput("predict", binary_data=False)]
    waiting: collections.deque[Any] = collections.deque()
    number = 0
    with out.open("w", buffering=1) as handle:
        while True:
            while number < int(n_requests) or not stop.exists():
                if len(waiting) == int(n_connections):
                    break
                row = number // 2 % len(rows)
                sent = time.monotonic()
                form = number % 2
                options: dict[str, Any] = {"outputs": plain} if form else {}
                asked = client.async_infer("bikes", forms[form][row], **options)
                waiting.append((sent, row, asked))
                number += 1
            if not waiting:
                break
            sent, row, asked = waiting.popleft()
            result = asked.get_result()
            version = result.get_response()["model_version"]
            value = float(result.as_numpy("predict")[0])
            print(sent, row, 200, version, repr(value), file=handle)


if __name__ == "__main__":
    (check if sys.argv[1] == "check" else load)(*sys.argv[2:])
