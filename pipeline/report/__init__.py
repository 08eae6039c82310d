"""Pages and pictures for people: the report of an evaluation, one scan explained.

page.py      the report, from evaluation.json and `report.html.j2`
templates.py how pages are made; page.css: what all of them look like
figures.py   its diagrams, as SVG that follows the page's colours
gallery.py   the worst mistakes, with where the network looked
sheet.py     training slices after augmentation
pixels.py    heat over a slice, pictures inside a page
"""
