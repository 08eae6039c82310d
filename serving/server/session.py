"""One loaded version: a TF1 Session, which is TensorFlow Serving's own runtime path."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import pywrap_tf_session

from serving.server import call_record
from serving.server.errors import ServingError, from_runtime, invalid
from serving.server.tensors import Array, runtime_name, shown_shape, to_array

DEFAULT_SIGNATURE: Final = "serving_default"
CLASSIFY_METHOD: Final = "tensorflow/serving/classify"
REGRESS_METHOD: Final = "tensorflow/serving/regress"

_INTERNAL: Final = ("__saved_model_init_op", "__saved_model_train_op")
"""Entries of the signature map that name an operation to run, not a signature."""

_STRICT_RANK: Final = 3
"""Inputs of this rank and above feed convolutions, which end the process on a wrong
rank. Below it clients of TF Serving rely on the kernels' own leniency."""


Compute = Callable[[list[Array], float | None], list[Array]]
"""From inputs and a deadline (of `time.monotonic`, None for none) to outputs."""

Wrap = Callable[[Sequence[str], Compute], Compute]
"""From the names of the inputs and what computes to what merges calls before it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Runtime:
    """How models are loaded and computed.

    Attributes:
        options: Threads of the session.
        tags: Of the graph in the SavedModel.
        wrap: Put around every computation; None where batching is off.
    """

    options: config_pb2.ConfigProto | None = None
    tags: tuple[str, ...] = (tf.saved_model.SERVING,)
    wrap: Wrap | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a signature.

    Attributes:
        name: The tensor's name in the graph.
        dtype: Its dtype.
        shape: None where a side, or as a whole where the rank, is not fixed.
    """

    name: str
    dtype: tf.DType
    shape: tuple[int | None, ...] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs by their aliases.

    Attributes:
        name: What requests call it.
        inputs: What it takes.
        outputs: What it gives.
        defaults: Values of the inputs that a request may leave out.
        definition: The SignatureDef as text, for refusals.
    """

    name: str
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    defaults: Mapping[str, Array] = dataclasses.field(default_factory=dict)
    definition: str = ""


class LoadedModel:
    """A SavedModel in memory. Calls in flight keep it alive after it is unloaded.

    Attributes:
        definitions: The SavedModel's SignatureDefs by name, as metadata shows them.
    """

    def __init__(self, path: Path, runtime: Runtime | None = None) -> None:
        """Loads a SavedModel.

        Args:
            path: Its folder.
            runtime: How to load and compute it.

        Raises:
            ServingError: It is damaged, incomplete or no SavedModel.
        """
        runtime = runtime or Runtime()
        graph = tf.Graph()
        self._wrap = runtime.wrap
        self._session = tf.compat.v1.Session(graph=graph, config=runtime.options)
        try:
            with graph.as_default():
                meta = tf.compat.v1.saved_model.load(
                    self._session, list(runtime.tags), str(path)
                )
        except tf.errors.OpError as error:
            raise from_runtime(error.error_code, error.message) from None
        except (OSError, RuntimeError, ValueError) as error:
            raise ServingError(grpc.StatusCode.INTERNAL, str(error)) from None
        self.definitions = dict(meta.signature_def)
        self._signatures = {
            name: _signature(name, definition)
            for name, definition in self.definitions.items()
            if name not in _INTERNAL
        }
        self._session._extend_graph()  # what `Session.run` does before every call
        self._calls: dict[tuple[str, ...], Compute] = {}
        self._queues: dict[tuple[tuple[str, ...], ...], Compute] = {}

    def signature(self, name: str) -> Signature | None:
        """Returns the signature of this name, the default one for an empty name."""
        return self._signatures.get(name or DEFAULT_SIGNATURE)

    def run(
        self,
        signature: Signature,
        inputs: Mapping[str, Array],
        outputs: Sequence[str],
    ) -> list[Array]:
        """Computes outputs of a signature.

        Args:
            signature: One of this model's.
            inputs: An array for each of its inputs.
            outputs: Aliases of what to compute.

        Returns:
            An array for each alias.

        Raises:
            ServingError: An input has the wrong dtype or shape, or the graph failed.
        """
        for position, (alias, tensor) in enumerate(signature.inputs.items()):
            _check(position, alias, tensor, inputs[alias])
        # In one order, so that callers who want the same share a queue and no client
        # can make ever more of them.
        wanted = sorted(set(outputs))
        key = (signature.name, *wanted)
        call = self._calls.get(key) or self._computation(key, signature, wanted)
        given = [inputs[alias] for alias in signature.inputs]
        started = time.monotonic()
        computed = dict(zip(wanted, call(given, call_record.deadline()), strict=True))
        arrays = [computed[alias] for alias in outputs]
        if (record := call_record.current()) is not None:
            record.ran(
                signature.name,
                len(given[0]) if given and given[0].ndim else 1,
                time.monotonic() - started,
                computed,
            )
        return arrays

    def _computation(
        self, key: tuple[str, ...], signature: Signature, outputs: Sequence[str]
    ) -> Compute:
        feeds = tuple(tensor.name for tensor in signature.inputs.values())
        fetches = tuple(signature.outputs[alias].name for alias in outputs)
        # Signatures over the same tensors share a queue; two threads may come at once.
        made = self._queues.setdefault((feeds, fetches), self._made(feeds, fetches))
        self._calls[key] = made
        return made

    def _made(self, feeds: Sequence[str], fetches: Sequence[str]) -> Compute:
        tensor = self._session.graph.get_tensor_by_name
        try:
            fed = [tensor(name)._as_tf_output() for name in feeds]
            fetched = [tensor(name)._as_tf_output() for name in fetches]
        except (KeyError, ValueError) as error:
            raise ServingError(grpc.StatusCode.NOT_FOUND, str(error)) from None

        def compute(arrays: list[Array], deadline: float | None) -> list[Array]:
            # `Session.run` takes 0.3 ms more, and it casts dtypes silently; its twin
            # for callables takes no deadline.
            feed = dict(zip(fed, arrays, strict=True))
            options = None if deadline is None else _options(deadline)
            try:
                answer: list[Array] = self._session._call_tf_sessionrun(
                    options, feed, fetched, [], None
                )
            except tf.errors.OpError as error:
                raise from_runtime(error.error_code, error.message) from None
            finally:
                if options is not None:
                    pywrap_tf_session.TF_DeleteBuffer(options)
            return [_array(each) for each in answer]

        return self._wrap(feeds, compute) if self._wrap else compute


def _options(deadline: float) -> Any:
    """Returns RunOptions, as a buffer to be deleted, that end a run at its deadline."""
    left = max(1, math.ceil(1000 * (deadline - time.monotonic())))
    options = config_pb2.RunOptions(timeout_in_ms=left)
    return pywrap_tf_session.TF_NewBufferFromString(options.SerializeToString())


def _array(output: Any) -> Array:
    """Returns an output as an array: the runtime gives one string as bare bytes."""
    return np.array(output, object) if isinstance(output, bytes) else output


def _signature(name: str, definition: Any) -> Signature:
    try:
        defaults = {
            alias: to_array(proto) for alias, proto in definition.defaults.items()
        }
    except ValueError as error:
        raise invalid(f"a default value of signature {name} is damaged: {error}") from (
            None
        )
    return Signature(
        name,
        _tensors(definition.inputs),
        _tensors(definition.outputs),
        defaults,
        str(definition),
    )


def _tensors(infos: Mapping[str, Any]) -> dict[str, Tensor]:
    """Reads a SignatureDef's inputs or outputs, sorted by alias."""
    return {
        alias: Tensor(
            infos[alias].name, tf.as_dtype(infos[alias].dtype), _shape(infos[alias])
        )
        for alias in sorted(infos)
    }


def _shape(info: Any) -> tuple[int | None, ...] | None:
    if info.tensor_shape.unknown_rank:
        return None
    sides = (side.size for side in info.tensor_shape.dim)
    return tuple(None if side < 0 else side for side in sides)


def _check(position: int, alias: str, tensor: Tensor, array: Array) -> None:
    """Refuses what the runtime would refuse later, or die of."""
    # Strings arrive as object arrays, which as_dtype reads as tf.string.
    dtype = tf.as_dtype(array.dtype)
    if dtype != tensor.dtype:
        raise invalid(
            f"Expects arg[{position}] to be {runtime_name(tensor.dtype)} but "
            f"{runtime_name(dtype)} is provided"
        )
    shape = tensor.shape
    if shape is None or len(shape) < _STRICT_RANK:
        return
    fits = len(shape) == array.ndim and all(
        side in (None, given) for side, given in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise invalid(
            f"Shape of tensor {alias} {shown_shape(array.shape)} is not compatible "
            f"with expected shape {shown_shape(shape)}."
        )
