"""The models that are served: each a folder of versions, written once a session."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import tensorflow as tf

tf1 = tf.compat.v1

PREDICT: Final = "tensorflow/serving/predict"
CLASSIFY: Final = "tensorflow/serving/classify"
REGRESS: Final = "tensorflow/serving/regress"

DTYPES: Final = (
    *(tf.float16, tf.bfloat16, tf.float32, tf.float64),
    *(tf.int8, tf.int16, tf.int32, tf.int64),
    *(tf.uint8, tf.uint16, tf.uint32, tf.uint64),
    *(tf.bool, tf.string, tf.complex64, tf.complex128),
)
"""Signatures of the model `echo`, by their names."""

Signatures = Mapping[str, Any]


def write_all(folder: Path) -> None:
    """Writes each model as version 1, those with several as 1 to 3."""
    for name, build in {
        "half_plus_two": lambda: half_plus(2.0),
        "half_plus_three": lambda: half_plus(3.0),
        "mixed": mixed,
        "text": text,
        "echo": echo,
        "defaults": defaults,
        "convolution": convolution,
        "undeclared": undeclared,
        "matrix": matrix,
        "slow": slow,
        "crowd": crowd,
        "counting": counting,
    }.items():
        write(folder / name / "1", build)
    for version in (1, 2, 3):
        write(folder / "number" / str(version), lambda v=version: number(v))
    tf.saved_model.save(
        modern := Modern(),
        str(folder / "modern" / "1"),
        {
            "serving_default": modern.double,
            "classify": modern.classify,
            "regress": modern.regress,
        },
    )


def copy_version(source: Path, target: Path) -> Path:
    """Copies a version under another name, then renames it: it appears whole."""
    unfinished = target.with_name(f"copy-of-{target.name}")
    shutil.copytree(source, unfinished)
    return unfinished.rename(target)


def write_corrupt(target: Path) -> Path:
    """A version whose graph is no graph."""
    unfinished = target.with_name(f"copy-of-{target.name}")
    unfinished.mkdir(parents=True)
    (unfinished / "saved_model.pb").write_bytes(b"\x0a\xff\xff this is no graph")
    return unfinished.rename(target)


def write(path: Path, build: Callable[[], Signatures]) -> None:
    with tf.Graph().as_default(), tf1.Session() as session:
        signatures = build()
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.SERVING], signature_def_map=signatures
        )
        builder.save()


def signature(inputs, outputs, method: str = PREDICT):
    return tf1.saved_model.build_signature_def(
        {alias: tf1.saved_model.build_tensor_info(t) for alias, t in inputs.items()},
        {alias: tf1.saved_model.build_tensor_info(t) for alias, t in outputs.items()},
        method,
    )


def parsed_x(serialised: tf.Tensor) -> tf.Tensor:
    features = {"x": tf.io.FixedLenFeature([1], tf.float32)}
    return tf.io.parse_example(serialised, features)["x"]


def half_plus(added: float) -> Signatures:
    """x / 2 + added, by all methods, as TensorFlow Serving's own examples have it."""
    serialised = tf1.placeholder(tf.string, [None], name="examples")
    x = tf1.placeholder(tf.float32, [None], name="x")
    parsed = parsed_x(serialised)
    half = tf1.get_variable("half", initializer=0.5)
    y, scores = x * half + added, parsed * half + added
    named = tf.tile(tf.constant([["only"]]), [tf.shape(parsed)[0], 1])
    examples = {"inputs": serialised}
    return {
        "serving_default": signature({"x": x}, {"y": y}),
        "regress": signature(examples, {"outputs": scores}, REGRESS),
        "regress_plus_one": signature(examples, {"outputs": scores + 1}, REGRESS),
        "classify": signature(examples, {"scores": scores}, CLASSIFY),
        "classify_named": signature(
            examples, {"classes": named, "scores": scores}, CLASSIFY
        ),
        "odd": signature(examples, {"outputs": scores}, "tensorflow/serving/odd"),
    }


def number(version: int) -> Signatures:
    """x + version: answers tell who gave them."""
    x = tf1.placeholder(tf.float32, [None], name="x")
    added = tf1.get_variable("version", initializer=float(version))
    return {"serving_default": signature({"x": x}, {"y": x + added})}


def mixed() -> Signatures:
    """Two inputs of unlike dtypes, two outputs."""
    a = tf1.placeholder(tf.float32, [None], name="a")
    b = tf1.placeholder(tf.int32, [None], name="b")
    c = tf.cast(b, tf.float32)
    outputs = {"sum": a + c, "product": a * c}
    return {"serving_default": signature({"a": a, "b": b}, outputs)}


