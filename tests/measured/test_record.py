"""The typed record of what was measured: what it holds, lacks and refuses."""

import numpy as np
import pytest
from helpers.made_up import FIFTEEN, attack, model

from neurofreq.measured import Clean, Measured, NotMeasuredError
from neurofreq.measured.record import from_arrays, to_arrays


def test_a_result_is_stored_and_read_as_arrays():
    kept = to_arrays(attack()) | {"of a later release": np.zeros(1)}
    read = from_arrays("attack", kept)
    for name, values in vars(attack()).items():
        np.testing.assert_array_equal(getattr(read, name), values)
    del kept["radial"]
    with pytest.raises(ValueError, match=r"attack: got .*, expected also radial"):
        from_arrays("attack", kept)


def test_a_measurement_that_is_missing_is_named():
    part = model("mine").only(["clean", "corruption"])
    assert part.has("clean", "corruption/fog")
    assert not part.has("clean", "attack")
    for ask in (lambda one: one.attack, lambda one: one.hybrid):
        with pytest.raises(NotMeasuredError, match="got mine without"):
            ask(part)
    with pytest.raises(NotMeasuredError, match="without corruption/none"):
        part.corrupted(["fog", "none"])


def test_clean_accuracy_is_over_the_corrupted_images():
    found = model().corrupted(FIFTEEN)
    assert found.correct.shape == (15, 5, 20)
    assert found.clean.shape == (20,)
    assert Measured("one", "", {}).has()


def test_nothing_to_measure_is_refused():
    with pytest.raises(ValueError, match="names: got none"):
        model().corrupted([])
    with pytest.raises(ValueError, match="correct: got no images"):
        Clean(np.zeros(0, bool)).accuracy()
