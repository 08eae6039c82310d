"""MultiInference: several classifiers and regressors of one model in one run."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import grpc
from tensorflow_serving.apis import inference_pb2, model_pb2

from serving.server import classification, examples, model_spec, regression
from serving.server.errors import ServingError, invalid
from serving.server.manager import Models
from serving.server.session import (
    CLASSIFY_METHOD,
    DEFAULT_SIGNATURE,
    REGRESS_METHOD,
    LoadedModel,
    Signature,
)
from serving.server.tensors import Array


@dataclasses.dataclass(frozen=True, slots=True)
class _Task:
    """One signature to run.

    Attributes:
        spec: The ModelSpec that asked for it.
        method: `CLASSIFY_METHOD` or `REGRESS_METHOD`.
        signature: What runs.
        outputs: Aliases of what it gives.
    """

    spec: model_pb2.ModelSpec
    method: str
    signature: Signature
    outputs: list[str]


def multi_inference(
    models: Models, request: inference_pb2.MultiInferenceRequest
) -> Any:
    """Answers a MultiInferenceRequest by the model that its first task names.

    Raises:
        ServingError: With TF Serving's code and text.
    """
    spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
    return run_multi_inference(*models.find(spec), request)


def run_multi_inference(
    model: LoadedModel, version: int, request: inference_pb2.MultiInferenceRequest
) -> Any:
    """Answers a MultiInferenceRequest by a certain version."""
    tasks = _tasks(model, request)
    joint = _joint(tasks)
    tensor = examples.to_tensor(request.input)
    names = list(joint.outputs)
    arrays = model.run(joint, dict.fromkeys(joint.inputs, tensor), names)
    by_name = dict(zip(names, arrays, strict=True))
    response = inference_pb2.MultiInferenceResponse()
    for task in tasks:
        result = response.results.add()
        model_spec.fill(result, task.spec, version, task.signature.name)
        _fill(result, task, by_name, len(tensor))
    return response


def _tasks(
    model: LoadedModel, request: inference_pb2.MultiInferenceRequest
) -> list[_Task]:
    tasks: dict[str, _Task] = {}
    for each in request.tasks:
        spec = each.model_spec
        name = spec.signature_name or DEFAULT_SIGNATURE
        if not spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if spec.name != request.tasks[0].model_spec.name:
            raise invalid(
                "All ModelSpecs in a MultiInferenceRequest must access the same model "
                "name."
            )
        if name in tasks:
            raise invalid(f"Duplicate evaluation of signature: {name}")
        signature = model.signature(name)
        if signature is None:
            raise invalid(f"Requested signature not found in model graph: {name}")
        outputs = _outputs(signature, each.method_name)
        tasks[name] = _Task(spec, each.method_name, signature, outputs)
    return list(tasks.values())


def _outputs(signature: Signature, method: str) -> list[str]:
    if method == CLASSIFY_METHOD:
        return classification.outputs(signature)
    if method == REGRESS_METHOD:
        regression.require_regressor(signature)
        return [regression.OUTPUTS]
    raise ServingError(
        grpc.StatusCode.UNIMPLEMENTED, f"Unsupported signature method_name: {method}"
    )


def _joint(tasks: list[_Task]) -> Signature:
    """Returns one signature for all, whose aliases are the tensors' own names."""
    inputs = [task.signature.inputs[examples.INPUTS] for task in tasks]
    outputs = [
        task.signature.outputs[alias] for task in tasks for alias in task.outputs
    ]
    names = sorted(task.signature.name for task in tasks)
    return Signature(
        # No signature of a SavedModel is called so, since run() tells them by name.
        name="\n".join(["multi-inference", *names]),
        inputs={tensor.name: tensor for tensor in inputs},
        outputs={tensor.name: tensor for tensor in sorted(outputs, key=str)},
    )


def _fill(result: Any, task: _Task, by_name: Mapping[str, Array], count: int) -> None:
    columns = {
        alias: by_name[task.signature.outputs[alias].name] for alias in task.outputs
    }
    if task.method == CLASSIFY_METHOD:
        classification.fill_result(result.classification_result, columns, count)
    else:
        regression.fill_result(
            result.regression_result, columns[regression.OUTPUTS], count
        )
