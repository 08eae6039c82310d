"""Reads FreeSurfer's MGH and MGZ files."""

from __future__ import annotations

import math

from mri_contrast._files import Entry
from mri_contrast._kinds import unzipped_head
from mri_contrast._nifti import import_nibabel, senseless_header
from mri_contrast._scan import Scan
from mri_contrast._unpack import read_span
from mri_contrast._voxels import as_scan, as_voxels, first_volume, native

# The header is 284 bytes long, whatever it holds; what follows the voxels is not read.
_START = 284


def read_mgh(entry: Entry) -> Scan:
    """Reads one file, packed or not.

    Returns:
        The first frame, in the file's dtype.

    Raises:
        UnreadableScan: nibabel missing, header senseless, file cut short or damaged.
    """
    nibabel = import_nibabel()
    with senseless_header(nibabel):
        head = unzipped_head(entry.head())[:_START]
        header = nibabel.MGHImage.header_class(head, check=False)
        shape = tuple(int(n) for n in header["dims"])
        dtype = header.get_data_dtype()
        i, j, k = (float(mm) for mm in header["delta"])
    first = first_volume(shape, dtype)
    content = read_span(entry, _START, math.prod(first) * dtype.itemsize)
    voxels = native(as_voxels(content, dtype, first))
    return as_scan(voxels, (i, j, k), 4 if shape[3] > 1 else 3, shape[3])
