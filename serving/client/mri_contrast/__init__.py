"""Asks an mri-contrast server which contrast a brain MRI scan has.

from mri_contrast import Client

with Client("localhost:8500") as client:
    answer = client.identify("upload.nii.gz")
print(answer.contrast, answer.probability)
"""

from mri_contrast.aio import AsyncClient
from mri_contrast.answers import Answer, Result, VersionStatus
from mri_contrast.audit import Audit
from mri_contrast.checks import Check, UploadCheck
from mri_contrast.client import Client
from mri_contrast.errors import (
    ClientTooOld,
    DeadlineExceeded,
    ModelNotFound,
    MriContrastError,
    RejectedByServer,
    ServerUnavailable,
    UnreadableScan,
)
from mri_contrast.scans import Scan, read_scan, read_series
from mri_contrast.transport import Tls, Transport
from mri_contrast.verdict import Verdict, combine

__all__ = [
    "Answer",
    "AsyncClient",
    "Audit",
    "Check",
    "Client",
    "ClientTooOld",
    "DeadlineExceeded",
    "ModelNotFound",
    "MriContrastError",
    "RejectedByServer",
    "Result",
    "Scan",
    "ServerUnavailable",
    "Tls",
    "Transport",
    "UnreadableScan",
    "UploadCheck",
    "Verdict",
    "VersionStatus",
    "combine",
    "read_scan",
    "read_series",
]
__version__ = "0.1.0"
