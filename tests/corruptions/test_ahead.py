"""Batches that a thread makes ahead: order, errors, and the end."""

import pytest

from neurofreq.corruptions._ahead import ahead


def test_ahead_keeps_the_order_and_stops_when_closed():
    assert list(ahead(lambda x: x * x, range(20))) == [x * x for x in range(20)]
    made = []
    stream = ahead(lambda x: made.append(x) or x, range(1000), depth=2)
    assert next(stream) == 0
    stream.close()
    assert len(made) <= 4

    def failing(x):
        if x == 3:
            raise ValueError("three")
        return x

    stream = ahead(failing, range(10))
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(stream)
