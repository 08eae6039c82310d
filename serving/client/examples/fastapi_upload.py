"""An upload handler of FastAPI that refuses scans in the wrong slot.

pip install "mri-contrast[nifti,dicom]" fastapi uvicorn python-multipart
MRI_SERVER=localhost:8500 uvicorn fastapi_upload:app

curl -F t1=@a.nii.gz -F flair=@b.nii.gz localhost:8000/uploads
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, UploadFile

from mri_contrast import (
    AsyncClient,
    DeadlineExceeded,
    MriContrastError,
    ServerUnavailable,
)

# One for the whole application: connections are reused.
client = AsyncClient(os.environ.get("MRI_SERVER", "localhost:8500"), timeout=5)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Closes the connection when the application ends."""
    yield
    await client.close()


app = FastAPI(lifespan=lifespan)


@app.post("/uploads")
async def upload(t1: UploadFile, flair: UploadFile) -> dict[str, Any]:
    """Takes both scans, or says which of them is wrong and where it belongs."""
    try:
        found = await client.check_upload({"T1": t1.file, "FLAIR": flair.file})
    except (ServerUnavailable, DeadlineExceeded) as error:
        # The check is a courtesy: take the upload and check it again later.
        return {"accepted": True, "checked": False, "reason": type(error).__name__}
    except MriContrastError as error:
        raise HTTPException(500, "the check is misconfigured") from error
    if not found.ok:
        slots = {slot: str(check) for slot, check in found.slots.items()}
        raise HTTPException(422, {"slots": slots, "swapped": found.swapped})
    return {"accepted": True, "checked": True}
