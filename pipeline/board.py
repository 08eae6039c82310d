"""What TensorBoard shows of a training: scalars, augmented slices, the graph."""

from pathlib import Path
from typing import Any, Final

import keras
import tensorflow as tf

from pipeline.scoring import forward_pass

PICTURES: Final = 16
"""Slices shown before and after augmentation."""


class Board(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Writes the events of a run."""

    def __init__(
        self, folder: Path, before: tf.Tensor, after: tf.Tensor, first_epoch: int
    ) -> None:
        """Prepares to write.

        Args:
            folder: Where the events go.
            before: (n, side, side, 1) float32 in [0, 1]: slices as they are stored.
            after: The same slices as the network sees them.
            first_epoch: Pictures and graph are written where it is 1; a training that
                goes on has them.
        """
        super().__init__()
        self._folder, self._first = folder, first_epoch
        self._pictures = tf.concat([before[:PICTURES], after[:PICTURES]], axis=2)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Writes the graph, and slices beside what augmentation made of them."""
        self._writer = tf.summary.create_file_writer(str(self._folder))
        if self._first > 1:
            return
        with self._writer.as_default(step=0):
            tf.summary.graph(forward_pass(self.model).get_concrete_function().graph)
            tf.summary.image("augmentation", self._pictures, max_outputs=PICTURES)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the scalars of an epoch, counted from 1."""
        with self._writer.as_default(step=epoch):
            for name, value in (logs or {}).items():
                tf.summary.scalar(name, value)
        self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the file."""
        self._writer.close()
