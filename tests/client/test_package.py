from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import mri_contrast

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built without a network in a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(
        ROOT / "serving" / "client",
        folder / "client",
        ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"),
    )
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index"),
            *("--no-build-isolation", "--quiet", "--wheel-dir", str(folder)),
            str(folder / "client"),
        ],
        check=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_is_small_and_whole(wheel: Path) -> None:
    assert wheel.stat().st_size < 200_000
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        packed = {n.rpartition("/")[2] for n in names}
        modules = {n for n in names if n.startswith("mri_contrast/")}
    assert {"tfs.fds", "py.typed", "LICENSE", "THIRD_PARTY.md"} <= packed
    source = ROOT / "serving" / "client"
    assert modules == {
        path.relative_to(source).as_posix()
        for path in (source / "mri_contrast").iterdir()
        if path.suffix in {".py", ".fds", ".typed"}
    }


def test_the_version_is_the_same_everywhere(wheel: Path) -> None:
    assert wheel.name.startswith(f"mri_contrast-{mri_contrast.__version__}-")


def test_the_wheel_asks_for_no_tensorflow(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        metadata = archive.read(name).decode()
    needed = [
        line for line in metadata.splitlines() if line.startswith("Requires-Dist")
    ]
    assert len(needed) >= 4
    assert not [line for line in needed if "tensor" in line.lower()]


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_client_loads_nothing_heavy() -> None:
    heavy = ("tensorflow", "tensorflow_serving", "grpc", "PIL", "nibabel", "pydicom")
    loaded = run(
        "import sys, mri_contrast, mri_contrast.cli;"
        f"print([n for n in {heavy} if n in sys.modules])"
    )
    assert loaded == "[]\n"


def test_asking_for_a_request_needs_no_tensorflow() -> None:
    loaded = run(
        "import sys, mri_contrast, mri_contrast._messages;"
        "mri_contrast.Client('localhost:1').close();"
        "print('grpc' in sys.modules, 'tensorflow' in sys.modules)"
    )
    assert loaded == "True False\n"


def test_tensorflow_may_come_into_the_process_later() -> None:
    run(
        "import mri_contrast._messages as m;"
        "from tensorflow_serving.apis import predict_pb2;"
        "predict_pb2.PredictRequest.FromString(m.PredictRequest().SerializeToString())"
    )


def test_public_names_are_sorted_and_there() -> None:
    assert mri_contrast.__all__ == sorted(mri_contrast.__all__)
    assert all(hasattr(mri_contrast, name) for name in mri_contrast.__all__)


@pytest.mark.parametrize(
    ("library", "extra", "head"),
    [
        ("nibabel", "nifti", "bytes(344) + b'n+1' + bytes(99)"),
        ("pydicom", "dicom", "bytes(128) + b'DICM' + bytes(99)"),
    ],
)
def test_a_missing_library_says_how_to_install_it(
    library: str, extra: str, head: str
) -> None:
    said = run(
        f"import sys; sys.modules[{library!r}] = None\n"
        "import mri_contrast\n"
        f"try: mri_contrast.read_scan({head})\n"
        "except mri_contrast.UnreadableScan as error: print(error)"
    )
    assert f'pip install "mri-contrast[{extra}]"' in said
