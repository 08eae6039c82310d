"""A real gRPC server of TF Serving's API, and small scans of every kind."""

from __future__ import annotations

import io
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

LIKELY = {"FLAIR": 0.01, "T1": 0.96, "T2": 0.02, "other": 0.01}


def head(shape: tuple[int, ...] = (40, 48, 44), dtype: Any = np.int16) -> np.ndarray:
    """A bright ellipsoid with a gradient in it, on a dark background."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.8
    return np.where(inside, 600 + 300 * axes[0] + 50 * axes[-1], 10).astype(dtype)


@pytest.fixture
def volume() -> np.ndarray:
    return head()


@pytest.fixture
def nifti(tmp_path: Path) -> Callable[..., Path]:
    """Writes an array as NIfTI and gives its path."""

    def write(
        voxels: np.ndarray, name: str = "scan.nii.gz", zooms: Any = None, **header: Any
    ) -> Path:
        image = nibabel.Nifti1Image(voxels, np.eye(4))
        if zooms is not None:
            image.header.set_zooms(zooms)
        for field, value in header.items():
            image.header[field] = value
        nibabel.save(image, tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def png() -> Callable[[Image.Image], bytes]:
    def encode(image: Image.Image, form: str = "PNG") -> bytes:
        stream = io.BytesIO()
        image.save(stream, form)
        return stream.getvalue()

    return encode


@pytest.fixture
def dicom() -> Callable[..., bytes]:
    """Makes the bytes of one DICOM slice; keywords become attributes."""

    def make(pixels: np.ndarray, **attributes: Any) -> bytes:
        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = MRImageStorage
        dataset.SOPInstanceUID = "1.2.3.4"
        dataset.SeriesInstanceUID = "1.2.3"
        dataset.SeriesNumber = 1
        dataset.PatientName = "Secret^Person"
        dataset.PixelSpacing = [0.5, 0.75]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.Rows, dataset.Columns = pixels.shape[-2:]
        dataset.BitsAllocated = dataset.BitsStored = pixels.dtype.itemsize * 8
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.PixelData = pixels.tobytes()
        for name, value in attributes.items():
            setattr(dataset, name, value)
        stream = io.BytesIO()
        dataset.save_as(stream, enforce_file_format=True)
        return stream.getvalue()

    return make


@pytest.fixture
def zipped() -> Callable[[dict[str, bytes]], bytes]:
    """Makes the bytes of a zip from names and contents, the same every time."""

    def pack(files: dict[str, bytes]) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return stream.getvalue()

    return pack


@pytest.fixture
def real_data() -> Path:
    folder = os.environ.get("MRI_REAL_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MRI_REAL_DATA is not set to a folder of real scans")
    return Path(folder)


@pytest.fixture(scope="session")
def received() -> list[Any]:
    """The Predict requests that arrived at the server, as it understood them."""
    return []


@pytest.fixture(scope="session")
def server(received: list[Any]) -> Iterator[str]:
    """HOST:PORT of a server whose models are named after how they behave."""
    grpc = pytest.importorskip("grpc")
    from tensorflow_serving.apis import (
        model_service_pb2_grpc,
        prediction_service_pb2_grpc,
    )

    service = grpc.server(ThreadPoolExecutor(8))
    stop = threading.Event()
    prediction, model = _servicers(grpc, stop, received)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        prediction, service
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(model, service)
    port = service.add_insecure_port("localhost:0")
    service.start()
    yield f"localhost:{port}"
    stop.set()
    service.stop(0).wait()


def _servicers(
    grpc: Any, stop: threading.Event, received: list[Any]
) -> tuple[Any, Any]:
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    status = grpc.StatusCode
    failures = {
        "absent": (status.NOT_FOUND, "Servable not found for request: Latest(absent)"),
        "old": (
            status.FAILED_PRECONDITION,
            'Serving signature key "slices_v1" not found.',
        ),
        "broken": (status.INTERNAL, "something\nbroke"),
    }

    def fail(name: str, context: Any) -> None:
        if name in failures:
            context.abort(*failures[name])
        if name == "slow":
            stop.wait(30)

    class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
            received.append(request)
            spec = request.model_spec
            fail(spec.name, context)
            if spec.version_label == "nobody":
                context.abort(
                    status.INVALID_ARGUMENT,
                    "Unrecognized servable version label: nobody",
                )
            return _predict(request, predict_pb2.PredictResponse())

        def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
            name = request.model_spec.name
            fail("" if name == "old" else name, context)
            signatures = get_model_metadata_pb2.SignatureDefMap()
            key = "serving_default" if name == "old" else "slices_v1"
            signatures.signature_def[key].method_name = "tensorflow/serving/predict"
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.metadata["signature_def"].Pack(signatures)
            return response

    class Model(model_service_pb2_grpc.ModelServiceServicer):
        def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
            name = request.model_spec.name
            fail(name, context)
            response = get_model_status_pb2.GetModelStatusResponse()
            states = ((3, 40), (7, 20)) if name == "loading" else ((3, 40), (7, 30))
            for version, state in states:
                found = response.model_version_status.add()
                found.version, found.state = version, state
            return response

    return Prediction(), Model()


def _predict(request: Any, response: Any) -> Any:
    """Answers as an exported model: every slice is the same T1."""
    sent = request.inputs["slices"]
    count = sent.tensor_shape.dim[0].size
    name = request.model_spec.name
    response.model_spec.version.value = request.model_spec.version.value or 7
    values: dict[str, list[float]] = {
        contrast: [float(np.log(share))] * count for contrast, share in LIKELY.items()
    }
    values["aux_rho"], values["aux_accept"] = [1.0] * count, [0.9] * count
    values["aux_gadolinium"] = np.linspace(0.6, 1, count).tolist()
    if name == "nan":
        values["T1"][0] = float("nan")
    if name == "short":
        values["T1"].pop()
    if name == "percent":
        values["aux_gadolinium"][0] = 80.0
    if name == "headless":
        del values["aux_gadolinium"]
    if name == "bare":
        del values["aux_rho"]
    for key, numbers in values.items():
        tensor = response.outputs[key]
        tensor.dtype = 1
        tensor.tensor_shape.dim.add(size=len(numbers))
        if name == "packed":
            tensor.tensor_content = np.float32(numbers).tobytes()
        else:
            tensor.float_val.extend(numbers)
    return response


@pytest.fixture(scope="session")
def embedded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of the project's own server with a real SavedModel.

    The model calls bright slices T1 and dark ones T2.
    """
    import tensorflow as tf

    from serving.server.config import ServerConfig
    from serving.server.embedded import EmbeddedServer

    base = tmp_path_factory.mktemp("models") / "mri_contrast"
    model = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 150, 150], tf.uint8, "slices")])
    def slices_v1(slices: Any) -> dict[str, Any]:
        brightness = tf.reduce_mean(tf.cast(slices, tf.float32), [1, 2]) / 255
        one = tf.ones_like(brightness)
        return {
            "T1": tf.math.log(brightness),
            "T2": tf.math.log1p(-brightness),
            "aux_rho": one,
            "aux_accept": 0.5 * one,
        }

    tf.saved_model.save(model, str(base / "4"), signatures={"slices_v1": slices_v1})
    config = ServerConfig(
        port=0, rest_api_port=None, model_name="mri_contrast", model_base_path=base
    )
    embedded = EmbeddedServer(config)
    port, _ = embedded.start()
    yield f"localhost:{port}"
    embedded.stop()
