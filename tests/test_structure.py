"""Tests use public names, and private names of the package that they test alone."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
NAME = re.compile(r"neurofreq(?:\.\w+)+")
IMPORT = re.compile(r"from (neurofreq[\w.]*) import \(?([\w, ]+)")


def imports(node):
    """Yield the path of each import, the name that it binds, and that name's path."""
    if isinstance(node, ast.Import):
        for one in node.names:
            first = one.name.partition(".")[0]
            yield one.name, one.asname or first, one.name if one.asname else first
    elif isinstance(node, ast.ImportFrom):
        for one in node.names:
            path = f"{node.module}.{one.name}"
            yield path, one.asname or one.name, path


def dotted(node, known):
    """Return the path of an expression such as `nf.data.ImageSet`."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    start = known.get(node.id, "") if isinstance(node, ast.Name) else ""
    return ".".join([start, *reversed(parts)])


def in_text(text):
    """Yield the paths that a string names, such as a patched name or a program."""
    yield from NAME.findall(text)
    for module, names in IMPORT.findall(text):
        for name in names.split(","):
            yield f"{module}.{name.strip()}"


def paths(tree):
    """Yield the paths that a file names, with their lines."""
    nodes, known = list(ast.walk(tree)), {}
    for node in nodes:
        for path, name, meaning in imports(node):
            known[name] = meaning
            yield node.lineno, path
    for node in nodes:
        if isinstance(node, ast.Attribute):
            yield node.lineno, dotted(node, known)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            for path in in_text(node.value):
                yield node.lineno, path
        elif isinstance(node, ast.Call) and len(node.args) > 1:  # setattr(a, "b")
            thing, name = node.args[:2]
            yield node.lineno, f"{dotted(thing, known)}.{getattr(name, 'value', '')}"


def foreign(source, package):
    """Return the private names of other packages in a test of `package`."""
    found = set()
    for line, path in paths(ast.parse(source)):
        root, *parts = path.split(".")
        if root != "neurofreq" or not parts or parts[0] == "_neurofreq":
            continue
        is_private = any(re.match(r"_(?!_)", part) for part in parts)
        if is_private and parts[0].lstrip("_") != package:
            found.add((line, path))
    return [f"{line}: {path}" for line, path in sorted(found)]


def test_no_test_names_what_is_private_to_another_package():
    found = {}
    for file in sorted({*TESTS.rglob("*.py")} - {Path(__file__)}):
        place = file.relative_to(TESTS)
        if names := foreign(file.read_text("utf-8"), place.parts[0]):
            found[str(place)] = names
    assert not found


def test_every_way_to_a_private_name_is_seen():
    for source in (
        "import neurofreq.data._files",
        "from neurofreq.data import _files",
        "def inside():\n    from neurofreq.data._files import ImageFiles",
        "from neurofreq._shared import runtime",
        "import neurofreq as nf\nnf.data._files.ImageFiles",
        "from neurofreq import data as d\nd._files.ImageFiles",
        "from neurofreq.data import ImageSet\nImageSet._hidden",
        "from neurofreq.corruptions import grid\npatch.setattr(grid, '_PART', 1)",
        "patch.setattr('neurofreq.data._files._decoded', None)",
        "importlib.import_module('neurofreq.data._files')",
        "CODE = '''\nfrom neurofreq._shared.files import storage\n'''",
        "CODE = 'from neurofreq.data import _files'",
    ):
        assert foreign(source, "helpers"), source
    for source in (
        "from neurofreq import _neurofreq\n_neurofreq.version()",
        "import neurofreq as nf\nnf.__version__\nnf.data.ImageFiles",
        "from neurofreq.models import zoo\npatch.setattr(zoo, 'FOLDER', 1)",
        "from torch._dynamo import config",
    ):
        assert not foreign(source, "helpers"), source
    assert not foreign("from neurofreq.data import _files", "data")
    assert not foreign("from neurofreq._shared import runtime", "shared")
