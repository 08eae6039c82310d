from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mri_contrast
from mri_contrast import Client
from mri_contrast.slices import cut


def test_a_scan_gets_its_contrast_and_probabilities(
    server: str, nifti: Callable[..., Path], volume: np.ndarray
) -> None:
    path = nifti(volume)
    with Client(server) as client:
        answer = client.identify(path)
    assert answer.contrast == "T1"
    assert answer.probability == pytest.approx(0.96)
    assert answer.probabilities == pytest.approx(
        {"FLAIR": 0.01, "T1": 0.96, "T2": 0.02, "other": 0.01}
    )
    assert list(answer.probabilities) == ["FLAIR", "T1", "T2", "other"]
    assert answer.slices == len(cut(mri_contrast.read_scan(path)))
    assert answer.model_version == 7
    assert answer.part is None
    assert answer.gadolinium == pytest.approx(0.8)


def test_a_model_without_that_head_tells_nothing_of_gadolinium(
    server: str, volume: np.ndarray
) -> None:
    with Client(server, model="headless") as client:
        assert client.identify(volume).gadolinium is None


def test_path_bytes_file_and_array_give_the_same_answer(
    server: str, nifti: Callable[..., Path], volume: np.ndarray
) -> None:
    path = nifti(volume)
    sources: list[Any] = [str(path), path.read_bytes(), io.BytesIO(path.read_bytes())]
    with Client(server) as client:
        first = client.identify(path)
        assert [client.identify(s) for s in [*sources, volume]] == [first] * 4


def test_packed_answers_are_read_too(server: str, volume: np.ndarray) -> None:
    with Client(server, model="packed") as client:
        assert client.identify(volume).probability == pytest.approx(0.96)


def test_the_server_gets_the_slices_and_nothing_else(
    server: str, received: list[Any], dicom: Callable[..., bytes]
) -> None:
    import tensorflow as tf

    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    with Client(server) as client:
        client.identify(dicom(pixels))
    request = received[-1]
    assert list(request.inputs) == ["slices"]
    np.testing.assert_array_equal(
        tf.make_ndarray(request.inputs["slices"]),
        cut(mri_contrast.read_scan(dicom(pixels))),
    )
    assert b"Secret" not in request.SerializeToString()


def test_the_caller_may_demand_more_certainty(server: str, volume: np.ndarray) -> None:
    with Client(server, accept=0.97) as client:
        answer = client.identify(volume)
    assert (answer.contrast, answer.probability) == ("unsure", pytest.approx(0.96))


def test_a_version_can_be_asked_for(server: str, volume: np.ndarray) -> None:
    with Client(server, version=3) as client:
        assert client.identify(volume).model_version == 3


def test_several_series_are_refused_by_identify_and_answered_one_by_one(
    server: str, nifti: Callable[..., Path], volume: np.ndarray
) -> None:
    nifti(volume, "b.nii")
    folder = nifti(volume, "a.nii.gz").parent
    with Client(server) as client:
        with pytest.raises(mri_contrast.UnreadableScan, match="2 series"):
            client.identify(folder)
        results = list(client.identify_many(folder))
    assert [result.part for result in results] == ["a.nii.gz", "b.nii"]
    assert [r.answer and r.answer.contrast for r in results] == ["T1", "T1"]


def test_notes_of_the_reader_reach_the_caller(
    server: str, nifti: Callable[..., Path], volume: np.ndarray
) -> None:
    path = nifti(np.stack([volume, volume], axis=-1))
    with Client(server) as client:
        assert client.identify(path).notes == ("4-D: first of 2 volumes used",)


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        port: int = listener.getsockname()[1]
        return port


def test_a_wrong_address_says_what_to_check(volume: np.ndarray) -> None:
    target = f"localhost:{closed_port()}"
    with (
        Client(target) as client,
        pytest.raises(mri_contrast.ServerUnavailable, match=target) as caught,
    ):
        client.identify(volume)
    assert "start one, or check HOST:PORT" in str(caught.value)


