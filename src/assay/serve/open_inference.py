"""The Open Inference Protocol V2 over HTTP, with the binary tensor data extension.

Source: "Predict Protocol - Version 2" of the Open Inference Protocol, and Triton's
"Binary Tensor Data Extension". A table is one tensor of shape [-1] a column.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.serve import bodies
from assay.serve.limits import Limits, Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from assay.bundle.signature import Signature
    from assay.serve.predict import Answer, Columns
    from assay.serve.versions import Served

HEADER = "Inference-Header-Content-Length"
EXTENSIONS = ("binary_tensor_data", "parameters")
Parameters = Mapping[str, bool | int | float | str | None]

_DTYPES = {
    "BOOL": "?", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "<u1",
    "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
_BESIDE = ("BYTES", "INT64")
"""What a column beside those of the model may be."""


class InputTensor(msgspec.Struct, kw_only=True):
    """A tensor of a request."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] | None = None
    data: list[bool | int | float | str | None] | None = None


class RequestedOutput(msgspec.Struct, kw_only=True):
    """A tensor that is asked for."""

    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct, kw_only=True):
    """The JSON of a request."""

    inputs: list[InputTensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[RequestedOutput] | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request: its columns, the client's id, and which outputs are wanted in which form."""

    columns: Columns
    id: str | None
    outputs: list[tuple[str, bool]]  # names, and whether in binary form


def metadata(served: Served) -> dict[str, Any]:
    """Return what the protocol says of a model."""
    signature = served.bundle.signature
    return {
        "name": served.model,
        "versions": [served.version],
        "platform": f"assay_{served.bundle.index.model.flavour}",
        "inputs": [
            {"name": column.name, "datatype": column.datatype, "shape": list(column.shape)}
            for column in signature.columns
        ],
        "outputs": [
            {"name": name, "datatype": datatype, "shape": shape}
            for name, (datatype, shape) in _outputs(signature).items()
        ],
    }


def decode(
    body: bytes,
    head_length: str | None,
    signature: Signature,
    *,
    beside: frozenset[str],
    limits: Limits,
) -> Request:
    """Return a request from its body and the header that says how much of it is JSON.

    Raises
    ------
    Refused
        If it is not of the protocol, or asks for what there is not.
    """
    view = memoryview(body)
    length = len(body) if head_length is None else _length(head_length, len(body))
    found = bodies.decode(_REQUEST, view[:length])
    if len(found.inputs) > limits.inputs:
        raise Refused(400, f"there are {len(found.inputs)} inputs; at most {limits.inputs} may be")
    rest = None if head_length is None else view[length:]
    return Request(
        columns=_columns(found.inputs, rest, signature, beside=beside, limits=limits),
        id=found.id,
        outputs=_wanted(found, signature),
    )


def encode(answer: Answer, request: Request) -> tuple[bytes, dict[str, str]]:
    """Return the body of an answer and its headers."""
    outputs, tails = [], []
    known = _outputs(answer.served.bundle.signature)
    for name, is_binary in request.outputs:
        values = answer.outputs[name]
        tensor: dict[str, Any] = {
            "name": name, "shape": list(values.shape), "datatype": known[name][0],
        }  # fmt: skip
        if is_binary:
            tails.append(_bytes(values, known[name][0]))
            tensor["parameters"] = {"binary_data_size": len(tails[-1])}
        else:
            tensor["data"] = values.ravel().tolist()
        outputs.append(tensor)
    document: dict[str, Any] = {
        "model_name": answer.served.model, "model_version": answer.served.version,
        "outputs": outputs,
    }  # fmt: skip
    if request.id is not None:
        document["id"] = request.id
    head = msgspec.json.encode(document)
    if not tails:
        return head, {"Content-Type": "application/json"}
    headers = {"Content-Type": "application/octet-stream", HEADER: str(len(head))}
    return b"".join((head, *tails)), headers


def _outputs(signature: Signature) -> dict[str, tuple[str, list[int]]]:
    """Return the outputs by name: datatype and shape."""
    output = signature.output
    found = {"predict": (output.datatype, list(output.shape))}
    if output.probabilities:
        found["predict_proba"] = ("FP64", [-1, len(output.classes or ())])
    return found


def _length(text: str, size: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12 and 0 < int(text) <= size):
        raise Refused(
            400,
            f"the header {HEADER} is {text[:40]!r}; expected is a whole number from 1 to {size}",
        )
    return int(text)


def _columns(
    inputs: Sequence[InputTensor],
    rest: memoryview | None,
    signature: Signature,
    *,
    beside: frozenset[str],
    limits: Limits,
) -> Columns:
    """Return the columns of all tensors; binary ones follow each other in `rest`."""
    datatypes = {column.name: column.datatype for column in signature.columns}
    found: Columns = {}
    at = 0
    for tensor in inputs:
        if tensor.name in found:
            raise Refused(400, f"the input {_quoted(tensor.name)} is there twice")
        allowed = (datatypes[tensor.name],) if tensor.name in datatypes else _BESIDE
        if tensor.name not in datatypes and tensor.name not in beside:
            known = ", ".join(datatypes)
            raise Refused(400, f"the model has no input {_quoted(tensor.name)}; it has: {known}")
        n_elements = _check(tensor, allowed, limits)
        size = (tensor.parameters or {}).get("binary_data_size")
        if size is None:
            found[tensor.name] = _of_json(tensor, n_elements)
            continue
        if rest is None:
            raise Refused(400, f"{_input(tensor)} is said to be binary without {HEADER}")
        if tensor.data is not None:
            raise Refused(400, f"{_input(tensor)} has both 'data' and 'binary_data_size'")
        if type(size) is not int or not 0 <= size <= len(rest) - at:
            raise Refused(400, f"{_input(tensor)} is said to have {size!r} bytes; "
                               f"{len(rest) - at} are there")  # fmt: skip
        found[tensor.name] = _of_bytes(tensor, rest[at : at + size], n_elements, limits)
        at += size
    if rest is not None and at != len(rest):
        raise Refused(400, f"{len(rest) - at} bytes after the last input belong to none")
    return found


def _check(tensor: InputTensor, allowed: Sequence[str], limits: Limits) -> int:
    """Refuse a tensor of another type or shape; return the number of its elements."""
    for name in tensor.parameters or ():
        if name.startswith("shared_memory"):
            raise Refused(400, f"{_input(tensor)} is in shared memory, which is not offered")
    if tensor.datatype not in allowed:
        wanted = " or ".join(allowed)
        raise Refused(400, f"{_input(tensor)} is {tensor.datatype[:20]!r}; expected is {wanted}")
    if len(tensor.shape) != 1:
        raise Refused(400, f"{_input(tensor)} has {len(tensor.shape)} dimensions; expected is 1")
    n_elements = math.prod(tensor.shape)
    if not 0 <= n_elements <= limits.elements:
        raise Refused(400, f"{_input(tensor)} has a dimension of {n_elements}; expected are 0 to "
                           f"{limits.elements}")  # fmt: skip
    return n_elements


def _of_json(tensor: InputTensor, n_elements: int) -> list[Any]:
    if tensor.data is None:
        raise Refused(400, f"{_input(tensor)} has no data")
    if len(tensor.data) != n_elements:
        raise Refused(
            400, f"{_input(tensor)} has {len(tensor.data)} values; its shape says {n_elements}"
        )
    return tensor.data


def _of_bytes(
    tensor: InputTensor, data: memoryview, n_elements: int, limits: Limits
) -> NDArray[Any] | list[str]:
    if tensor.datatype == "BYTES":
        return _texts(tensor, data, n_elements, limits)
    import numpy as np

    dtype = np.dtype(_DTYPES[tensor.datatype])
    if len(data) != n_elements * dtype.itemsize:
        raise Refused(
            400,
            f"{_input(tensor)} has {len(data)} bytes; its shape says "
            f"{n_elements * dtype.itemsize}",
        )
    if tensor.datatype == "BOOL":
        bits = np.frombuffer(data, np.uint8)
        if (bits > 1).any():
            raise Refused(400, f"{_input(tensor)} has bytes that are neither 0 nor 1")
    return np.frombuffer(data, dtype)


def _texts(tensor: InputTensor, data: memoryview, n_elements: int, limits: Limits) -> list[str]:
    """Return texts, each of them after its length in four bytes."""
    found: list[str] = []
    at = 0
    if len(data) < 4 * n_elements:
        raise Refused(400, f"{_input(tensor)} ends before its last text")
    while at < len(data):
        if at + 4 > len(data):
            raise Refused(400, f"{_input(tensor)} ends in the midst of a length")
        (size,) = struct.unpack_from("<I", data, at)
        if size > limits.text or at + 4 + size > len(data):
            raise Refused(400, f"{_input(tensor)} has a text of {size} bytes, which is too long")
        try:
            found.append(str(data[at + 4 : at + 4 + size], "utf-8"))
        except UnicodeDecodeError:
            raise Refused(400, f"{_input(tensor)} has a text that is not UTF-8") from None
        at += 4 + size
    if len(found) != n_elements:
        raise Refused(
            400, f"{_input(tensor)} has {len(found)} texts; its shape says {n_elements}"
        )  # fmt: skip
    return found


def _wanted(found: InferRequest, signature: Signature) -> list[tuple[str, bool]]:
    """Return the outputs to send, and whether each is binary: its own parameter wins."""
    known = _outputs(signature)
    everywhere = (found.parameters or {}).get("binary_data_output") is True
    if not found.outputs:
        return [(name, everywhere) for name in known]
    wanted: dict[str, bool] = {}
    for output in found.outputs:
        if output.name not in known:
            raise Refused(400, f"the model has no output {_quoted(output.name)}; it has: "
                               f"{', '.join(known)}")  # fmt: skip
        if output.name in wanted:
            raise Refused(400, f"the output '{output.name}' is asked for twice")
        parameters = output.parameters or {}
        for name in parameters:
            if name == "classification" or name.startswith("shared_memory"):
                raise Refused(501, f"the parameter '{name}' of an output is not offered")
        is_binary = parameters.get("binary_data", everywhere)
        if type(is_binary) is not bool:
            raise Refused(400, f"'binary_data' of '{output.name}' is neither true nor false")
        wanted[output.name] = is_binary
    return list(wanted.items())


def _bytes(values: NDArray[Any], datatype: str) -> bytes:
    if datatype == "BYTES":
        texts = [str(value).encode() for value in values.ravel().tolist()]
        return b"".join(part for text in texts for part in (struct.pack("<I", len(text)), text))
    return values.astype(_DTYPES[datatype], copy=False).tobytes()


def _input(tensor: InputTensor) -> str:
    return f"the input {_quoted(tensor.name)}"


def _quoted(name: str) -> str:
    return f"'{name}'" if len(name) <= 80 else f"'{name[:77]}...'"


_REQUEST = msgspec.json.Decoder(InferRequest)