def text() -> Signatures:
    s = tf1.placeholder(tf.string, [None], name="s")
    return {
        "serving_default": signature({"s": s}, {"y": s + "!"}),
        "bytes": signature({"s": s}, {"y_bytes": s + "!"}),
    }


def echo() -> Signatures:
    """Gives back what it gets; a signature for each dtype."""
    made = {}
    for dtype in DTYPES:
        x = tf1.placeholder(dtype, [None], name=f"x_{dtype.name}")
        made[dtype.name] = signature({"x": x}, {"y": tf.identity(x)})
    return made


def defaults() -> Signatures:
    """a + b, where b is 100 unless it is given."""
    a = tf1.placeholder(tf.float32, [None], name="a")
    b = tf1.placeholder(tf.float32, [], name="b")
    made = signature({"a": a, "b": b}, {"y": a + b})
    made.defaults["b"].CopyFrom(tf.make_tensor_proto(100.0, tf.float32))
    return {"serving_default": made}


def convolution() -> Signatures:
    """A kernel that ends the process where it is fed a wrong rank unchecked."""
    return _convolution([None, 8, 8, 1])


def undeclared() -> Signatures:
    """The same, and its signature does not say what rank it takes."""
    return _convolution(None)


def _convolution(shape: list[int | None] | None) -> Signatures:
    x = tf1.placeholder(tf.float32, shape, name="x")
    kernel = tf1.get_variable("kernel", initializer=tf.ones([3, 3, 1, 4]))
    y = tf.reduce_sum(tf.nn.conv2d(x, kernel, 1, "VALID"), [1, 2, 3])
    return {"serving_default": signature({"x": x}, {"y": y})}


def matrix() -> Signatures:
    """[n, 2] times [2, 3]; the declared shape leaves the width open."""
    x = tf1.placeholder(tf.float32, [None, None], name="x")
    w = tf1.get_variable("w", initializer=tf.ones([2, 3]))
    return {"serving_default": signature({"x": x}, {"y": tf.matmul(x, w)})}


def slow() -> Signatures:
    """Counts up to the largest of `steps`; `ticks` tells how far all calls came."""
    ticks = tf1.get_variable("ticks", initializer=tf.constant(0.0), use_resource=True)
    steps = tf1.placeholder(tf.int64, [None], name="steps")

    def step(i: tf.Tensor) -> list[tf.Tensor]:
        with tf.control_dependencies([ticks.assign_add(1.0)]):
            return [i + 1]

    wanted = tf.reduce_max(steps)
    (done,) = tf.while_loop(
        lambda i: i < wanted, step, [tf.constant(0, tf.int64)], parallel_iterations=1
    )
    x = tf1.placeholder(tf.float32, [None], name="x")
    return {
        "serving_default": signature(
            {"steps": steps}, {"y": tf.zeros_like(steps) + done}
        ),
        "ticks": signature({"x": x}, {"y": x + ticks.read_value()}),
    }


def crowd() -> Signatures:
    """Tells of each run how many rows it had and what they summed up to."""
    x = tf1.placeholder(tf.float32, [None], name="x")
    rows = tf.shape(x)[0]
    outputs = {
        "y": tf.identity(x),  # what is fed cannot be fetched
        "rows": tf.fill([rows], rows),
        "sum": tf.fill([rows], tf.reduce_sum(x)),
    }
    wide = tf1.placeholder(tf.float32, [None, None], name="wide")
    a = tf1.placeholder(tf.float32, None, name="a")
    b = tf1.placeholder(tf.float32, None, name="b")
    return {
        "serving_default": signature({"x": x}, outputs),
        "wide": signature(
            {"x": wide},
            {
                "y": tf.identity(wide),
                "rows": tf.fill([tf.shape(wide)[0]], tf.shape(wide)[0]),
            },
        ),
        "pair": signature({"a": a, "b": b}, {"y": tf.identity(a), "z": tf.identity(b)}),
    }


def counting() -> Signatures:
    """Every run counts one, by whatever method; the count is the answer."""
    count = tf1.get_variable("count", initializer=tf.constant(0.0), use_resource=True)
    x = tf1.placeholder(tf.float32, [None], name="x")
    serialised = tf1.placeholder(tf.string, [None], name="examples")
    counted = count.assign_add(1.0)
    row = parsed_x(serialised) * 0 + counted
    examples = {"inputs": serialised}
    return {
        "serving_default": signature({"x": x}, {"y": x * 0 + counted}),
        "classify": signature(examples, {"scores": row}, CLASSIFY),
        "regress": signature(examples, {"outputs": row}, REGRESS),
    }


class Modern(tf.Module):
    """A TF2 export: all of its signatures have the method predict."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def double(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": 2 * x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        x = parsed_x(inputs)
        classes = tf.where(x > 0, "above", "below")
        return {"classes": classes, "scores": tf.abs(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": 2 * parsed_x(inputs)}
