"""Every module lists exactly the names of its `__all__`."""

import inspect

import pytest

import neurofreq as nf

MODULES = [name for name in nf.__all__ if inspect.ismodule(getattr(nf, name))]


def test_the_package_lists_what_it_offers():
    assert dir(nf) == sorted(nf.__all__)
    assert len(MODULES) > 10


@pytest.mark.parametrize("name", sorted({*MODULES} - {"demo"}))
def test_a_module_lists_what_it_offers(name):
    module = getattr(nf, name)
    assert dir(module) == sorted(module.__all__)
    for public in module.__all__:
        assert not inspect.ismodule(getattr(module, public)), public


def test_names_of_corruptions_are_reached_from_data_too():
    assert nf.data.write_corrupted is nf.corruptions.write_corrupted
    assert nf.data.CorruptedFolder is nf.corruptions.CorruptedFolder
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = nf.data.nothing
