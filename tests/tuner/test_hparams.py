"""What TensorBoard itself reads of what is written for its HParams page."""

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams import api_pb2, metadata

from tuner.hparams import METRICS, write_experiment, write_trial
from tuner.space import SPACE, narrow
from tuner.trials import Trial

TRIAL = Trial(
    name="trial-0007",
    status="completed",
    values={"kernel": 3, "learning_rate": 0.002, "dropout": 0.1},
    worker="worker-1",
    epochs=4,
    parameters=1234,
    milliseconds=1.5,
    score=0.25,
    accuracy=0.75,
    seconds=12.5,
    memory_mib=640.0,
    started=1000.0,
)

PARSERS = {
    metadata.EXPERIMENT_TAG: metadata.parse_experiment_plugin_data,
    metadata.SESSION_START_INFO_TAG: metadata.parse_session_start_info_plugin_data,
    metadata.SESSION_END_INFO_TAG: metadata.parse_session_end_info_plugin_data,
}


def read(search: Path) -> EventMultiplexer:
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(search))
    multiplexer.Reload()
    return multiplexer


def content(multiplexer: EventMultiplexer, run: str, tag: str) -> Any:
    return PARSERS[tag](multiplexer.SummaryMetadata(run, tag).plugin_data.content)


def test_all_hyper_parameters_and_metrics_of_a_search_are_named(tmp_path: Path):
    write_experiment(tmp_path, narrow(["kernel=3"]))
    told = content(read(tmp_path), ".", metadata.EXPERIMENT_TAG)
    assert {info.name for info in told.hparam_infos} == set(SPACE)
    assert [info.display_name for info in told.metric_infos] == list(METRICS.values())


def test_a_search_that_goes_on_is_named_once(tmp_path: Path):
    write_experiment(tmp_path, SPACE)
    write_experiment(tmp_path, SPACE)
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 1


def test_a_trial_has_its_name_its_values_and_its_results(tmp_path: Path):
    write_trial(tmp_path, TRIAL)
    board = read(tmp_path)
    started = content(board, "trial-0007", metadata.SESSION_START_INFO_TAG)
    assert started.group_name == "trial-0007"
    assert {name: v.number_value for name, v in started.hparams.items()} == TRIAL.values
    ended = content(board, "trial-0007", metadata.SESSION_END_INFO_TAG)
    assert ended.status == api_pb2.STATUS_SUCCESS
    for field in METRICS:
        (event,) = board.Tensors("trial-0007", f"trial/{field}")
        assert event.tensor_proto.float_val[0] == getattr(TRIAL, field)


def test_a_trial_that_was_retried_is_shown_as_it_ended(tmp_path: Path):
    failed = Trial("trial-0007", "failed", TRIAL.values, "worker-1", 4)
    write_trial(tmp_path, failed)
    ended = content(read(tmp_path), "trial-0007", metadata.SESSION_END_INFO_TAG)
    assert ended.status == api_pb2.STATUS_FAILURE
    write_trial(tmp_path, TRIAL)
    ended = content(read(tmp_path), "trial-0007", metadata.SESSION_END_INFO_TAG)
    assert ended.status == api_pb2.STATUS_SUCCESS
