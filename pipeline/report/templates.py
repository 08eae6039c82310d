"""How pages are made from templates, and the style that all of them share."""

from pathlib import Path

import jinja2

_SHARED = Path(__file__).parent


def environment(*folders: Path) -> jinja2.Environment:
    """Returns what renders the templates of some folders.

    They can include `page.css`, the style of every page. Values are escaped; a name
    that is not given is an error.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, _SHARED]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
