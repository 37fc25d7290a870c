"""Every public function refuses bad input at once, by name, without side effects.

Each test is for one parameter of one public function (`hostile_calls`). It passes all
bad values of the parameter's kind (`hostile_values`), with good other arguments.
"""

from __future__ import annotations

import inspect
import time
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hostile_calls import CALLS, Call
from hostile_values import KINDS, Bad, frozen

import neurofreq as nf

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = 5.0  # most seconds of processor time until a bad value is refused

DOORS = [
    pytest.param(call, parameter, id=f"{call.name}-{parameter}")
    for call in CALLS
    for parameter in call.kinds
]


@pytest.fixture(autouse=True)
def left_alone():
    """Ignore warnings of bad values, and restore the number of threads."""
    before = nf.num_threads()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    nf.set_num_threads(before)


def fault(call: Call, parameter: str, bad: Bad, folder: Path) -> str | None:
    """Return the fault in how a bad value is refused, or None."""
    arguments = call.good(folder)
    arguments[parameter] = bad.make(arguments[parameter])
    before, state = frozen(arguments), torch.random.get_rng_state()
    started = time.process_time()
    try:
        call.function(**arguments)
    except Exception as caught:
        error = caught
    except BaseException as caught:  # such as PanicException, which users cannot catch
        return f"{type(caught).__name__}, which is no Exception: {caught}"
    else:
        return "taken"
    spent, text = time.process_time() - started, str(error)
    name = call.words.get(parameter, parameter)
    for is_wrong, problem in (
        (not isinstance(error, bad.error), f"{type(error).__name__}"),
        (name not in text, f"{type(error).__name__} without {name!r}"),
        (bad.word not in text, f"{type(error).__name__} without {bad.word!r}"),
        ("\n" in text or len(text) > 500, "long text"),
        (spent > LONGEST, f"{spent:.1f} s"),
        (frozen(arguments) != before, "changed the caller's values"),
        (not torch.equal(torch.random.get_rng_state(), state), "drew from torch"),
        (any(path.is_file() for path in folder.rglob("*")), "wrote a file"),
    ):
        if is_wrong:
            return f"{problem}: {text[:150]!r}"
    return None


@pytest.mark.parametrize(("call", "parameter"), DOORS)
def test_bad_values_are_refused_by_name(call: Call, parameter: str, tmp_path, counts):
    rows, found = KINDS[call.kinds[parameter]], {}
    for number, bad in enumerate(rows):
        folder = tmp_path / str(number)
        folder.mkdir()
        found[bad.name] = fault(call, parameter, bad, folder)
    faults = [f"{name}: {problem}" for name, problem in found.items() if problem]
    counts["bad values"] += len(rows)
    counts["refused by name"] += len(rows) - len(faults)
    assert not faults, "\n".join([f"{len(faults)} of {len(rows)}", *faults])


def is_absent(call: Call, arguments: dict[str, Any]) -> bool:
    return any("absent" in str(value) for value in arguments.values())


GOOD = [pytest.param(call, id=call.name) for call in CALLS]


@pytest.mark.parametrize("call", GOOD)
def test_the_same_call_without_the_bad_value_works(call: Call, tmp_path):
    """Otherwise a bad value could be refused for another reason."""
    arguments = call.good(tmp_path)
    assert set(call.kinds) <= set(arguments)
    if is_absent(call, arguments):
        with pytest.raises(FileNotFoundError, match="absent"):
            call.function(**arguments)
        return
    call.function(**arguments)


# Settings for folders: they are read after the folder is found.
UNTRIED = {"split", "n", "resize", "crop", "options", "kw"}
SCALARS = ("int", "float", "bool", "int | None", "float | None", "bool | None")
MODULES = {"": nf} | {
    f"{name}.": module
    for name in nf.__all__
    if inspect.ismodule(module := getattr(nf, name)) and name != "demo"
}


def test_every_number_and_flag_of_a_public_function_is_tried():
    tried = Counter()
    for call in CALLS:
        name = call.name.split(",")[0].rpartition(".")[2]
        tried.update((name, parameter) for parameter in call.kinds)
    untried = [
        f"{prefix}{name}({parameter.name})"
        for prefix, module in MODULES.items()
        for name in getattr(module, "__all__", dir(module))
        if inspect.isfunction(function := getattr(module, name))
        and function.__module__.startswith("neurofreq")
        for parameter in inspect.signature(function).parameters.values()
        if parameter.annotation in SCALARS
        and parameter.name not in UNTRIED
        and not tried[name, parameter.name]
    ]
    assert not untried
