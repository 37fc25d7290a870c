"""Write the pages of the API reference: one for each public module.

The names come from `__all__`. A name of several modules is described in the module that
defines it; the others name it as an alias.
"""

import ast
import inspect
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import neurofreq

OUT = Path(__file__).resolve().parents[1] / "api"
KINDS = ("Functions", "Classes", "Exceptions", "Constants")
LONGEST = 300  # characters of a constant's value


def modules():
    """Return the public modules by name, the package itself first."""
    listed = (getattr(neurofreq, name) for name in neurofreq.__all__)
    found = [neurofreq, *(one for one in listed if inspect.ismodule(one))]
    return {one.__name__: one for one in found}


def names(module):
    """Return the public names of a module that are not modules."""
    listed = getattr(module, "__all__", ())
    return [one for one in listed if not inspect.ismodule(getattr(module, one))]


def kind(value):
    """Return the heading under which a name stands."""
    if inspect.isclass(value):
        return "Exceptions" if issubclass(value, Exception) else "Classes"
    return "Functions" if inspect.isroutine(value) else "Constants"


def source(module, name):
    """Return the module in whose text a name is defined, following imports."""
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(
            (one.asname or one.name) == name for one in node.names
        ):
            return source(import_module(node.module), name)
    return module


def home(module, name):
    """Return the public module that describes a name."""
    value = getattr(module, name)
    place = getattr(value, "__module__", None) if kind(value) != "Constants" else None
    place = place or source(module, name).__name__
    owner = ".".join(place.split(".")[:2])
    known = modules()
    if owner in known and name in names(known[owner]):
        return known[owner]
    return module


def described(module):
    """Return the names by kind that this module describes."""
    found = {}
    for name in names(module):
        if home(module, name) is module:
            found.setdefault(kind(getattr(module, name)), []).append(name)
    return {one: sorted(found[one], key=str.lower) for one in KINDS if one in found}


def aliases(module):
    """Return the names that another module describes, with that module."""
    found = {name: home(module, name) for name in names(module)}
    return {name: one for name, one in found.items() if one is not module}


def heading(text, line="="):
    """Return a heading in reStructuredText."""
    shown = text.replace("_", r"\_")
    return f"{shown}\n{line * len(shown)}\n"


def members(value):
    """Return the documented methods and properties that neurofreq gives a class."""
    found = []
    for name in dir(value):
        owner = next((one for one in value.__mro__ if name in vars(one)), None)
        if owner is None or not owner.__module__.startswith("neurofreq"):
            continue
        one = vars(owner)[name]
        is_method = isinstance(one, (property, classmethod, staticmethod)) or (
            inspect.isfunction(one)
        )
        is_public = name == "__call__" or not name.startswith("_")
        if is_method and is_public and inspect.getdoc(getattr(value, name)):
            found.append(name)
    return found


def description(module, name):
    """Return the directive that describes a function, class or exception."""
    value = getattr(module, name)
    if kind(value) == "Functions":
        return f".. autofunction:: {name}\n"
    directive = "autoclass" if kind(value) == "Classes" else "autoexception"
    listed = members(value)
    plain = [one for one in listed if one != "__call__"]
    lines = [f".. {directive}:: {name}"]
    if plain:
        lines.append(f"   :members: {', '.join(plain)}")
    if "__call__" in listed:
        lines.append("   :special-members: __call__")
    return "\n".join(lines) + "\n"


def comment(module, name):
    """Return the string below the definition of a constant, or nothing."""
    body = ast.parse(inspect.getsource(source(module, name))).body
    for node, below in pairwise(body):
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        is_it = any(getattr(one, "id", None) == name for one in targets)
        if is_it and isinstance(below, ast.Expr):
            return inspect.cleandoc(ast.literal_eval(below.value))
    return ""


def constant(module, name):
    """Return the description of a constant: its comment, and its value if short."""
    text = comment(module, name).splitlines()
    value = repr(getattr(module, name))
    lines = [f".. py:data:: {name}"]
    if len(value) <= LONGEST:
        lines.append(f"   :value: {value}")
    lines += ["", *(f"   {line}".rstrip() for line in text), ""]
    return "\n".join(lines)


def page(module):
    """Return the page of a module: docstring, tables of its names, descriptions."""
    full = module.__name__
    parts = [heading(full), f".. automodule:: {full}\n   :no-members:\n"]
    found = described(module)
    for one in found:
        if one != "Constants":
            rows = "\n".join(f"   {name}" for name in found[one])
            parts.append(f".. rubric:: {one}\n\n.. autosummary::\n\n{rows}\n")
    if known := aliases(module):
        parts.append(".. rubric:: Other names\n")
        rows = (
            f"- ``{full}.{name}`` is :py:obj:`{place.__name__}.{name}`"
            for name, place in sorted(known.items())
        )
        parts.append("\n".join(rows) + "\n")
    for one, names_ in found.items():
        write_one = constant if one == "Constants" else description
        parts.append(heading(one, "-"))
        parts += [write_one(module, name) for name in names_]
    return "\n".join(parts)


def pages():
    """Return the text of every page by its name."""
    return {full: page(module) for full, module in modules().items()}


def write(app, config):
    """Write all pages, and delete pages of names that are gone."""
    OUT.mkdir(exist_ok=True)
    found = pages()
    for path in OUT.glob("*.rst"):
        if path.stem not in found:
            path.unlink()
    for name, text in found.items():
        path = OUT / f"{name}.rst"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def setup(app):
    """Connect to Sphinx."""
    app.connect("config-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
