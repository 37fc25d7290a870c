"""The API reference describes every public name once, and docs/api.md lists it."""

import importlib.util
import inspect
import re
from pathlib import Path

import neurofreq as nf

DOCS = Path(__file__).resolve().parents[1] / "docs"
DIRECTIVE = re.compile(
    r"(?m)^\.\. (?:autofunction|autoclass|autoexception|py:data):: (\S+)"
)
ALIAS = re.compile(r"(?m)^- ``(\S+)`` is :py:obj:`(\S+)`")


def loaded():
    """Return the module that writes the pages; it needs no Sphinx to be imported."""
    path = DOCS / "_site" / "_reference.py"
    spec = importlib.util.spec_from_file_location("_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = loaded()
PAGES = REFERENCE.pages()


def public():
    """Return the full public names, without modules."""
    listed = (getattr(nf, name) for name in nf.__all__)
    modules = [nf, *filter(inspect.ismodule, listed)]
    return {
        f"{module.__name__}.{name}"
        for module in modules
        for name in getattr(module, "__all__", ())
        if not inspect.ismodule(getattr(module, name))
    }


def test_every_public_name_is_described_once_or_is_an_alias():
    described = [
        f"{page}.{name}"
        for page, text in PAGES.items()
        for name in DIRECTIVE.findall(text)
    ]
    aliases = dict(pair for text in PAGES.values() for pair in ALIAS.findall(text))
    assert len(described) == len(set(described)) > 120
    assert public() == {*described, *aliases}
    assert not {*described} & {*aliases}
    assert {*aliases.values()} <= {*described}


def test_an_alias_is_the_same_object():
    for text in PAGES.values():
        for alias, name in ALIAS.findall(text):
            found = []
            for full in (alias, name):
                value = nf
                for part in full.split(".")[1:]:
                    value = getattr(value, part)
                found.append(value)
            assert found[0] is found[1], alias


def test_every_constant_is_explained():
    for module in REFERENCE.modules().values():
        for name in REFERENCE.described(module).get("Constants", ()):
            if name != "__version__":
                assert REFERENCE.comment(module, name), f"{module.__name__}.{name}"


def test_the_list_of_modules_is_complete():
    listed = re.findall(r"(?m)^api/(\S+)$", (DOCS / "api.md").read_text("utf-8"))
    assert sorted(listed) == sorted(PAGES)


def test_methods_of_a_class_are_listed():
    page = PAGES["neurofreq.regularize"]
    start = page.index("autoclass:: SimilarityRegularizer")
    options = page[start:].split("\n")[1]
    assert {"loss", "joint"} <= set(options.removeprefix("   :members: ").split(", "))
    assert ":special-members: __call__" in PAGES["neurofreq.attacks"]
