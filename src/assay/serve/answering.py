"""From the body of a request to that of its answer, in a thread: decode, ask, encode, log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from assay.serve import bodies, open_inference, predict
from assay.serve.limits import Limits, Refused, sentence
from assay.traffic.ids import new_id
from assay.traffic.record import Record

if TYPE_CHECKING:
    from assay.serve.predict import Answer, Asked, Beside, Columns
    from assay.serve.traffic import Traffic
    from assay.serve.versions import Served

PREDICTION_ID, REQUEST_ID = "Assay-Prediction-Id", "X-Request-Id"


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, ready to send; `seconds` is what the model took."""

    content: bytes
    headers: dict[str, str]
    status: int = 200
    n_rows: int = 0
    seconds: float = 0.0


class Answering:
    """Answers bodies for an endpoint; threads share it."""

    def __init__(self, endpoint: str, traffic: Traffic, *, limits: Limits, beside: Beside) -> None:
        self.endpoint, self.traffic = endpoint, traffic
        self.limits, self.beside = limits, beside

    def infer(
        self,
        served: Served,
        body: bytes,
        length: str | None,
        given: str | None,
        began: float,
        at: int,
    ) -> Done:
        """Answer a body of the Open Inference Protocol."""
        signature = served.bundle.signature
        request = open_inference.decode(
            body, length, signature, beside=self.beside.names, limits=self.limits
        )
        one = _One(self, served, id_=request.id, given=given, began=began, at=at)
        answer, failed = one.answer(request.columns)
        if answer is None:
            return failed
        content, headers = open_inference.encode(answer, request)
        return one.done(answer, content, headers)

    def predict(
        self,
        served: Served,
        body: bytes,
        _length: None,
        given: str | None,
        began: float,
        at: int,
    ) -> Done:
        """Answer rows of JSON."""
        columns, id_ = predict.decode(body)
        one = _One(self, served, id_=id_, given=given, began=began, at=at)
        answer, failed = one.answer(columns)
        if answer is None:
            return failed
        content = predict.encode(answer, id_=id_, prediction_id=one.id)
        return one.done(answer, content, {"Content-Type": "application/json"})


class _One:
    """One request: its ids, and what the log is to say of it."""

    def __init__(
        self,
        answering: Answering,
        served: Served,
        *,
        id_: str | None,
        given: str | None,
        began: float,
        at: int,
    ) -> None:
        self.request_id = id_ if id_ is not None else given
        longest = answering.limits.id
        if self.request_id is not None and len(self.request_id) > longest:
            raise Refused(400, f"the id of the request has more than {longest} characters")
        self.id = new_id()
        self.answering, self.served, self.began, self.at = answering, served, began, at

    def answer(self, columns: Columns) -> tuple[Answer | None, Done]:
        """Return the model's answer, or what to say where it stumbles; that is logged too."""
        asked = predict.ask(columns, self.served.bundle.signature, self.answering.beside)
        self.asked = asked
        try:
            return predict.answer(self.served, asked), _NOTHING
        except Refused as error:
            if error.status != 500:
                raise
            self._log(asked, {}, status="failed")
            body = msgspec.json.encode({"error": sentence(error)})
            headers = self._headers({"Content-Type": "application/json"})
            return None, Done(content=body, headers=headers, status=500)

    def done(self, answer: Answer, content: bytes, headers: dict[str, str]) -> Done:
        """Log the answer and return it."""
        self._log(self.asked, answer.outputs)
        return Done(
            content=content,
            headers=self._headers(headers),
            n_rows=answer.n_rows,
            seconds=answer.seconds,
        )

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        shown = self.request_id if bodies.shown_id(self.request_id) else self.id
        return headers | {PREDICTION_ID: self.id, REQUEST_ID: shown or self.id}

    def _log(self, asked: Asked, outputs: dict[str, Any], *, status: str = "ok") -> None:
        live = self.served.live
        self.answering.traffic.log(
            Record(
                id=self.id,
                endpoint=self.answering.endpoint,
                version=live.name,
                bundle=live.bundle,
                deployment=live.deployment,
                at=self.at,
                latency=time.perf_counter() - self.began,
                n_rows=asked.n_rows,
                inputs=asked.columns,
                outputs=outputs,
                event_time=asked.event_time,
                request_id=self.request_id,
                status=status,
            )
        )


_NOTHING = Done(content=b"", headers={})
