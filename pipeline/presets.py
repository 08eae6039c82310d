"""Named settings of a training: ours, and those of the study that this grew from.

    python -m pipeline.train --preset study-submitted
    make train PRESET=study-submitted

A preset may also be a file, as a search writes it: `pipeline.found`.
What of the study is known and what is reconstruction: docs/study.md.
"""

import argparse
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.augment import STILL, AugmentConfig
from pipeline.found import ENDING, load_preset
from pipeline.hyper import HyperParameters
from pipeline.settings import TrainConfig

NOISE: Final = 0.1
"""Standard deviation of the study's noise, on the 0-1 scale as it was meant."""

WRITTEN_NOISE: Final = NOISE / 255
"""As the study wrote it: drawn on 0-255 and divided with the slice, 0.000392."""

AUGMENTATION: Final = dataclasses.replace(
    STILL,
    zoom=0.2,
    # `shear_range=0.2`: radians when the study's base was written, degrees since.
    shear=math.degrees(0.2),
    quarter_turns=False,
    zoom_axes=True,
    noise_always=True,
)
"""The study's augmentation before its first improvement, as it was meant: without
noise. Its horizontal flip mirrors left and right in axial and coronal slices, front
and back in sagittal ones; neither changes the contrast."""

NOISY: Final = dataclasses.replace(AUGMENTATION, noise=NOISE)
"""The same after that improvement: noise on every slice."""


def network(*filters: int, dense: tuple[int, ...], pools: int = 1) -> HyperParameters:
    """Returns a network as the study built them.

    Blocks of convolution with a bias, ReLU and 2×2 pooling, then flattened; dropout of
    a half behind every dense layer; Keras' own first weights.

    Args:
        filters: Of each block.
        dense: Widths of the layers before the logits.
        pools: Poolings after the last convolution.
    """
    return HyperParameters(
        filters=filters,
        kernel=2,
        dense=dense,
        dropout=0.5,
        heads=False,
        smooth=1,
        first_kernel=3,
        first_stride=1,
        normalise=False,
        last_pools=pools,
        pooling="flatten",
        dropout_after=True,
        weights="glorot_uniform",
    )


BASE: Final = network(32, 64, dense=(256,))
"""What the five improvements were added to. Two blocks of 32 and 64 filters are the
study's words; the width of its one dense layer and the dropout behind it are
reconstruction, after the tutorial for three kinds of animals that it began with."""

TWO: Final = network(32, 64, 64, dense=(512, 256), pools=2)
"""The "only two" network: its listing has three convolutions and one pooling more."""

SUBMITTED: Final = network(32, 64, 64, 64, dense=(512, 256, 128))

MORE: Final = network(32, 64, 64, 64, 64, dense=(512, 256, 128, 64))


def study(hyper: HyperParameters, augment: AugmentConfig = NOISY) -> TrainConfig:
    """Returns the study's recipe for one of its networks.

    100 epochs of 90 × 32 slices, 30 × 32 to validate, Adam at 0.001, patience 10.
    """
    return TrainConfig(
        epochs=100,
        patience=10,
        batch_size=32,
        steps_per_epoch=90,
        validation_steps=30,
        learning_rate=1e-3,
        schedule="constant",
        weight_decay=0,
        hyper=hyper,
        augment=augment,
    )


RELEASE: Final = TrainConfig(
    epochs=4,
    batch_size=64,  # 9 % more slices a second than 32 on two cores
    learning_rate=3e-3,
    risk=0.01,  # a wrong label is worse than `unsure`
    hyper=HyperParameters(filters=(16, 32, 64, 128, 128)),
)
"""What `serving/released/` is trained with; its card tells data, hours and machine."""

SMALL: Final = TrainConfig(
    epochs=4,
    learning_rate=3e-3,
    hyper=HyperParameters(filters=(8, 16, 32, 64, 128), symmetric=True, first_kernel=4),
)
"""For many trainings that are compared: narrow, and the same to a slice however it is
turned."""

PRESETS: Final = {
    "default": TrainConfig(),
    "release": RELEASE,
    "small": SMALL,
    "study-base": study(BASE, AUGMENTATION),
    "study-two": study(TWO),
    "study-submitted": study(SUBMITTED),
    "study-more": study(MORE),
}


def preset(name: str) -> TrainConfig:
    """Returns the settings of a name, or those in a file.

    Args:
        name: One of `PRESETS`, or the path of a file that ends in `.json`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: There is no such name, or the file is no preset.
    """
    if name.endswith(ENDING):
        return load_preset(Path(name))
    try:
        return dataclasses.replace(PRESETS[name], preset=name)
    except KeyError:
        raise ValueError(
            f"there is no preset {name!r}; there are {', '.join(PRESETS)}, and files "
            f"that end in {ENDING}"
        ) from None


def chosen(words: Sequence[str]) -> TrainConfig:
    """Returns the settings of the preset that a command line names, or the default.

    Args:
        words: With `--preset NAME` or `--preset=NAME` among them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: There is no preset of that name, or in that file.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", nargs="?", default="default")
    found, _ = parser.parse_known_args(list(words))
    return preset(found.preset or "default")
