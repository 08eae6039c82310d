"""Loading: retries, warm-up records, config files that change."""

import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2, session_service_pb2

from tests.serving.conformance import ask
from tests.serving.conformance.ask import State, available, floats
from tests.serving.conformance.configs import Model, write_config
from tests.serving.conformance.process import until
from tests.serving.conformance.saved_models import copy_version, write_corrupt

row = pytest.mark.row

Log = prediction_log_pb2.PredictionLog


def predict_log(model: str = "whoever", **spec) -> Log:
    log = Log()
    request = ask.predict(model, x=floats(1), **spec)
    log.predict_log.request.CopyFrom(request)
    return log


def classify_log() -> Log:
    log = Log()
    log.classify_log.request.CopyFrom(
        ask.classify("whoever", ask.example(x=1.0), signature="classify")
    )
    return log


def regress_log() -> Log:
    log = Log()
    log.regress_log.request.CopyFrom(
        ask.regress("whoever", ask.example(x=1.0), signature="regress")
    )
    return log


def multi_log() -> Log:
    log = Log()
    log.multi_inference_log.request.CopyFrom(
        ask.multi(
            ("whoever", "regress", ask.REGRESS), ("whoever", "classify", ask.CLASSIFY)
        )
    )
    return log


def session_log() -> Log:
    log = Log()
    log.session_run_log.request.CopyFrom(session_service_pb2.SessionRunRequest())
    return log


def failing_log() -> Log:
    log = Log()
    log.predict_log.request.CopyFrom(ask.predict("whoever", zz=floats(1)))
    return log


WARM: dict[str, list[Log]] = {
    "warm_predict": [predict_log(), predict_log(), predict_log()],
    "warm_classify": [classify_log()],
    "warm_regress": [regress_log()],
    "warm_multi": [multi_log()],
    "warm_spec": [predict_log("another", version=77)],
    "warm_limit": [predict_log()] * 1000,
}
"""Models that load, with their records."""

COLD: dict[str, list[bytes] | None] = {
    "too_many": [predict_log().SerializeToString()] * 1001,
    "damaged": None,
    "unparsable": [b"\xff\xff this is no PredictionLog"],
    "failing": [predict_log().SerializeToString(), failing_log().SerializeToString()],
    "session": [session_log().SerializeToString()],
}
"""Records with which no version loads; None is a file that holds no records."""


def put_records(version: Path, records: list[bytes] | None) -> Path:
    extra = version / "assets.extra"
    extra.mkdir(exist_ok=True)
    path = extra / "tf_serving_warmup_requests"
    if records is None:
        path.write_bytes(b"this is no file of records" * 10)
        return version
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return version


@pytest.fixture(scope="module")
def base(library, tmp_path_factory):
    base = tmp_path_factory.mktemp("loading")
    for name, logs in WARM.items():
        version = shutil.copytree(library / "counting" / "1", base / name / "1")
        put_records(version, [log.SerializeToString() for log in logs])
    for name in (*COLD, "bad", "mended", "back", "retried"):
        shutil.copytree(library / "number" / "1", base / name / "1")
    return base


@pytest.fixture(scope="module")
def models(base):
    names = (*WARM, *COLD, "bad", "mended", "back", "retried")
    return [Model(name, base / name) for name in names]


@pytest.fixture(scope="module")
def config(base, models):
    return write_config(base / "models.config", *models)


@pytest.fixture(scope="module")
def loading(launcher, config):
    return launcher.start(
        f"--model_config_file={config}",
        "--model_config_file_poll_wait_seconds=1",
        "--file_system_poll_wait_seconds=1",
        "--max_num_load_retries=1",
        "--load_retry_interval_micros=100000",
    )


def runs_before(server, model) -> float:
    """How often the model had run before this call."""
    return ask.answer(server, model, x=floats(0))[0] - 1


@row("warmup.predict")
def test_predict_records_run_first(loading):
    assert runs_before(loading, "warm_predict") == 3


@row("warmup.classify")
def test_classify_records_run_first(loading):
    assert runs_before(loading, "warm_classify") == 1


@row("warmup.regress")
def test_regress_records_run_first(loading):
    assert runs_before(loading, "warm_regress") == 1


@row("warmup.multi")
def test_multi_inference_records_run_first(loading):
    assert runs_before(loading, "warm_multi") >= 1


@row("warmup.spec")
def test_the_model_spec_of_a_record_is_ignored(loading):
    assert runs_before(loading, "warm_spec") == 1


@row("warmup.limit")
def test_a_thousand_records_are_replayed(loading):
    assert runs_before(loading, "warm_limit") == 1000


def fails_to_load(loading, library, base, name) -> tuple[int, str]:
    """Puts version 2 with such records there; returns its code and text."""
    target = base / name / "2"
    unfinished = shutil.copytree(
        library / "counting" / "1", target.with_name("unfinished")
    )
    put_records(unfinished, COLD[name]).rename(target)
    until(lambda: ask.failure(loading, name, 2), "the end of version 2")
    assert available(loading, name) == [1], "the old version stays"
    failure = ask.failure(loading, name, 2)
    assert failure is not None
    return failure


@row("warmup.too-many")
def test_more_than_a_thousand_records_fail_the_load(loading, library, base):
    code, text = fails_to_load(loading, library, base, "too_many")
    assert code
    assert "1000" in text


