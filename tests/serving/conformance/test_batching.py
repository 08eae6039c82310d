"""Batching: which calls share a run, and which are refused."""

import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf

from tests.serving.conformance import ask
from tests.serving.conformance.ask import FAILED_PRECONDITION, INVALID, floats
from tests.serving.conformance.configs import Model, write_config
from tests.serving.conformance.saved_models import copy_version

row = pytest.mark.row

LONG = 2_000_000
"""Microseconds that an unfilled batch waits; a full one does not."""


def parameters(folder, text: str):
    path = folder / "batching.config"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def config(library, tmp_path_factory):
    return write_config(
        tmp_path_factory.mktemp("batching") / "models.config",
        *(Model(name, library / name) for name in ("crowd", "slow", "number")),
    )


@pytest.fixture(scope="module")
def patient(launcher, config, tmp_path_factory):
    """Waits for full batches: 4 rows, padded up to 2 or 4."""
    file = parameters(
        tmp_path_factory.mktemp("patient"),
        f"""
        max_batch_size {{ value: 4 }}
        batch_timeout_micros {{ value: {LONG} }}
        max_enqueued_batches {{ value: 100 }}
        num_batch_threads {{ value: 2 }}
        allowed_batch_sizes: 2
        allowed_batch_sizes: 4
        """,
    )
    return launcher.start(
        f"--model_config_file={config}",
        "--enable_batching",
        f"--batching_parameters_file={file}",
    )


@pytest.fixture(scope="module")
def single(launcher, config, tmp_path_factory):
    """One thread, a short queue, large calls split, shapes filled up."""
    file = parameters(
        tmp_path_factory.mktemp("single"),
        """
        max_batch_size { value: 8 }
        batch_timeout_micros { value: 200000 }
        max_enqueued_batches { value: 2 }
        num_batch_threads { value: 1 }
        thread_pool_name { value: "conformance" }
        pad_variable_length_inputs: true
        enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 4 }
        """,
    )
    return launcher.start(
        f"--model_config_file={config}",
        "--enable_batching=true",
        f"--batching_parameters_file={file}",
        "--rest_api_timeout_in_ms=3000",
    )


def together(server, *requests):
    """Sends requests at the same time; returns the answers' outputs."""
    calls = [server.predict.Predict.future(each, timeout=120) for each in requests]
    return [call.result().outputs for call in calls]


def rows_and_sum(outputs) -> tuple[int, float]:
    return outputs["rows"].int_val[0], outputs["sum"].float_val[0]


@row("batching.joins", "batching.split-rows")
def test_calls_at_the_same_time_share_a_run_and_get_their_own_rows(patient):
    first, second = together(
        patient,
        ask.predict("crowd", x=floats(1, 2)),
        ask.predict("crowd", x=floats(10, 20)),
    )
    assert rows_and_sum(first) == rows_and_sum(second) == (4, 33)
    assert list(first["y"].float_val) == [1, 2]
    assert list(second["y"].float_val) == [10, 20]


@row("batching.timeout", "batching.padding")
def test_an_unfilled_batch_runs_padded_and_is_cut_again(patient):
    (outputs,) = together(patient, ask.predict("crowd", x=floats(1, 2, 4)))
    assert rows_and_sum(outputs)[0] == 4
    assert list(outputs["y"].float_val) == [1, 2, 4]


@row("batching.padding-row")
def test_padding_repeats_the_first_row(patient):
    (outputs,) = together(patient, ask.predict("crowd", x=floats(1, 2, 4)))
    assert rows_and_sum(outputs) == (4, 1 + 2 + 4 + 1)


@row("batching.filter-queue")
def test_calls_with_different_filters_do_not_share_a_run(patient):
    first, second = together(
        patient,
        ask.predict("crowd", x=floats(1, 2), only=["rows"]),
        ask.predict("crowd", x=floats(1, 2), only=["rows", "y"]),
    )
    assert list(first["rows"].int_val) == [2, 2]
    assert list(second["rows"].int_val) == [2, 2]


@row("batching.too-big")
def test_a_call_above_the_largest_size_is_refused(patient):
    refused = ask.refusal(
        patient.predict.Predict, ask.predict("crowd", x=floats(1, 2, 3, 4, 5))
    )
    text = "Task size 5 is larger than maximum input batch size 4"
    assert refused == (INVALID, text)


def pair(a, b):
    return ask.predict("crowd", signature="pair", a=np.float32(a), b=np.float32(b))


@row("batching.zero-rank")
def test_an_input_without_dimensions_is_refused(patient):
    code, text = ask.refusal(patient.predict.Predict, pair(1, 2))
    assert code is INVALID
    assert "Batching Run() input tensors must have at least one dimension" in text


@row("batching.unequal")
def test_unequal_first_dimensions_are_refused(patient):
    code, text = ask.refusal(patient.predict.Predict, pair([1, 2], [1, 2, 3]))
    assert code is INVALID
    assert "equal 0th-dimension size" in text


def wide(columns: int):
    x = np.arange(2 * columns, dtype=np.float32).reshape(2, columns) + 7
    return ask.predict("crowd", signature="wide", x=x)


@row("batching.shapes")
def test_calls_of_different_shapes_fail_where_padding_is_off(patient):
    calls = [patient.predict.Predict.future(wide(n), timeout=120) for n in (2, 3)]
    for call in calls:
        error = call.exception()
        assert isinstance(error, grpc.RpcError)
        assert error.code() is FAILED_PRECONDITION
        assert "have different shapes and padding is turned off" in error.details()


