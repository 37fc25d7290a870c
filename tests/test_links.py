"""Relative links in Markdown lead somewhere, and README.md leads to every page."""

import importlib.util
import os
import re
import unicodedata
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "docs" / "_site"
BUILT = {"target", "dist", "neurofreq-demo", "__pycache__"}
FENCE = re.compile(r"(?ms)^ *(`{3,}|~{3,}).*?^ *\1[`~]*$")
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
HEADING = re.compile(r"(?m)^#{1,6} +(.+?)(?: +#+)? *$")
# [text](target "title"), ![text](target), [name]: target, <img src="target">.
LINKS = (
    re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'][^)]*)?\s*\)"),
    re.compile(r"(?m)^ {0,3}\[[^\]]+\]: *<?([^\s>]+)"),
    re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)=[\"']([^\"']+)"),
)
OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:|//")  # https:, mailto:


def pages():
    """Return the Markdown files of the repository, without built and hidden folders."""
    found = []
    for folder, inner, files in os.walk(ROOT):
        inner[:] = [
            one
            for one in inner
            if one not in BUILT and (one == ".github" or not one.startswith("."))
        ]
        found += [Path(folder, one) for one in files if one.endswith(".md")]
    return sorted(found)


def links(text):
    """Return the targets of links to files and headings, outside of code."""
    text = CODE.sub("", COMMENT.sub("", FENCE.sub("", text)))
    found = (match for link in LINKS for match in link.findall(text))
    return [one for one in found if not OUTSIDE.match(one)]


def anchors(text):
    """Return the anchors that GitHub gives to the headings of a page."""
    count = Counter()
    names = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        kept = (
            one for one in shown if one in "-_ " or unicodedata.category(one)[0] in "LN"
        )
        name = "".join(kept).replace(" ", "-")
        names.add(f"{name}-{count[name]}" if count[name] else name)
        count[name] += 1
    return names


def target(page, link):
    """Return the file or folder of a link, and its anchor."""
    path, _, anchor = link.partition("#")
    path = unquote(path)
    start = ROOT if path.startswith("/") else page.parent
    return (start / path.lstrip("/")).resolve() if path else page, anchor


def fault(page, link):
    """Return why a link leads nowhere, or None."""
    path, anchor = target(page, link)
    if not path.is_relative_to(ROOT):
        return "is outside the repository"
    if not path.exists():
        return "does not exist"
    if (
        anchor
        and path.suffix == ".md"
        and anchor not in anchors(path.read_text("utf-8"))
    ):
        return "has no such heading"
    return None


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    faults = {link: fault(page, link) for link in links(page.read_text("utf-8"))}
    assert not {link: why for link, why in faults.items() if why}


def test_readme_leads_to_every_page_of_docs():
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        found = (target(page, link)[0] for link in links(page.read_text("utf-8")))
        waiting += [one for one in found if one.suffix == ".md" and one.is_file()]
    docs = {page for page in pages() if page.is_relative_to(ROOT / "docs")}
    assert len(docs) > 50
    assert not sorted(str(one.relative_to(ROOT)) for one in docs - seen)


def test_links_and_anchors_are_found():
    text = (
        "# One: *two*, `three`\n[a](x.md#one-two-three) ![b](y.png 'title')\n"
        "```\n# no heading\n[no](link.md)\n```\n"
        "`[no](link.md)` <!-- [no](link.md) -->\n"
        '[c](https://example.org) <img src="z.png">\n## Same\n## Same\n[d]: w.md\n'
    )
    assert links(text) == ["x.md#one-two-three", "y.png", "w.md", "z.png"]
    assert anchors(text) == {"one-two-three", "same", "same-1"}


def site(name):
    """Return a module of the documentation site; it needs no Sphinx."""
    spec = importlib.util.spec_from_file_location(name, SITE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_of_docs_is_in_the_navigation_once():
    docs = {page for page in pages() if page.is_relative_to(ROOT / "docs")}
    listed = Counter(
        (index.parent / f"{path}.md").resolve()
        for index in docs
        if index.name == "README.md"
        for _, entries in site("_navigation").parts(index.read_text("utf-8"))
        for _, path in entries
    )
    assert max(listed.values()) == 1
    outside = {ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"}
    assert {*listed} == docs - {ROOT / "docs" / "README.md"} | outside


def test_broken_links_of_the_site_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="top"></h1><a href="b.html#here"></a><a href="b.html#gone"></a>'
        '<a href="c.html"></a><a href="#top"></a><a href="https://example.org"></a>'
    )
    (tmp_path / "b.html").write_text('<p id="here"><img src="a%20b.png"></p>')
    (tmp_path / "a b.png").write_bytes(b"")
    found = site("check_links").faults(tmp_path)[1]
    assert sorted(one.partition(": ")[2] for one in found) == [
        "b.html#gone has no such anchor",
        "c.html does not exist",
    ]