@pytest.mark.parametrize(
    ("model", "error", "reason"),
    [
        ("absent", mri_contrast.ModelNotFound, "no model 'absent': publish a model"),
        ("old", mri_contrast.ClientTooOld, "pip install --upgrade mri-contrast"),
        ("broken", mri_contrast.RejectedByServer, "INTERNAL: something"),
        ("nan", mri_contrast.RejectedByServer, "makes no sense.*NaN"),
        ("short", mri_contrast.RejectedByServer, "makes no sense.*shapes"),
        ("bare", mri_contrast.RejectedByServer, "no output 'aux_rho'"),
        ("percent", mri_contrast.RejectedByServer, "'aux_gadolinium'.*no probability"),
    ],
)
def test_what_the_server_cannot_do_has_a_type_and_an_advice(
    server: str, volume: np.ndarray, model: str, error: type[Exception], reason: str
) -> None:
    with Client(server, model=model) as client, pytest.raises(error, match=reason):
        client.identify(volume)


def test_a_label_nobody_has_is_a_model_not_found(
    server: str, volume: np.ndarray
) -> None:
    with (
        Client(server, label="nobody") as client,
        pytest.raises(mri_contrast.ModelNotFound, match="with label 'nobody'"),
    ):
        client.identify(volume)


def test_a_server_that_takes_too_long_is_given_up(
    server: str, volume: np.ndarray
) -> None:
    with (
        Client(server, model="slow", timeout=0.2) as client,
        pytest.raises(mri_contrast.DeadlineExceeded, match=r"0\.2 s"),
    ):
        client.identify(volume)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"label": "stable", "version": 3}, "give one"),
        ({"timeout": 0}, "timeout is 0"),
        ({"accept": 1.5}, r"accept is 1\.5"),
        ({"target": ""}, "HOST:PORT"),
        ({"target": "http://localhost:8501"}, "HOST:PORT of the gRPC port"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_sent(
    arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        Client(**{"target": "localhost:8500", **arguments})


def test_the_versions_on_the_server_are_listed_newest_first(server: str) -> None:
    with Client(server) as client:
        found = client.model_status()
    assert [(v.version, v.state) for v in found] == [(7, "AVAILABLE"), (3, "UNLOADING")]


def test_waiting_ends_at_once_where_the_model_is_ready(server: str) -> None:
    with Client(server) as client:
        client.wait_until_ready(timeout=5)


def test_waiting_does_not_outlast_a_model_that_is_too_old(server: str) -> None:
    with (
        Client(server, model="old") as client,
        pytest.raises(mri_contrast.ClientTooOld),
    ):
        client.wait_until_ready(timeout=60)


def test_waiting_for_nobody_ends_with_the_reason(server: str) -> None:
    with (
        Client(f"localhost:{closed_port()}") as client,
        pytest.raises(mri_contrast.ServerUnavailable, match="start one"),
    ):
        client.wait_until_ready(timeout=0.3)
    with (
        Client(server, model="absent") as client,
        pytest.raises(mri_contrast.ModelNotFound),
    ):
        client.wait_until_ready(timeout=0.3)


def test_threads_share_a_client(server: str, volume: np.ndarray) -> None:
    answers: list[Any] = []
    with Client(server) as client:
        threads = [
            threading.Thread(target=lambda: answers.append(client.identify(volume)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 4
    assert {a.contrast for a in answers} == {"T1"}


def test_the_embedded_server_answers_with_what_the_model_says(
    embedded_server: str, volume: np.ndarray
) -> None:
    slices = cut(mri_contrast.read_scan(volume))
    share = (slices.astype(float) / 255).mean((1, 2))
    mean = np.exp([np.log(share).mean(), np.log(1 - share).mean()])
    with Client(embedded_server) as client:
        client.wait_until_ready(timeout=30)
        (status,) = client.model_status()
        answer = client.identify(volume)
    assert (status.version, status.state) == (4, "AVAILABLE")
    assert answer.probabilities["T1"] == pytest.approx(mean[0] / mean.sum(), abs=1e-5)
    assert answer.contrast == ("T1" if mean[0] > mean[1] else "T2")
    assert (answer.slices, answer.model_version) == (24, 4)


@pytest.mark.parametrize("which", [{"version": 9}, {"label": "canary"}])
def test_the_embedded_server_has_no_version_or_label_that_nobody_published(
    embedded_server: str, volume: np.ndarray, which: dict[str, Any]
) -> None:
    with (
        Client(embedded_server, **which) as client,
        pytest.raises(mri_contrast.ModelNotFound, match="publish a model there"),
    ):
        client.identify(volume)
