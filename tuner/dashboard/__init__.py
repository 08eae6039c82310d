"""The page of a search: one file that needs no network, made from the trial files.

page.py         writes it, from `dashboard.html.j2`, `dashboard.css` and `web/*.js`
content.py      what it shows, as JSON that stands in the page
importance.py   which hyper-parameters matter
server.py       shows it on loopback; __main__.py: the command, with TensorBoard
"""

from tuner.dashboard.page import write_page

__all__ = ["write_page"]
