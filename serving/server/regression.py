"""Regress: Examples in, one number for each out.

Any signature from `inputs` to `outputs` will do, as in TF Serving with its default
`--enable_signature_method_name_check=false`.
"""

from typing import Any, Final

from tensorflow_serving.apis import regression_pb2

from serving.server import examples, model_spec
from serving.server.errors import invalid
from serving.server.manager import Models
from serving.server.session import LoadedModel, Signature
from serving.server.tensors import Array, shown_shape, type_name

OUTPUTS: Final = "outputs"


def regress(models: Models, request: regression_pb2.RegressionRequest) -> Any:
    """Answers a RegressionRequest.

    Raises:
        ServingError: With TF Serving's code and text.
    """
    return run_regress(*model_spec.find(models, request), request)


def run_regress(
    model: LoadedModel, version: int, request: regression_pb2.RegressionRequest
) -> Any:
    """Answers a RegressionRequest by a certain version."""
    signature = examples.default_signature(model, request.model_spec.signature_name)
    require_regressor(signature)
    tensor = examples.to_tensor(request.input)
    (array,) = model.run(signature, {examples.INPUTS: tensor}, [OUTPUTS])
    response = regression_pb2.RegressionResponse()
    model_spec.fill(response, request.model_spec, version, signature.name)
    fill_result(response.result, array, len(tensor))
    return response


def require_regressor(signature: Signature) -> None:
    """Checks that a signature regresses.

    Raises:
        ServingError: It does not.
    """
    # TF Serving counts inputs and outputs before it looks at their names.
    if len(signature.inputs) == 1 and len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    examples.require_input(signature, "regression")
    if OUTPUTS not in signature.outputs:
        raise invalid(
            f"No regression outputs found in SignatureDef: {signature.definition}"
        )


def fill_result(result: Any, array: Array, count: int) -> None:
    """Writes a RegressionResult.

    Args:
        result: An empty one.
        array: (examples,) or (examples, 1) float32.
        count: How many Examples were sent.

    Raises:
        ServingError: The model's output has another shape or type.
    """
    if array.ndim != 1 and array.shape[1:] != (1,):
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or "
            f"[batch_size, 1] but got {shown_shape(array.shape)}"
        )
    if len(array) != count:
        raise invalid(
            f"Input batch size did not match output batch size: {count} vs. "
            f"{len(array)}"
        )
    if type_name(array) != "DT_FLOAT":
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {type_name(array)}")
    for value in array.flat:
        result.regressions.add().value = value
