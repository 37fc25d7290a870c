"""Make the navigation from the lists of links in docs/README.md and docs/*/README.md.

Each heading of such a page becomes a part of the navigation, and each list item that
begins with a link to a page becomes an entry.
"""

import re
from pathlib import PurePosixPath

ITEM = re.compile(r"(?m)^- \[([^\]]+)\]\(([^)#\s]+)\.md\)")
HEADING = re.compile(r"(?m)^## +(.+)$")


def parts(text):
    """Return the heading and the (title, path without suffix) entries of each part."""
    heads = [("", 0), *((one[1], one.end()) for one in HEADING.finditer(text))]
    ends = [*(one.start() for one in HEADING.finditer(text)), len(text)]
    found = (
        (head, ITEM.findall(text[start:end]))
        for (head, start), end in zip(heads, ends, strict=True)
    )
    return [(head, entries) for head, entries in found if entries]


def toctree(caption, entries):
    """Return a hidden toctree in MyST."""
    lines = [f"{title.replace('`', '')} <{path}>" for title, path in entries]
    head = ["```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join([*head, "", *lines, "```"])


def add(app, docname, source):
    """Append the toctrees of an index page."""
    place = PurePosixPath(docname)
    if place.name == "README" and place.parts[0] == "docs":
        trees = (toctree(head, entries) for head, entries in parts(source[0]))
        source[0] += "\n\n" + "\n\n".join(trees) + "\n"


def setup(app):
    """Connect to Sphinx."""
    app.connect("source-read", add)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
