import json
import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.registry import (
    Diff,
    ListVersions,
    Prune,
    Registry,
    RegistryError,
    Show,
    models_config,
)


def publish(root: Path, count: int = 1) -> list[int]:
    registry = Registry(root)
    versions = []
    for _ in range(count):
        with registry.workspace() as workspace:
            prepared = workspace / "model"
            prepared.mkdir()
            (prepared / "saved_model.pb").write_bytes(b"a model")
            versions.append(registry.publish(prepared))
    return versions


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "serving.registry", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_first_version_becomes_stable_and_later_ones_serve_nothing(tmp_path):
    assert publish(tmp_path, 3) == [1, 2, 3]
    registry = Registry(tmp_path)
    assert registry.versions() == [1, 2, 3]
    assert registry.labels() == {"stable": 1}
    assert (tmp_path / "mri_contrast/3/saved_model.pb").read_bytes() == b"a model"


def test_promoting_and_rolling_back_move_the_label(tmp_path):
    publish(tmp_path, 3)
    registry = Registry(tmp_path)
    registry.promote(2, reason="better")
    registry.promote(3)
    assert registry.rollback(reason="worse after all") == 2
    assert registry.rollback() == 1
    with pytest.raises(RegistryError, match="no earlier one"):
        registry.rollback()


def test_promoting_what_is_stable_already_changes_nothing(tmp_path):
    publish(tmp_path, 3)
    registry = Registry(tmp_path)
    registry.promote(2)
    registry.promote(3)
    history = registry.history()
    registry.promote(3)
    assert registry.history() == history
    assert registry.prunable(1) == [1]
    assert registry.rollback() == 2


def test_a_damaged_version_is_not_promoted_and_not_rolled_back_to(tmp_path):
    publish(tmp_path, 2)
    registry = Registry(tmp_path)
    registry.promote(2)
    (tmp_path / "mri_contrast/1/saved_model.pb").write_bytes(b"a mode1")
    with pytest.raises(RegistryError, match=r"version 1 is not .*saved_model\.pb"):
        registry.promote(1, "canary")
    with pytest.raises(RegistryError, match=r"version 1 is not .*saved_model\.pb"):
        registry.rollback()
    assert registry.labels() == {"stable": 2}


def test_a_second_model_under_a_root_leaves_the_first_one_served(tmp_path):
    publish(tmp_path, 2)
    first, second = Registry(tmp_path), Registry(tmp_path, "other")
    with second.workspace() as workspace:
        (workspace / "model").mkdir()
        (workspace / "model/saved_model.pb").write_bytes(b"another")
        second.publish(workspace / "model")
    first.promote(2)
    text = (tmp_path / "models.config").read_text()
    assert text == first.served() == second.served()
    assert text.count("  config {") == 2
    assert '"mri_contrast"' in text
    assert '"other"' in text


def test_rolling_back_skips_a_version_that_is_gone(tmp_path):
    publish(tmp_path, 2)
    registry = Registry(tmp_path)
    registry.promote(2)
    shutil.rmtree(tmp_path / "mri_contrast/1")
    with pytest.raises(RegistryError, match=r"versions: \[2\]"):
        registry.rollback()


def test_history_tells_who_replaced_what_and_why(tmp_path):
    publish(tmp_path, 2)
    registry = Registry(tmp_path)
    registry.promote(2, reason="fewer errors on FLAIR")
    last = registry.history()[-1]
    assert last["reason"] == "fewer errors on FLAIR"
    assert (last["version"], last["replaces"], last["label"]) == (2, 1, "stable")
    assert last["user"]
    assert [entry["action"] for entry in registry.history()] == [
        *("publish", "promote", "publish", "promote")
    ]


def test_a_removed_versions_number_is_not_used_again(tmp_path):
    publish(tmp_path, 2)
    shutil.rmtree(tmp_path / "mri_contrast/2")
    assert publish(tmp_path) == [3]


def test_publishers_at_once_get_different_versions(tmp_path):
    context = multiprocessing.get_context("fork")
    publishers = [context.Process(target=publish, args=(tmp_path, 5)) for _ in range(4)]
    for publisher in publishers:
        publisher.start()
    for publisher in publishers:
        publisher.join()
    registry = Registry(tmp_path)
    assert registry.versions() == list(range(1, 21))
    published = [e["version"] for e in registry.history() if e["action"] == "publish"]
    assert published == list(range(1, 21))


def test_a_workspace_leaves_nothing_behind(tmp_path):
    with Registry(tmp_path).workspace() as workspace:
        (workspace / "half").write_text("written")
    assert [path.name for path in tmp_path.iterdir()] == []


