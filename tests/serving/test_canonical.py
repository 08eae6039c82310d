"""The same run exported twice is the same bytes, whatever the process did before."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from pipeline.files import sha256_of
from pipeline.runs import load_run
from serving import canonical, gate
from serving.export import export

ROOT = Path(canonical.__file__).parents[1]
ELSEWHERE = """
import sys
from pathlib import Path
from pipeline.runs import load_run
from serving.export import export
export(load_run(Path(sys.argv[1])), Path(sys.argv[2]))
"""


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def exported(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By a process that has traced a function and made models before."""
    tf.function(lambda x: tf.cond(x > 0, lambda: x, lambda: -x))(tf.constant(1))
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    folder = tmp_path_factory.mktemp("here") / "model"
    export(load_run(run_folder), folder)
    return folder


def test_two_processes_write_the_same_bytes(
    exported: Path, run_folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "model"
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(run_folder), str(other)],
        env={**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "7"},
        check=True,
    )
    here = digests(exported)
    assert "saved_model.pb" in here
    assert "variables/variables.data-00000-of-00001" in here
    assert digests(other) == here


def test_it_answers_as_keras_does(exported: Path, run_folder: Path) -> None:
    evidence = gate.check(exported, load_run(run_folder))
    assert evidence["largest_difference_to_keras"] < 1e-5


def test_it_loads_again_and_its_fingerprint_is_that_of_its_bytes(
    exported: Path,
) -> None:
    loaded = tf.saved_model.load(str(exported))
    assert set(loaded.signatures) >= {"slices_v1", "encoded", "classify", "explain"}
    stamp = tf.saved_model.experimental.read_fingerprint(str(exported))
    before = (exported / "fingerprint.pb").read_bytes()
    canonical.canonicalise(exported)
    again = tf.saved_model.experimental.read_fingerprint(str(exported))
    assert again == stamp
    assert (exported / "fingerprint.pb").read_bytes() == before


def test_a_function_without_a_number_is_refused(tmp_path: Path) -> None:
    saved = saved_model_pb2.SavedModel()
    library = saved.meta_graphs.add().graph_def.library
    library.function.add().signature.name = "plain"
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(ValueError, match="'plain' of the graph has no number"):
        canonical.canonicalise(tmp_path)