@row("warmup.damaged")
def test_a_file_that_holds_no_records_fails_the_load(loading, library, base):
    code, text = fails_to_load(loading, library, base, "damaged")
    assert code
    assert "Please verify your warmup data is in TFRecord format" in text


@row("warmup.unparsable")
def test_a_record_that_is_no_log_fails_the_load(loading, library, base):
    assert fails_to_load(loading, library, base, "unparsable")[0]


@row("warmup.failing")
def test_a_record_whose_call_fails_fails_the_load(loading, library, base):
    code, text = fails_to_load(loading, library, base, "failing")
    assert code
    assert "zz" in text


@row("warmup.kind")
def test_a_record_of_another_kind_fails_the_load(loading, library, base):
    unimplemented = 12
    assert fails_to_load(loading, library, base, "session")[0] == unimplemented


@row("versions.corrupt-status")
def test_a_corrupt_version_ends_with_its_error(loading, base):
    write_corrupt(base / "bad" / "2")
    until(lambda: ask.failure(loading, "bad", 2), "the end of version 2")
    failure = ask.failure(loading, "bad", 2)
    assert failure is not None
    code, text = failure
    assert code
    assert text
    assert available(loading, "bad") == [1]
    shown = loading.rest.get("/v1/models/bad/versions/2").json()
    assert shown["model_version_status"][0]["state"] == "END"
    assert shown["model_version_status"][0]["status"]["error_code"] != "OK"


@row("versions.corrupt-once")
def test_a_corrupt_version_is_not_loaded_again(loading, library, base):
    mended = write_corrupt(base / "mended" / "2")
    until(lambda: ask.failure(loading, "mended", 2), "the end of version 2")
    shutil.copytree(library / "number" / "2", mended, dirs_exist_ok=True)
    # Another model's version that comes later is found by a later look.
    for number in (5, 6):
        copy_version(library / "number" / "1", base / "back" / str(number))
        until(lambda n=number: n in available(loading, "back"), f"version {number}")
    assert available(loading, "mended") == [1]
    assert ask.failure(loading, "mended", 2)


@row("versions.corrupt-back")
def test_a_corrupt_version_is_loaded_again_after_it_was_gone(loading, library, base):
    corrupt = write_corrupt(base / "back" / "7")
    until(lambda: ask.failure(loading, "back", 7), "the end of version 7")
    corrupt.rename(base / "back" / "withdrawn")
    # A later look has found it gone once a later version is served.
    copy_version(library / "number" / "1", base / "back" / "8")
    until(lambda: available(loading, "back") == [8], "version 8")
    (base / "back" / "8").rename(base / "back" / "withdrawn-too")
    until(lambda: 8 not in available(loading, "back"), "version 8 gone")
    copy_version(library / "number" / "2", base / "back" / "7")
    until(lambda: available(loading, "back") == [7], "the good version 7")
    assert ask.answer(loading, "back", x=floats(0)) == [2]


@row("versions.config-poll", "versions.config-whole", "versions.config-bad")
def test_a_changed_config_file_is_taken_up_and_a_bad_one_is_not(
    loading, library, config, models
):
    newcomer = Model("newcomer", library / "half_plus_three")
    write_config(config, *models, newcomer)
    until(lambda: available(loading, "newcomer") == [1], "the newcomer")
    config.write_text("this is no model config {")
    assert ask.answer(loading, "newcomer", x=floats(2)) == [4]
    later = Model("later", library / "half_plus_two")
    write_config(config, *models, later)
    until(lambda: available(loading, "later") == [1], "a later one")
    until(lambda: not available(loading, "newcomer"), "the one that left unloaded")
    assert available(loading, "bad") == [1]


@row("warmup.iterations")
def test_each_record_is_repeated_as_often_as_asked(launcher, base):
    server = launcher.start(
        f"--model_base_path={base / 'warm_predict'}",
        "--model_name=warm",
        "--num_request_iterations_for_warmup=4",
    )
    assert runs_before(server, "warm") == 3 * 4
    server.stop()


@row("warmup.off", "flags.boolean-false")
def test_no_record_is_replayed_where_warm_up_is_off(launcher, base):
    server = launcher.start(
        f"--model_base_path={base / 'warm_predict'}",
        "--model_name=warm",
        "--enable_model_warmup=false",
    )
    assert runs_before(server, "warm") == 0
    server.stop()


@row("versions.retry")
def test_loading_is_tried_again_after_the_interval(launcher, library, base):
    """The first try fails; what is wrong is mended before the next."""
    server = launcher.start(
        f"--model_base_path={base / 'retried'}",
        "--model_name=retried",
        "--max_num_load_retries=1000",
        "--load_retry_interval_micros=500000",
    )
    corrupt = write_corrupt(base / "retried" / "2")
    until(lambda: 2 in ask.states(server, "retried"), "the first try")
    assert ask.states(server, "retried")[2] in (State.START, State.LOADING)
    shutil.copytree(library / "number" / "2", corrupt, dirs_exist_ok=True)
    until(lambda: available(server, "retried") == [2], "a good try")
    assert ask.answer(server, "retried", x=floats(0)) == [2]
    server.stop()