def test_models_config_serves_labelled_versions_only(tmp_path):
    publish(tmp_path, 3)
    registry = Registry(tmp_path)
    registry.promote(3, "canary")
    text = models_config(registry, Path("/models/mri_contrast"))
    parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (config,) = parsed.model_config_list.config
    assert config.base_path == "/models/mri_contrast"
    assert list(config.model_version_policy.specific.versions) == [1, 3]
    assert dict(config.version_labels) == {"stable": 1, "canary": 3}


def test_models_config_follows_the_labels(tmp_path):
    publish(tmp_path, 2)
    registry = Registry(tmp_path)
    config = tmp_path / "models.config"
    before = config.read_text()
    publish(tmp_path)
    assert config.read_text() == before, "publishing must change nothing served"
    registry.promote(2)
    assert config.read_text() == models_config(registry) != before


def test_models_config_of_an_image_serves_one_version_as_stable(tmp_path):
    publish(tmp_path, 2)
    text = models_config(Registry(tmp_path), version=2)
    parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (config,) = parsed.model_config_list.config
    assert list(config.model_version_policy.specific.versions) == [2]
    assert dict(config.version_labels) == {"stable": 2}
    with pytest.raises(RegistryError, match="no version 3"):
        models_config(Registry(tmp_path), version=3)


@pytest.mark.parametrize("name", ["", "a/b", ".hidden"])
def test_a_models_name_is_one_folder(tmp_path, name):
    with pytest.raises(ValueError, match="plain folder name"):
        Registry(tmp_path, name)


def test_commands_list_promote_roll_back_and_write_the_config(tmp_path):
    publish(tmp_path, 2)
    root = ("--root", str(tmp_path))
    promoted = command("promote", "--version", "2", "--reason", "better", *root)
    assert promoted.stdout == "stable is now version 2\n"
    rows = [line.split()[:2] for line in command("list", *root).stdout.splitlines()]
    assert rows[0] == ["version", "labels"]
    assert rows[2][:2] == ["2", "stable"]
    assert command("rollback", *root).stdout == "stable is version 1 again\n"
    config = tmp_path / "written.config"
    assert command("config", *root, "--out", str(config)).returncode == 0
    assert config.read_text() == models_config(Registry(tmp_path))
    assert json.loads((tmp_path / "labels.json").read_text()) == {
        "mri_contrast": {"stable": 1}
    }


