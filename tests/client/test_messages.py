from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mri_contrast import _messages as m

CLIENT = Path(__file__).parents[2] / "serving" / "client"
NUMERIC = [np.float32, np.float64, np.int8, np.int16, np.int32, np.int64]
NUMERIC += [np.uint8, np.uint16, np.uint32, np.uint64, np.bool_]


def test_the_descriptor_set_is_what_the_installed_api_gives() -> None:
    script = runpy.run_path(str(CLIENT / "build_descriptors.py"))
    stored = (CLIENT / "mri_contrast" / "tfs.fds").read_bytes()
    assert script["descriptor_set"]() == stored, (
        "run: python serving/client/build_descriptors.py"
    )


def test_the_official_classes_understand_a_request_in_the_same_process() -> None:
    from tensorflow_serving.apis import predict_pb2

    request = m.PredictRequest()
    request.model_spec.name = "mri_contrast"
    request.model_spec.version_label = "canary"
    slices = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    request.inputs["slices"].CopyFrom(m.to_tensor(slices))
    official = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    assert official.model_spec.version_label == "canary"

    import tensorflow as tf

    np.testing.assert_array_equal(tf.make_ndarray(official.inputs["slices"]), slices)


@pytest.mark.parametrize("name", ["PredictResponse", "GetModelStatusResponse"])
def test_every_field_of_the_official_message_is_there(name: str) -> None:
    from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

    module = predict_pb2 if name == "PredictResponse" else get_model_status_pb2
    official = getattr(module, name).DESCRIPTOR
    assert [(f.name, f.number) for f in getattr(m, name).DESCRIPTOR.fields] == [
        (f.name, f.number) for f in official.fields
    ]


@given(
    data=st.data(),
    dtype=st.sampled_from(NUMERIC),
    shape=array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
def test_an_array_survives_the_way_there_and_back(
    data: Any, dtype: Any, shape: tuple[int, ...]
) -> None:
    array = data.draw(arrays(dtype, shape))
    back = m.to_array(m.TensorProto.FromString(m.to_tensor(array).SerializeToString()))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@given(data=st.data(), dtype=st.sampled_from(NUMERIC), count=st.integers(1, 6))
def test_values_in_tensorflow_typed_fields_are_read(
    data: Any, dtype: Any, count: int
) -> None:
    import tensorflow as tf

    array = data.draw(arrays(dtype, (count,)))
    # TensorFlow itself would turn [0, 2**63 + 1] into float64 on the way.
    assume(np.array(array.tolist()).dtype.kind in (array.dtype.kind, "i"))
    tensor = m.TensorProto.FromString(
        tf.make_tensor_proto(array.tolist(), dtype=dtype).SerializeToString()
    )
    np.testing.assert_array_equal(m.to_array(tensor), array)


def test_strings_survive_the_way_there_and_back() -> None:
    array = np.array([[b"a", b""], [b"\x00\xff", b"longer"]], dtype=object)
    np.testing.assert_array_equal(m.to_array(m.to_tensor(array)), array)


def tensor(**fields: Any) -> Any:
    shape = fields.pop("shape", ())
    made = m.TensorProto(**fields)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


def test_the_last_typed_value_stands_for_those_left_out() -> None:
    given = tensor(dtype=1, float_val=[1.0, 2.0], shape=(4,))
    assert m.to_array(given).tolist() == [1.0, 2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (tensor(dtype=99), "unknown dtype number 99"),
        (tensor(dtype=1, shape=(-1,), float_val=[1]), "no definite shape"),
        (tensor(dtype=1, shape=(2,)), "comes with 0 values"),
        (tensor(dtype=1, shape=(2,), float_val=[1, 2, 3]), "comes with 3 values"),
        (tensor(dtype=1, shape=(2,), tensor_content=b"1234"), "reshape"),
        (tensor(dtype=4, shape=(1,), int_val=[256]), "beyond its range"),
        (tensor(dtype=7, shape=(1,), tensor_content=b"1"), "strings"),
    ],
)
def test_a_tensor_that_makes_no_sense_is_refused(broken: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        m.to_array(broken)


def test_a_dtype_without_a_place_in_the_message_is_refused() -> None:
    with pytest.raises(TypeError, match="complex128 cannot be sent"):
        m.to_tensor(np.zeros(2, complex))
