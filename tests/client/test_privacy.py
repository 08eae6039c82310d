"""What leaves the machine, and what is said: slices, and nothing that names anybody."""

from __future__ import annotations

import io
import json
import logging
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from mri_contrast import Audit, Client, MriContrastError, UnreadableScan
from mri_contrast import _messages as m
from mri_contrast.scans import read_scan
from mri_contrast.slices import cut, cut_planes
from tests.client.small_server import SmallServer, ball

SECRET = "Zyxwvut"
PLANTED = re.compile(b"(?i)" + SECRET.encode())


class Recorder:
    """A TCP proxy that keeps every byte that passes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.sent, self.received = bytearray(), bytearray()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.target = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            for ends in ((near, far, self.sent), (far, near, self.received)):
                threading.Thread(target=_pump, args=ends, daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    try:
        while data := source.recv(65536):
            kept.extend(data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def patients(
    tmp_path: Path, dicom: Callable[..., bytes], zipped: Callable[..., bytes]
) -> list[Path]:
    """Scans of every kind whose headers, names and comments hold the secret."""
    folder = tmp_path / f"{SECRET}_1970-01-01"
    folder.mkdir()
    image = nibabel.Nifti1Image(ball("T1"), np.eye(4))
    image.header["descrip"] = image.header["intent_name"] = SECRET
    image.header["aux_file"] = image.header["db_name"] = SECRET
    image.header.extensions.append(
        nibabel.nifti1.Nifti1Extension("comment", SECRET.encode())
    )
    named = folder / f"sub-{SECRET}_T2w.nii.gz"
    nibabel.save(image, named)
    (folder / f"sub-{SECRET}_T2w.json").write_text(
        json.dumps({"SeriesDescription": f"t2 {SECRET}", "PatientName": SECRET})
    )
    header = dict.fromkeys(
        ["PatientName", "PatientID", "InstitutionName", "SeriesDescription"], SECRET
    )
    header["ProtocolName"] = f"AX T2 {SECRET}"
    one = dicom(ball("T1")[20].astype(np.uint16), **header)
    (folder / f"{SECRET}.dcm").write_bytes(one)
    (folder / f"{SECRET}.zip").write_bytes(zipped({f"{SECRET}/1.dcm": one}))
    broken = folder / f"{SECRET}.nii.gz"
    broken.write_bytes(named.read_bytes()[:900])
    return [named, folder / f"{SECRET}.dcm", folder / f"{SECRET}.zip", broken]


def test_the_bytes_on_the_wire_are_the_slices_and_nothing_of_the_patient(
    patients: list[Path],
) -> None:
    with SmallServer() as server, Recorder(server.port) as wire:
        with Client(wire.target, timeout=60) as client:
            results = list(client.identify_many(patients))
            client.check_upload({"T1": patients[0], "T2": patients[1]})
        assert [r.answer is not None for r in results] == [True, True, True, False]
        scan = cut(read_scan(patients[0])).tobytes()
        assert results[0].answer is not None
        assert results[0].answer.conflict, "the header was read, and disagreed"
        # HTTP/2 cuts messages into frames, here and there through one of these.
        windows = [scan[at : at + 200] for at in range(0, len(scan) - 200, 5000)]
        telling = [window for window in windows if len(set(window)) > 3]
        assert len(telling) > 5
        assert any(window in bytes(wire.sent) for window in telling), "look here"
        assert not PLANTED.search(bytes(wire.sent))
        # Headers are packed (HPACK): what the server made of them.
        assert server.metadata
        assert not PLANTED.search(repr(server.metadata).encode())
        for request in server.requests:
            assert set(request.inputs) == {"slices"}
            known = m.PredictRequest()
            known.model_spec.CopyFrom(request.model_spec)
            known.inputs["slices"].CopyFrom(
                m.to_tensor(m.to_array(request.inputs["slices"]))
            )
            assert request == known, "a field that is none of ours"


def test_no_log_error_or_audit_line_names_the_patient(
    patients: list[Path], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    audit = tmp_path / "audit.jsonl"
    with (
        SmallServer() as server,
        Client(server.target, audit=Audit(audit)) as client,
        Client(server.target, planes="axial", model="x", timeout=5) as other,
    ):
        for path in [*patients, patients[0].with_name(f"{SECRET} missing.nii")]:
            for ask in (client.identify, other.identify):
                try:
                    said.append(repr(ask(path)))
                except MriContrastError as error:
                    said.append(f"{error!r} {error}")
            said.append(repr(client.check_upload({"T1": path})))
    assert len(audit.read_text().splitlines()) == 10
    assert sum("UnreadableScan" in text for text in said) >= 5
    everything = "\n".join([*said, caplog.text, audit.read_text()])
    assert not PLANTED.search(everything.encode())


def test_the_process_prints_nothing_of_the_patient_even_with_all_logs_on(
    patients: list[Path],
) -> None:
    code = (
        "import logging, sys\n"
        "logging.basicConfig(level=0)\n"
        "from mri_contrast import Client, MriContrastError\n"
        "with Client(sys.argv[1]) as client:\n"
        "    for path in sys.stdin.read().splitlines():\n"
        "        try: client.identify(path)\n"
        "        except MriContrastError as error: print(error)\n"
        "print('done')\n"
    )
    with SmallServer() as server:
        done = subprocess.run(
            [sys.executable, "-W", "always", "-c", code, server.target],
            input="\n".join(map(str, patients)),
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.endswith("done\n")
    assert not PLANTED.search((done.stdout + done.stderr).encode())


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axial_planes_alone_are_sent_where_that_is_asked(
    tmp_path: Path, axis: int
) -> None:
    """Whatever axis of the file runs from feet to head."""
    affine = np.zeros((4, 4))
    for voxel_axis in range(3):
        affine[(2 + voxel_axis - axis) % 3, voxel_axis] = 1
    affine[3, 3] = 1
    path = tmp_path / "scan.nii"
    nibabel.save(nibabel.Nifti1Image(ball("T2"), affine), path)
    with SmallServer() as server, Client(server.target, planes="axial") as client:
        answer = client.identify(path)
    (request,) = server.requests
    sent = m.to_array(request.inputs["slices"])
    np.testing.assert_array_equal(sent, cut_planes(read_scan(path))[axis])
    assert answer.slices == 8


def test_axial_planes_of_dicom_are_found(dicom: Callable[..., bytes]) -> None:
    pixels = ball("T1")[20].astype(np.uint16)
    with SmallServer() as server, Client(server.target, planes="axial") as client:
        assert client.identify(io.BytesIO(dicom(pixels))).slices == 1
        sagittal = dicom(pixels, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
        with pytest.raises(UnreadableScan, match="axial plane is too coarse"):
            client.identify(sagittal)
        assert len(server.requests) == 1


def test_what_may_show_a_face_is_not_sent(png: Callable[..., bytes]) -> None:
    from PIL import Image

    picture = png(Image.fromarray(ball("T1")[20].astype(np.uint8)))
    sources: list[Any] = [ball("T1"), picture]
    with SmallServer() as server, Client(server.target, planes="axial") as client:
        for source in sources:
            with pytest.raises(UnreadableScan, match="does not say how it lies"):
                client.identify(source)
    assert server.requests == []
