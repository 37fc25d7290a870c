"""Check the built site: every relative link and its anchor lead somewhere.

Usage: python docs/_site/check_links.py FOLDER
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Collect the anchors and the links of a page."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links = set(), set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        """Read the attributes of an element."""
        known = dict(attrs)
        self.anchors |= {known.get("id"), known.get("name")}
        self.links |= {known.get("href"), known.get("src")} - {None, "", "#"}


def faults(folder):
    """Return the links that lead nowhere, with their pages."""
    pages = {path.resolve(): Page(path) for path in folder.rglob("*.html")}
    found = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            place = (
                (path.parent / unquote(parts.path)).resolve() if parts.path else path
            )
            anchor = unquote(parts.fragment)
            if not place.exists():
                found.append(f"{path}: {link} does not exist")
            elif anchor and place in pages and anchor not in pages[place].anchors:
                found.append(f"{path}: {link} has no such anchor")
    return pages, found


if __name__ == "__main__":
    pages, found = faults(Path(sys.argv[1]))
    print(f"{len(pages)} pages, {len(found)} links that lead nowhere", *found, sep="\n")
    sys.exit(bool(found) or not pages)
