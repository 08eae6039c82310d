"""JSON to tensors and back, for any JSON and any tensor."""

import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.server.errors import ServingError
from serving.server.rest_examples import read_examples
from serving.server.rest_inputs import read_inputs
from serving.server.rest_outputs import write_outputs
from serving.server.rest_values import JSON_TYPES
from serving.server.session import Signature, Tensor

NUMBERS = sorted(JSON_TYPES - {tf.string}, key=lambda dtype: dtype.name)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
JSON = st.recursive(
    SCALARS | st.builds(lambda text: {"b64": text}, st.text(max_size=4)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["x", "y", "b64"]), inner, max_size=2)
    ),
    max_leaves=8,
)


def signature(*dtypes: tf.DType) -> Signature:
    tensors = {
        alias: Tensor(f"{alias}:0", dtype, None)
        for alias, dtype in zip("xy", dtypes, strict=False)
    }
    return Signature("serving_default", tensors, tensors)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["instances", "inputs"]),
    JSON,
    st.lists(st.sampled_from([*NUMBERS, tf.string, tf.half]), min_size=1, max_size=2),
)
def test_any_json_is_read_or_refused(form, value, dtypes):
    wanted = signature(*dtypes)
    try:
        read = read_inputs({form: value}, wanted)
    except ServingError:
        return  # any other exception would be a 500
    for alias, array in read.items():
        dtype = wanted.inputs[alias].dtype
        assert array.dtype == (object if dtype == tf.string else dtype.as_numpy_dtype)


@pytest.mark.parametrize("dtype", [tf.int32, tf.float32])
@pytest.mark.parametrize("values", [[True], [True, 1], [[1, 2], [3, False]]])
def test_truth_values_are_no_numbers_whatever_stands_beside_them(dtype, values):
    for form in ("instances", "inputs"):
        with pytest.raises(ServingError):
            read_inputs({form: values}, signature(dtype))


@settings(max_examples=100, deadline=None)
@given(JSON, JSON)
def test_any_json_is_read_as_examples_or_refused(examples, context):
    try:
        read = read_examples({"examples": examples, "context": context}, "classify")
    except ServingError:
        return  # any other exception would be a 500
    assert len(read.example_list_with_context.examples) == len(examples)


@pytest.mark.parametrize("dtype", NUMBERS, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("by_row", [True, False], ids=["rows", "columns"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_tensors_come_back_as_they_were_written(dtype, by_row, data):
    shape = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)
    array = data.draw(arrays.arrays(dtype.as_numpy_dtype, shape))
    if by_row and not len(array):
        return  # a request without rows is refused
    answer = json.loads(write_outputs(signature(dtype), {"x": array}, by_row))
    value = answer["predictions" if by_row else "outputs"]
    body = {"instances" if by_row else "inputs": value}
    read = read_inputs(body, signature(dtype))["x"]
    if array.size:  # a list in no list has lost its inner sides
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)
