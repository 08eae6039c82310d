"""A Celery task that identifies a stored upload, and tries again where no server is.

pip install "mri-contrast[nifti,dicom]" celery
MRI_SERVER=localhost:8500 celery -A celery_task worker
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from mri_contrast import (
    Audit,
    Client,
    DeadlineExceeded,
    ServerUnavailable,
    UnreadableScan,
)

app = Celery("uploads", broker=os.environ.get("BROKER", "memory://"))
# Celery forks its workers: the connection is made at a worker's first call.
client = Client(
    os.environ.get("MRI_SERVER", "localhost:8500"),
    timeout=10,
    audit=Audit(os.environ.get("MRI_AUDIT", "audit.jsonl")),
)


@app.task(
    autoretry_for=(ServerUnavailable, DeadlineExceeded),
    retry_backoff=5,
    max_retries=8,
    acks_late=True,
)
def identify(path: str, expected: str) -> dict[str, Any]:
    """What the job table keeps of an upload; no name and no header in it."""
    try:
        check = client.check(path, expected)
    except UnreadableScan as error:
        return {"verdict": "not usable", "reason": str(error)}
    answer = check.answer
    return {
        "verdict": check.verdict,
        "looks_like": check.looks_like,
        "probability": check.probability,
        "conflict": list(check.conflict),
        "model_version": answer.model_version if answer else None,
    }
