"""A form field of Django that refuses scans in the wrong slot.

pip install "mri-contrast[nifti,dicom]" django

class JobForm(forms.Form):
    t1 = ScanField(expected="T1")
    flair = ScanField(expected="FLAIR", required=False)
"""

from __future__ import annotations

import os
from typing import Any

from django.core.exceptions import ValidationError
from django.forms import FileField

from mri_contrast import Client, MriContrastError, UnreadableScan

# Made when the module is loaded and connected at the first call: workers that are
# forked later have a connection each.
client = Client(os.environ.get("MRI_SERVER", "localhost:8500"), timeout=5)


class ScanField(FileField):
    """Takes what is clearly the expected contrast, and what nobody can tell."""

    def __init__(self, *, expected: str, **given: Any) -> None:
        super().__init__(**given)
        self.expected = expected

    def clean(self, data: Any, initial: Any = None) -> Any:
        """Raises ValidationError of a scan that is clearly something else."""
        file = super().clean(data, initial)
        if not file or file is initial:
            return file
        try:
            check = client.check(file, expected=self.expected)
        except UnreadableScan as error:
            raise ValidationError(f"This scan cannot be used: {error}") from error
        except MriContrastError:  # no server: do not turn people away for that
            return file
        finally:
            file.seek(0)
        if check.verdict in ("wrong slot", "not usable"):
            raise ValidationError(f"Expected {self.expected}, but: {check}")
        return file
