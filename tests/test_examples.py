"""The examples of all public functions and classes give the documented output."""

import doctest
import inspect
import io

import matplotlib
import pytest

import neurofreq as nf

# Exceptions of the extension: the functions that raise them describe them.
ERRORS = (nf.ModelError, nf.InternalError)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.FAIL_FAST


def public():
    """Return functions and classes by name, each once."""
    listed = (getattr(nf, name) for name in nf.__all__)
    modules = [nf, *filter(inspect.ismodule, listed)]
    found = {}
    for module in modules:
        for name in getattr(module, "__all__", ()):
            one = getattr(module, name)
            if (inspect.isfunction(one) or inspect.isclass(one)) and one not in ERRORS:
                found.setdefault(one, f"{module.__name__}.{name}")
    return {name: one for one, name in found.items()}


PUBLIC = public()


@pytest.mark.parametrize("name", PUBLIC)
def test_an_example_runs(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    # The examples of a class and of its methods; each imports what it needs.
    parts = doctest.DocTestFinder().find(PUBLIC[name], name, globs={})
    runner, output = doctest.DocTestRunner(optionflags=OPTIONS), io.StringIO()
    for part in parts:
        runner.run(part, out=output.write)
    assert runner.failures == 0, output.getvalue()


def test_everything_public_has_an_example_that_is_not_skipped():
    assert len(PUBLIC) > 100
    for name, one in PUBLIC.items():
        examples = doctest.DocTestParser().get_examples(one.__doc__)
        assert examples, f"{name} has no example"
        assert not any(doctest.SKIP in part.options for part in examples), name
