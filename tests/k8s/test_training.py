"""Training, search and dashboards: as the programs want to be started and stopped."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import tyro

from pipeline.settings import TrainConfig
from pipeline.shards import ShardsConfig
from tests.k8s.conftest import Object
from tests.k8s.rules.objects import find
from tuner.dashboard.__main__ import DashboardConfig
from tuner.roles import Role, role
from tuner.settings import SearchConfig

ROOT = Path(__file__).parents[2]
Objects = Callable[[str], list[Object]]


def job(objects: list[Object], name: str) -> Object:
    found = find(objects, "Job", name)
    assert found is not None
    return found["spec"]


def box(spec: Object) -> Object:
    (only,) = spec["template"]["spec"]["containers"]
    return only


def expanded(container: Object, index: int) -> tuple[dict[str, str], list[str]]:
    """Variables and command as the kubelet makes them for an index of a Job."""
    known: dict[str, str] = {}

    def fill(text: str) -> str:
        return re.sub(r"\$\((\w+)\)", lambda match: known[match[1]], text)

    for variable in container.get("env", ()):
        source = variable.get("valueFrom")
        if source is not None:
            path = source["fieldRef"]["fieldPath"]
            assert "job-completion-index" in path
        known[variable["name"]] = str(index) if source else fill(variable["value"])
    words = [*container["command"], *container.get("args", ())]
    return known, [fill(word) for word in words]


def what_make_runs(words: list[str]) -> list[str]:
    """The one command of a recipe, by `make --dry-run`."""
    done = subprocess.run(
        [words[0], "--dry-run", "--no-print-directory", *words[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stdout.splitlines()
    return shlex.split(line)


@pytest.mark.parametrize("name", ["train", "train-gpu"])
def test_training_is_make_train_and_never_starts_anew(name: str, objects_of: Objects):
    spec = job(objects_of(name), "train")
    _, words = expanded(box(spec), 0)
    command = what_make_runs(words)
    assert command[:3] == ["python3", "-m", "pipeline.train"]
    assert "--restart" not in command
    options = [word for word in command[3:] if word != "--preset" and word != "release"]
    config = tyro.cli(TrainConfig, args=options)
    assert config.device == ("gpu" if name == "train-gpu" else "auto")
    mounts = [mount["mountPath"] for mount in box(spec)["volumeMounts"]]
    assert f"/app/{config.run.parts[0]}" in mounts
    assert f"/app/{config.shards.parts[0]}" in mounts


def test_preemption_does_not_count_as_a_failure(objects_of: Objects):
    for name in ("shards", "merge", "train", "tuner-chief", "tuner-worker"):
        overlay = "tune" if name.startswith("tuner") else name
        rules = job(objects_of(overlay), name)["podFailurePolicy"]["rules"]
        assert rules[0] == {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        }


def test_each_index_cuts_its_own_part_of_the_scans(objects_of: Objects):
    spec = job(objects_of("shards"), "shards")
    parts = []
    for index in range(spec["completions"]):
        _, words = expanded(box(spec), index)
        command = what_make_runs(words)
        assert command[:3] == ["python3", "-m", "pipeline.shards"]
        parts.append(tyro.cli(ShardsConfig, args=command[3:]))
    count = spec["completions"]
    assert [config.part for config in parts] == [f"{i}/{count}" for i in range(count)]
    _, words = expanded(box(job(objects_of("merge"), "merge")), 0)
    merge = tyro.cli(ShardsConfig, args=what_make_runs(words)[3:])
    assert merge.merge
    assert (merge.out, merge.data) == (parts[0].out, parts[0].data)


def test_chief_and_workers_do_the_same_search_under_stable_names(objects_of: Objects):
    objects = objects_of("tune")
    chief = box(job(objects, "tuner-chief"))
    variables, words = expanded(chief, 0)
    assert role(variables) == Role("chief", "chief")
    searches = [tyro.cli(SearchConfig, args=words[3:])]
    workers = job(objects, "tuner-worker")
    names = []
    for index in range(workers["completions"]):
        variables, words = expanded(box(workers), index)
        assert words[:3] == ["python3", "-m", "tuner.search"]
        names.append(role(variables))
        searches.append(tyro.cli(SearchConfig, args=words[3:]))
        service = find(objects, "Service", variables["KERASTUNER_ORACLE_IP"])
        assert service is not None
        (port,) = service["spec"]["ports"]
        assert str(port["port"]) == variables["KERASTUNER_ORACLE_PORT"]
    assert names == [Role("worker", f"worker-{i}") for i in range(len(names))]
    assert len(set(map(repr, searches))) == 1


def test_searches_end_by_130_which_is_no_failure(objects_of: Objects):
    for name in ("tuner-chief", "tuner-worker"):
        rule = job(objects_of("tune"), name)["podFailurePolicy"]["rules"][1]
        assert rule["action"] == "Ignore"
        assert rule["onExitCodes"]["values"] == [130]


def test_the_chief_is_given_no_gpu_and_workers_one_each(objects_of: Objects):
    objects = objects_of("tune-gpu")
    chief = box(job(objects, "tuner-chief"))["resources"]["limits"]
    worker = box(job(objects, "tuner-worker"))["resources"]["limits"]
    assert "nvidia.com/gpu" not in chief
    assert worker["nvidia.com/gpu"] == "1"


def test_dashboards_listen_on_loopback_and_probes_ask_there(objects_of: Objects):
    objects = objects_of("dashboard")
    deployment = find(objects, "Deployment", "dashboard")
    assert deployment is not None
    assert not [each for each in objects if each["kind"] == "Service"]
    search, board = deployment["spec"]["template"]["spec"]["containers"]
    config = tyro.cli(DashboardConfig, args=search["command"][3:])
    assert f":{config.port}'" in search["readinessProbe"]["exec"]["command"][-1]
    assert "--host=127.0.0.1" in board["args"]
    assert "--load_fast=false" in board["args"]
    (port,) = [word for word in board["args"] if word.startswith("--port=")]
    assert f":{port[7:]}'" in board["readinessProbe"]["exec"]["command"][-1]
    assert int(port[7:]) not in (config.port, config.tensorboard_port)


def test_kueue_decides_when_a_job_begins(objects_of: Objects):
    found = find(objects_of("kueue"), "Job", "train")
    assert found is not None
    assert found["spec"]["suspend"] is True
    assert found["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "mri-training"
