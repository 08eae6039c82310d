import os

import pytest

from pipeline.workers import run_all


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_comes_back_with_its_result(workers: int) -> None:
    words = [f"word {number}" for number in range(9)]
    assert dict(run_all(str.upper, words, workers)) == {
        word: word.upper() for word in words
    }


def test_workers_see_no_gpu_and_one_thread_and_this_process_keeps_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    names = ["CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
    seen = dict(run_all(os.getenv, names, 2))
    assert [seen[name] for name in names] == ["-1", "3", "1"]
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_killed_worker_is_reported_with_what_to_do() -> None:
    with pytest.raises(OSError, match=r"a worker was killed.* pass fewer --workers"):
        list(run_all(os._exit, [9, 9, 9], 2))


def test_an_error_in_a_job_reaches_the_caller() -> None:
    with pytest.raises(ValueError, match="invalid literal for int"):
        list(run_all(int, ["1", "x"], 2))