@pytest.mark.parametrize(
    "arguments", [("list",), ("promote", "--version", "1"), ("rollback",), ("config",)]
)
def test_commands_without_a_version_say_what_to_do(tmp_path, arguments):
    done = command(*arguments, "--root", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_config_that_a_crash_left_behind_the_labels_is_made_good(tmp_path):
    publish(tmp_path, 2)
    wanted = (tmp_path / "models.config").read_text()
    (tmp_path / "models.config").write_text("")  # killed between label and config
    publish(tmp_path)
    assert (tmp_path / "models.config").read_text() == wanted


def test_a_line_that_a_crash_cut_short_is_passed_over(tmp_path):
    publish(tmp_path)
    with (tmp_path / "registry.jsonl").open("a") as file:
        file.write('{"model": "mri_con')
    assert publish(tmp_path) == [2]
    registry = Registry(tmp_path)
    registry.promote(2)
    assert registry.rollback() == 1
    assert [entry["action"] for entry in registry.history()][-2:] == [
        "promote",
        "rollback",
    ]


def test_what_a_killed_export_left_is_removed_and_what_another_holds_is_not(tmp_path):
    script = (
        "import sys, pathlib\n"
        "from serving.workspace import workspace\n"
        "with workspace(pathlib.Path(sys.argv[1])) as path:\n"
        "    print(path, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as other:
        theirs = Path(other.stdout.readline().strip())
        (theirs / "model").mkdir()
        (tmp_path / ".preparing-notes").mkdir()
        publish(tmp_path)
        assert theirs.exists(), "its process still works in it"
        other.kill()
    publish(tmp_path)
    assert not theirs.exists()
    assert (tmp_path / ".preparing-notes").exists()


def test_a_move_that_was_killed_before_its_config_and_history_is_made_good(tmp_path):
    publish(tmp_path, 2)
    labels = {"mri_contrast": {"stable": 2}}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    registry = Registry(tmp_path)
    assert registry.rollback() == 1, "the history must know what 2 replaced"
    assert (tmp_path / "models.config").read_text() == models_config(registry)
    moves = [
        (entry["action"], entry["version"], entry["replaces"])
        for entry in registry.history()
        if "label" in entry
    ]
    assert moves == [("promote", 1, None), ("promote", 2, 1), ("rollback", 1, 2)]


def test_a_rollback_that_was_killed_is_told_as_one(tmp_path):
    publish(tmp_path, 2)
    registry = Registry(tmp_path)
    registry.promote(2)
    labels = {"mri_contrast": {"stable": 1}}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    publish(tmp_path)
    last = [entry for entry in registry.history() if "label" in entry][-1]
    assert (last["action"], last["version"], last["replaces"]) == ("rollback", 1, 2)
    assert "interrupted" in last["reason"]
    before = registry.history()
    with pytest.raises(RegistryError, match="no earlier one"):
        registry.rollback()
    assert registry.history() == before, "once is enough"


def test_bytes_that_are_no_text_in_the_history_are_passed_over(tmp_path):
    publish(tmp_path)
    with (tmp_path / "registry.jsonl").open("ab") as file:
        file.write(b'{"model": "\xc3')
    assert publish(tmp_path) == [2]


def test_a_folder_whose_number_is_no_version_is_passed_over(tmp_path):
    publish(tmp_path)
    (tmp_path / "mri_contrast" / ("9" * 30)).mkdir()
    assert publish(tmp_path) == [2]
    assert Registry(tmp_path).versions() == [1, 2]


def test_pruning_keeps_what_is_served_and_what_a_rollback_needs(tmp_path):
    publish(tmp_path, 7)
    registry = Registry(tmp_path)
    registry.promote(3)
    registry.promote(4)
    registry.promote(5, "canary")
    assert registry.prunable(1) == [1, 2, 6]
    assert registry.prune(1, reason="the disk is full") == [1, 2, 6]
    assert registry.versions() == [3, 4, 5, 7]
    assert registry.history()[-1]["reason"] == "the disk is full"
    assert registry.rollback() == 3
    assert [path.name for path in tmp_path.glob(".preparing-*")] == []
    assert registry.prune(0) == [4, 7]
    assert registry.prune(0) == []
    assert publish(tmp_path) == [8], "a pruned version's number is not used again"
    with pytest.raises(RegistryError, match="keep must be 0 or more"):
        registry.prune(-1)


def test_pruning_keeps_all_where_there_are_fewer(tmp_path):
    publish(tmp_path, 3)
    assert Registry(tmp_path).prune(5) == []


def write_card(root: Path, version: int, accuracy: float) -> None:
    card = {
        "run": f"run-{version}",
        "metrics": {
            "volumes": {"accuracy": accuracy, "calibration": {"ece": 0.0123}},
            "real": {"mean_verdict_accuracy": 0.9},
        },
        "hyper_parameters": {"filters": [8, 16], "dropout": 0.2},
        "training": {},
    }
    path = root / "mri_contrast" / str(version) / "assets.extra/model_card.json"
    path.write_text(json.dumps(card))


def test_commands_show_figures_differences_and_json(tmp_path, capsys):
    publish(tmp_path, 2)
    for version, accuracy in ((1, 0.95), (2, 0.97)):
        write_card(tmp_path, version, accuracy)
    ListVersions(root=tmp_path)()
    row = capsys.readouterr().out.splitlines()[1]
    assert row.split()[:2] == ["1", "stable"]
    assert all(told in row for told in ("run-1", "95.0%", "0.012", "90.0%", "MB"))
    ListVersions(root=tmp_path, json=True)()
    rows = json.loads(capsys.readouterr().out)
    assert [each["accuracy"] for each in rows] == [0.95, 0.97]
    assert [each["labels"] for each in rows] == [["stable"], []]
    Diff(2, root=tmp_path, json=True)()
    told = json.loads(capsys.readouterr().out)
    assert told["metrics.volumes.accuracy"] == [0.97, 0.95]
    assert told["run"] == ["run-2", "run-1"]
    assert "hyper_parameters.filters" not in told
    Diff(2, root=tmp_path)()
    assert "metrics.volumes.accuracy" in capsys.readouterr().out
    Diff(1, root=tmp_path)()
    assert capsys.readouterr().out == "the cards of versions 1 and 1 say the same\n"
    Show(2, root=tmp_path)()
    said = capsys.readouterr().out
    assert "assets.extra/model_card.json" in said
    assert "publish" in said
    Show(1, root=tmp_path, json=True)()
    told = json.loads(capsys.readouterr().out)
    assert told["card"]["hyper_parameters"]["filters"] == [8, 16]
    assert [each["action"] for each in told["history"]] == ["publish", "promote"]
    Prune(keep=0, dry_run=True, root=tmp_path)()
    assert capsys.readouterr().out == "would remove: 2\n"
    Prune(keep=0, root=tmp_path, json=True)()
    assert json.loads(capsys.readouterr().out) == {"removed": [2], "dry_run": False}
    with pytest.raises(RegistryError, match="has no version 2"):
        Show(2, root=tmp_path)()
