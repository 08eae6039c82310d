"""The peers, at the best settings that their documentation names.

Each starts afresh and yields the size of endless shuffled batches, whose slices are
uint8 arrays with labels. `workers` is the number of processes beside the caller's.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from bench.peers.raw import PIXELS, SIDE, Forms

SHUFFLE: Final = 740
"""Records that wait in webdataset's buffer: as many as in our input's 16 MiB."""


class Loader(Protocol):
    """Starts a peer."""

    def __call__(self, folder: Path, *, batch: int, workers: int) -> Iterator[int]:
        """Reads the forms in `folder`."""


def grain(folder: Path, *, batch: int, workers: int) -> Iterator[int]:
    """Grain on ArrayRecord, shuffled by index as a whole."""
    import grain as library

    files = sorted(map(str, Forms(folder).arrayrecord.iterdir()))
    # Threads and batches ahead: the fastest of those tried on two cores, where grain's
    # own 16 threads cost a quarter of its speed.
    reading = (1, 8) if workers else (0, 0)
    records = (
        library.MapDataset.source(library.sources.ArrayRecordDataSource(files))
        .shuffle(seed=0)
        .repeat()
        .batch(batch, drop_remainder=True, batch_fn=_arrays)
        .to_iter_dataset(library.ReadOptions(*reading))
    )
    if workers:
        records = records.mp_prefetch(library.MultiprocessingOptions(workers))
    for images, _ in records:
        yield len(images)


def webdataset(folder: Path, *, batch: int, workers: int) -> Iterator[int]:
    """Webdataset on tar files, shuffled by file and in a buffer."""
    import torch
    import webdataset as library

    def tensors(records: Sequence[tuple[bytes]]) -> tuple[Any, Any]:
        # Tensors go from process to process in shared memory, arrays through a pipe.
        images, labels = _arrays([record for (record,) in records])
        return torch.from_numpy(images), torch.from_numpy(labels)

    files = sorted(map(str, Forms(folder).tar.iterdir()))
    records = (
        library.WebDataset(files, shardshuffle=len(files), seed=0, empty_check=False)
        .repeat()
        .shuffle(SHUFFLE)
        .to_tuple("bin")
        .batched(batch, collation_fn=tensors, partial=False)
    )
    for images, _ in library.WebLoader(records, batch_size=None, num_workers=workers):
        yield len(images)


def torch_png(folder: Path, *, batch: int, workers: int) -> Iterator[int]:
    """PyTorch's DataLoader on PNG files, decoded by Pillow and shuffled as a whole."""
    import torch

    loader = torch.utils.data.DataLoader(
        _Pictures(folder),
        batch_size=batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    while True:
        for images, _ in loader:
            yield len(images)


def memmap(folder: Path, *, batch: int, workers: int) -> Iterator[int]:
    """Numpy on one mapped file of all slices, shuffled as a whole: the upper bound."""
    if workers:
        raise ValueError(f"a mapped file is read without workers, got {workers}")
    images, labels = Forms(folder).read()
    random = np.random.default_rng(0)
    while True:
        order = random.permutation(len(labels))
        for first in range(0, len(order) - batch + 1, batch):
            chosen = order[first : first + batch]
            yield len((images[chosen], labels[chosen])[0])


LOADERS: Final[Mapping[str, Loader]] = {
    "grain": grain,
    "webdataset": webdataset,
    "torch_png": torch_png,
    "memmap": memmap,
}


def starter(
    name: str, folder: Path, *, batch: int, workers: int
) -> Callable[[], Iterator[int]]:
    """Binds a peer to its data."""
    return lambda: LOADERS[name](folder, batch=batch, workers=workers)


class _Pictures:
    """A data set of PyTorch's kind: files by number."""

    def __init__(self, folder: Path) -> None:
        self._files = sorted(map(str, folder.glob("*/*.png")))
        classes = sorted({Path(file).parent.name for file in self._files})
        self._labels = [classes.index(Path(file).parent.name) for file in self._files]

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        from PIL import Image

        with Image.open(self._files[index]) as picture:
            return np.asarray(picture), self._labels[index]


def _arrays(records: Sequence[bytes]) -> tuple[Any, Any]:
    """(batch, 150, 150) uint8 and (batch,) uint8 of label bytes and pixels."""
    joined = np.frombuffer(bytearray(b"".join(records)), np.uint8)
    joined = joined.reshape(-1, 1 + PIXELS)
    images = np.ascontiguousarray(joined[:, 1:]).reshape(-1, SIDE, SIDE)
    assert math.prod(images.shape) == len(records) * PIXELS
    return images, joined[:, 0].copy()
