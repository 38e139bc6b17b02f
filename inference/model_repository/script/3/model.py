"""The small model in Triton's python backend, with the signature and the habits of the vLLM backend.

Requests are answered one after the other, in the order of their coming: on one thread, two at once would only
make both late. A request that was cancelled, or whose deadline passed while it waited, is not begun.
"""

import json
import queue
import threading
import time
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from inference.nano import Nano, Sampling
from inference.prompt import OPENER

_CANCEL_EVERY_S = 0.01
"""Between two questions to the server whether anybody still waits: each costs about a token's time."""
_WARM_UPS = 3


class TritonPythonModel:
    """Holds the model and the thread that runs it."""

    def initialize(self, args):
        """Loads the model from this file's folder and warms it up."""
        self._nano = Nano(Path(args["model_repository"]) / args["model_version"])
        for _ in range(_WARM_UPS):
            list(self._nano.generate(OPENER, Sampling(max_tokens=8), lambda: False))
        self._waiting = queue.SimpleQueue()
        self._worker = threading.Thread(target=self._work, name="script")
        self._worker.start()

    def execute(self, requests):
        """Queues the requests; each is answered through its own sender."""
        for request in requests:
            self._waiting.put(request)

    def finalize(self):
        """Ends the thread after the requests that it already has."""
        self._waiting.put(None)
        self._worker.join()

    def _work(self):
        while (request := self._waiting.get()) is not None:
            sender = request.get_response_sender()
            try:
                self._answer(request, sender)
            except Exception as error:  # whatever goes wrong is this request's, not the server's
                failed = pb_utils.TritonError(
                    f"{type(error).__name__}: {error}", pb_utils.TritonError.INVALID_ARG
                )
                sender.send(
                    pb_utils.InferenceResponse(error=failed),
                    flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL,
                )

    def _answer(self, request, sender):
        prompt = _input(request, "text_input", b"").decode()
        sampling = Sampling.of(json.loads(_input(request, "sampling_parameters", b"{}")))
        stop = _Stop(sender, json.loads(request.parameters() or "{}").get("deadline_ms"))
        stream = bool(_input(request, "stream", False))
        text = "" if _input(request, "exclude_input_in_output", False) else prompt
        for piece in self._nano.generate(prompt, sampling, stop):
            text += piece
            if stream:
                sender.send(_response(text))
                text = ""
        if stop.reason:
            cancelled = pb_utils.TritonError(stop.reason, pb_utils.TritonError.CANCELLED)
            response = pb_utils.InferenceResponse(error=cancelled)
        else:
            response = _response(text)
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


class _Stop:
    """Whether a request is to be given up, and why."""

    def __init__(self, sender, deadline_ms):
        self._sender = sender
        self._deadline_s = float("inf") if deadline_ms is None else float(deadline_ms) / 1000
        self._ask_at_s = 0.0
        self.reason = ""

    def __call__(self):
        now_s = time.time()
        if now_s >= self._deadline_s:
            self.reason = "the deadline passed"
        elif now_s >= self._ask_at_s:
            self._ask_at_s = now_s + _CANCEL_EVERY_S
            if self._sender.is_cancelled():
                self.reason = "the request was cancelled"
        return bool(self.reason)


def _input(request, name, default):
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return default if tensor is None else tensor.as_numpy().reshape(-1)[0]


def _response(text):
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor("text_output", np.array([text.encode()], dtype=np.object_))]
    )
