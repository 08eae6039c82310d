"""Every kind of call that programs make, all at once, with a count of what failed."""

import collections
import contextlib
import io
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import grpc
import httpx
import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from pipeline.contrasts import CLASSES
from serving.versions import CANARY, NAME, STABLE

TIMEOUT: Final = 120.0
"""Seconds; a call that waits longer has failed."""

Call = Callable[[], None]
"""Asks once and checks the answer; raises where it is none, or a wrong one."""


class Pinned:
    """The version that is asked for by number; it is moved when nobody asks for it."""

    def __init__(self, version: int) -> None:
        """Starts with a version."""
        self._version = version
        self._asking: collections.Counter[int] = collections.Counter()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def asking(self) -> Iterator[int]:
        """Yields the version, which is kept until the block ends."""
        with self._changed:
            version = self._version
            self._asking[version] += 1
        try:
            yield version
        finally:
            with self._changed:
                self._asking[version] -= 1
                self._changed.notify_all()

    def move(self, version: int) -> None:
        """Lets calls ask another version; waits for those that asked the one before.

        Without it a version could be unloaded between choosing and asking it, which is
        the caller's mistake and not the server's.
        """
        with self._changed:
            self._version = version
            self._changed.wait_for(
                lambda: not any(n for v, n in self._asking.items() if v != version),
                TIMEOUT,
            )


class MixedLoad:
    """Threads that go through all kinds of calls until they are stopped.

    Attributes:
        calls: How many of each kind were made.
        failures: How many of them failed, by kind and code.
    """

    def __init__(self, grpc_port: int, rest_port: int, pinned: Pinned) -> None:
        """Connects to a server on this machine."""
        self.failures: collections.Counter[str] = collections.Counter()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{grpc_port}")
        self._rest = httpx.Client(
            base_url=f"http://127.0.0.1:{rest_port}/v1/models",
            timeout=TIMEOUT,
            # Shorter than any server's, which may close an idle connection at any time.
            limits=httpx.Limits(keepalive_expiry=1),
        )
        self._kinds = _Questions(self._channel, self._rest, pinned).kinds()
        self.calls = collections.Counter(dict.fromkeys(self._kinds, 0))
        self._counting = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, callers: int) -> None:
        """Starts so many threads, each with a kind of its own at first."""
        kinds = list(self._kinds)
        for number in range(callers):
            turned = kinds[number % len(kinds) :] + kinds[: number % len(kinds)]
            thread = threading.Thread(target=self._repeat, args=(turned,))
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ends when each thread has been through all kinds at least once."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._rest.close()
        self._channel.close()

    def _repeat(self, kinds: list[str]) -> None:
        for number in itertools.count():
            if number >= len(kinds) and self._stop.is_set():
                return
            kind = kinds[number % len(kinds)]
            code = _code(self._kinds[kind])
            with self._counting:
                self.calls[kind] += 1
                if code:
                    self.failures[f"{kind}: {code}"] += 1


def _code(call: Call) -> str:
    """Asks; returns how it failed, or an empty text."""
    try:
        call()
    except grpc.RpcError as error:
        return str(error.code().name)
    except httpx.HTTPStatusError as error:
        return f"HTTP {error.response.status_code}"
    except Exception as error:  # an answer that lacks something, too
        return type(error).__name__
    return ""


class WrongAnswer(Exception):  # noqa: N818
    """An answer came, but not to what was asked."""


class _Questions:
    """Everything that a server of our model can be asked."""

    def __init__(
        self, channel: grpc.Channel, rest: httpx.Client, pinned: Pinned
    ) -> None:
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(channel)
        self._rest, self._pinned = rest, pinned
        random = np.random.default_rng(0)
        self._slices = random.integers(0, 256, (24, 150, 150), np.uint8)
        self._image = _png(self._slices[0])
        self._body = json.dumps({"instances": self._slices[:1].tolist()})

    def kinds(self) -> Mapping[str, Call]:
        """Returns each kind of call by its name."""
        one = self._slices[:1]
        return {
            "predict 1 slice": lambda: self._predict(one),
            "predict 24 slices": lambda: self._predict(self._slices),
            "predict by label": lambda: self._predict(one, label=CANARY),
            "predict by version": self._predict_by_version,
            "encoded": lambda: self._predict(
                [self._image], "images", signature="encoded"
            ),
            "classify": self._classify,
            "metadata": self._metadata,
            "status": self._status,
            "REST predict by label": self._rest_predict,
            "REST status": lambda: self._rest_get("", "model_version_status"),
            "REST metadata": lambda: self._rest_get("/metadata", "metadata"),
        }

    def _predict(self, tensor: Any, alias: str = "slices", **spec: Any) -> None:
        request = predict_pb2.PredictRequest()
        _name(request.model_spec, **spec)
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(tensor))
        answer = self._predictions.Predict(request, timeout=TIMEOUT)
        for name in CLASSES:
            values = tf.make_ndarray(answer.outputs[name])
            _require(values.shape == (len(tensor),) and bool((values <= 0).all()))
        _require(spec.get("version") in (None, answer.model_spec.version.value))

    def _predict_by_version(self) -> None:
        with self._pinned.asking() as version:
            self._predict(self._slices[:1], version=version)

    def _classify(self) -> None:
        request = classification_pb2.ClassificationRequest()
        _name(request.model_spec, signature="classify", label=STABLE)
        example = request.input.example_list.examples.add()
        encoded = example.features.feature["image/encoded"]
        encoded.bytes_list.value.append(self._image)
        answer = self._predictions.Classify(request, timeout=TIMEOUT)
        _require(len(answer.result.classifications[0].classes) == len(CLASSES))

    def _metadata(self) -> None:
        request = get_model_metadata_pb2.GetModelMetadataRequest()
        request.model_spec.name = NAME
        request.metadata_field.append("signature_def")
        answer = self._predictions.GetModelMetadata(request, timeout=TIMEOUT)
        _require("signature_def" in answer.metadata)

    def _status(self) -> None:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = NAME
        answer = self._models.GetModelStatus(request, timeout=TIMEOUT)
        states = {each.state for each in answer.model_version_status}
        _require(get_model_status_pb2.ModelVersionStatus.AVAILABLE in states)

    def _rest_predict(self) -> None:
        path = f"{NAME}/labels/{STABLE}:predict"
        answer = self._rest.post(path, content=self._body).raise_for_status()
        _require(set(CLASSES) <= set(answer.json()["predictions"][0]))

    def _rest_get(self, path: str, wanted: str) -> None:
        answer = self._rest.get(f"{NAME}{path}").raise_for_status()
        _require(wanted in answer.json())


def _name(
    spec: Any, signature: str = "", label: str | None = None, version: int | None = None
) -> None:
    spec.name = NAME
    spec.signature_name = signature
    if label is not None:
        spec.version_label = label
    if version is not None:
        spec.version.value = version


def _require(right: bool) -> None:
    if not right:
        raise WrongAnswer


def _png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()
