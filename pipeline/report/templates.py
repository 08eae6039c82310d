"""How pages are made from templates, and the style that all of them share."""

from collections.abc import Sequence
from pathlib import Path

import jinja2

_SHARED = Path(__file__).parent


def environment(*folders: Path) -> jinja2.Environment:
    """Returns what renders the templates of some folders.

    They can include `page.css`, the style of every page, and write numbers by the
    filters `share`, `ends` and `figure`. Values are escaped; a name that is not given
    is an error.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, _SHARED]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"share": _share, "ends": _ends, "figure": _figure}
    return made


def _share(value: float | None, digits: int = 1) -> str:
    """A share in per cent; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _ends(interval: Sequence[float] | None, digits: int = 1) -> str:
    if interval is None:
        return "–"
    low, high = interval
    return f"{100 * low:.{digits}f}–{100 * high:.{digits}f} %"


def _figure(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