@row("batching.pad-variable")
def test_calls_of_different_shapes_are_filled_up_where_padding_is_on(single):
    first, second = together(single, wide(2), wide(3))
    assert first["rows"].int_val[0] == second["rows"].int_val[0] == 4
    assert tf.make_ndarray(first["y"]).tolist() == [[7, 8, 7], [9, 10, 7]]
    assert tf.make_ndarray(second["y"]).tolist() == [[7, 8, 9], [10, 11, 12]]


@row("batching.split-large", "batching.execution-size")
def test_a_large_call_is_split_into_runs_of_the_execution_size(single):
    given = floats(*range(8))
    (outputs,) = together(single, ask.predict("crowd", x=given))
    assert list(outputs["y"].float_val) == list(range(8))
    assert list(outputs["rows"].int_val) == [4] * 8


def slow_call(server, steps: int):
    """A full batch of a slow model: it occupies a batch thread at once."""
    given = np.array([steps] * 4, np.int64)
    call = server.predict.Predict.future(ask.predict("slow", steps=given), timeout=300)
    for _ in range(20):  # answers that come later on the same connection
        ask.states(server, "slow")
    return call


@row("batching.shared-pool")
def test_all_models_share_the_batch_threads(single):
    """With one thread the quick call of another model waits for the slow one."""
    begun = time.monotonic()
    slow = slow_call(single, 100_000)
    quick = single.predict.Predict.future(
        ask.predict("crowd", x=floats(1, 2, 3, 4)), timeout=120
    )
    quick.result()
    waited = time.monotonic() - begun
    slow.result()
    # Which of two answers is read first, when both are there, is chance.
    assert time.monotonic() - begun < 1.5 * waited


@row("batching.queue-full")
def test_a_full_queue_refuses(single):
    slow = slow_call(single, 100_000)
    calls = [
        single.predict.Predict.future(
            ask.predict("crowd", x=floats(1, 2, 3, 4)), timeout=120
        )
        for _ in range(12)
    ]
    futures.wait([_settled(call) for call in calls])
    errors = [call.exception() for call in calls]
    refused = [error for error in errors if error is not None]
    assert refused, "12 full batches do not fit a queue of 2"
    assert len(refused) < len(calls), "the queue holds some"
    for error in refused:
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert (
            "The batch scheduling queue to which this task was submitted is full"
            in (error.details())
        )
    slow.result()


def _settled(call) -> "futures.Future[None]":
    done: futures.Future[None] = futures.Future()
    call.add_done_callback(lambda _: done.set_result(None))
    return done


@row("errors.rest-429")
def test_a_rest_call_that_times_out_in_the_queue_is_a_429(single):
    slow = slow_call(single, 1_000_000)
    got = single.rest.post(
        "/v1/models/crowd:predict", json={"instances": [1.0, 2.0, 3.0, 4.0]}
    )
    slow.cancel()
    assert got.status_code == 429
    assert "timeout exceeded while waiting in batching queue" in got.json()["error"]


@row("batching.defaults")
def test_batching_works_without_a_parameters_file(launcher, library):
    server = launcher.start(
        f"--model_base_path={library / 'crowd'}",
        "--model_name=crowd",
        "--enable_batching",
    )
    outputs: list[list[float]] = []

    def call(first: float) -> None:
        given = floats(first, first + 1)
        outputs.append(ask.answer(server, "crowd", x=given))

    threads = [threading.Thread(target=call, args=(n,)) for n in range(0, 40, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outputs) == [[n, n + 1] for n in range(0, 40, 2)]
    server.stop()


@row("batching.per-model")
def test_a_version_may_bring_its_own_parameters(launcher, library, tmp_path):
    (tmp_path / "crowd").mkdir()
    own = copy_version(library / "crowd" / "1", tmp_path / "crowd" / "1")
    (own / "batching_params.pbtxt").write_text(
        "max_batch_size { value: 8 } allowed_batch_sizes: 8"
    )
    server = launcher.start(
        f"--model_base_path={own.parent}",
        "--model_name=crowd",
        "--enable_batching",
        "--enable_per_model_batching_parameters",
    )
    request = ask.predict("crowd", x=floats(1, 2, 3))
    outputs = server.predict.Predict(request, timeout=60).outputs
    assert list(outputs["rows"].int_val) == [8, 8, 8]
    server.stop()


@row("batching.sizes-last")
def test_allowed_sizes_that_do_not_end_with_the_largest_stop_the_start(
    launcher, library, tmp_path
):
    file = parameters(tmp_path, "max_batch_size { value: 8 } allowed_batch_sizes: 4")
    code, said = launcher.ended(
        f"--model_base_path={library / 'number'}",
        "--enable_batching",
        f"--batching_parameters_file={file}",
        "--max_num_load_retries=0",
    )
    assert code != 0
    assert "Last entry in allowed_batch_sizes must match max_batch_size" in said


@row("batching.file-alone")
def test_a_parameters_file_alone_stops_the_start(launcher, library, tmp_path):
    file = parameters(tmp_path, "max_batch_size { value: 8 }")
    code, said = launcher.ended(
        f"--model_base_path={library / 'number'}",
        f"--batching_parameters_file={file}",
    )
    assert code != 0
    assert "enable_batching" in said


@row("batching.file-bad")
def test_a_parameters_file_that_cannot_be_read_stops_the_start(
    launcher, library, tmp_path
):
    file = parameters(tmp_path, "this is no text of parameters {")
    code, said = launcher.ended(
        f"--model_base_path={library / 'number'}",
        "--enable_batching",
        f"--batching_parameters_file={file}",
    )
    assert code != 0
    assert str(file) in said
