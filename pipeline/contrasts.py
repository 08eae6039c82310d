"""The classes, their order and their names on disk: nowhere else."""

from typing import Final

CLASSES: Final = ("T1", "T2", "FLAIR", "other")
"""Order of the network's outputs. It travels with shards and models by name."""

ACCEPTED: Final = ("T1", "T2", "FLAIR")
"""The classes that a slot of the platform can ask for."""

_ALIASES: Final = {
    "T1": ("t1", "t1w", "t1c", "t1ce", "t1gd", "t1post", "t1flair"),
    "T2": ("t2", "t2w"),
    "FLAIR": ("flair", "t2flair", "flairc"),
    "other": (
        *("other", "otro", "otros", "unknown", "none"),
        *("pd", "pdw", "t2star", "t2starw", "swi", "dwi", "adc", "bold", "angio", "ct"),
    ),
}
_WITH_GADOLINIUM: Final = ("t1c", "t1ce", "t1gd", "t1post")
"""Aliases of T1 after contrast agent. The others say nothing of it."""

_CONTRAST_BY_ALIAS: Final = {
    alias: contrast for contrast, aliases in _ALIASES.items() for alias in aliases
}


def contrast_of(name: str) -> str:
    """Returns the class that a folder, column or BIDS suffix names.

    Case, spaces, hyphens and underscores do not matter: `T1w`, `t1-w` and `T1_W`
    are `T1`. Post-contrast T1 and T1-FLAIR are `T1`.

    Args:
        name: The name found on disk, for example `flair` or `T1w`.

    Returns:
        One of `CLASSES`.

    Raises:
        ValueError: The name is of no known contrast.
    """
    try:
        return _CONTRAST_BY_ALIAS[_key(name)]
    except KeyError:
        known = ", ".join(sorted(_CONTRAST_BY_ALIAS))
        raise ValueError(
            f"{name!r} names no contrast; name the folder or label one of: {known}"
        ) from None


def names_gadolinium(name: str) -> bool:
    """Tells whether a folder, column or suffix names T1 after contrast agent."""
    return _key(name) in _WITH_GADOLINIUM


def _key(name: str) -> str:
    key = name.strip().lower().replace("*", "star")
    return "".join(letter for letter in key if letter.isalnum())
