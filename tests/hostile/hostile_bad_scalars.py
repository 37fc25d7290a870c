"""Bad numbers, seeds, flags, words, paths, networks, and sequences of these."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from hostile_bad import (
    EITHER,
    MODEL,
    TYPE,
    VALUE,
    Bad,
    always,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NETWORK = (
    Bad("none", always(None)),
    Bad("number", always(3)),
    Bad("string", always("resnet18")),
    Bad("class", always(torch.nn.Flatten), TYPE),
    Bad("state", always({"weight": torch.zeros(2)}), EITHER),
    Bad("tensor", always(torch.zeros(2))),
)


def answering(change: Callable[[torch.Tensor], Any]) -> Callable[[Any], Any]:
    """Return a function that wraps a network and changes its outputs."""

    class Changed(torch.nn.Module):
        def __init__(self, network: Any) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: torch.Tensor) -> Any:
            return change(self.network(images))

    return Changed


ANSWERS = (
    Bad("answers nothing", answering(lambda logits: None), MODEL),
    Bad("answers a list", answering(lambda logits: [logits]), MODEL),
    Bad("answers an array", answering(lambda logits: logits.detach().numpy()), MODEL),
    Bad("answers classes", answering(lambda logits: logits.argmax(1)), MODEL),
    Bad("answers integers", answering(lambda logits: logits.long()), MODEL),
    Bad("answers complex", answering(lambda logits: logits + 0j), MODEL),
    Bad("answers too few", answering(lambda logits: logits[:-1]), MODEL),
    Bad("answers one for all", answering(lambda logits: logits.mean(0)), MODEL),
    Bad("answers four axes", answering(lambda logits: logits[..., None, None]), MODEL),
    Bad("answers no class", answering(lambda logits: logits[:, :0]), MODEL),
    Bad("answers two classes", answering(lambda logits: logits[:, :2]), MODEL),
)
FINITE = (
    Bad("answers NaN", answering(lambda logits: logits * torch.nan), MODEL),
    Bad("answers infinity", answering(lambda logits: logits / 0.0), MODEL),
)

NOT_WHOLE = (
    Bad("string", always("3"), TYPE),
    Bad("float", always(3.0), TYPE),
    Bad("half", always(2.5), TYPE),
    Bad("NaN", always(float("nan")), TYPE),
    Bad("bool", always(True), TYPE),
    Bad("NumPy bool", always(np.True_), TYPE),
    Bad("list", always([3]), TYPE),
    Bad("array", always(np.array([1, 2])), TYPE),
    Bad("array of one", always(np.array([3])), TYPE),
    Bad("complex", always(3 + 0j), TYPE),
    Bad("NumPy float", always(np.float64(3.0)), TYPE),
    Bad("float tensor", always(torch.tensor(3.0)), TYPE),
    Bad("tensor on meta", always(torch.tensor(3, device="meta")), TYPE),
    Bad("masked", always(np.ma.masked), TYPE),
    Bad("decimal", always(decimal.Decimal(3)), TYPE),
    Bad("date", always(np.datetime64(3, "s")), TYPE),
    Bad("bytes", always(b"3"), TYPE),
)
NONE = Bad("none", always(None))
COUNT = (
    *NOT_WHOLE,
    Bad("negative", always(-1), VALUE, "-1"),
    Bad("beyond int64", always(2**63), VALUE),
    Bad("beyond uint64", always(np.uint64(2**64 - 1)), VALUE),
    Bad("huge", always(10**30), VALUE),
    Bad("endless", always(10**5000), VALUE),
)
ZERO = Bad("zero", always(0), VALUE, "0")
SEED = (
    *NOT_WHOLE,
    Bad("negative", always(-1), VALUE, "-1"),
    Bad("too large", always(2**64), VALUE),
    Bad("endless", always(10**5000), VALUE),
)
NUMBER = (
    Bad("string", always("0.5"), TYPE),
    Bad("bool", always(True), TYPE),
    Bad("NumPy bool", always(np.True_), TYPE),
    Bad("list", always([0.5]), TYPE),
    Bad("array of two", always(np.array([0.5, 0.5])), TYPE),
    Bad("complex", always(0.5 + 0j), TYPE),
    Bad("complex tensor", always(torch.tensor(0.5 + 0j)), TYPE),
    Bad("tensor on meta", always(torch.tensor(0.5, device="meta")), TYPE),
    Bad("masked", always(np.ma.masked), TYPE),
    Bad("date", always(np.datetime64(3, "s")), TYPE),
    Bad("NaN", always(float("nan")), VALUE, "nan"),
    Bad("infinity", always(float("inf")), VALUE, "inf"),
    Bad("minus infinity", always(float("-inf")), VALUE, "-inf"),
    Bad("endless", always(10**5000), EITHER),
    Bad("negative", always(-0.5), VALUE, "-0.5"),
)
FLAG = (
    Bad("False as a word", always("False"), TYPE),
    Bad("yes", always("yes"), TYPE),
    Bad("empty word", always(""), TYPE),
    Bad("zero", always(0), TYPE),
    Bad("one", always(1), TYPE),
    Bad("none", always(None), TYPE),
    Bad("list", always([]), TYPE),
    Bad("array", always(np.array([True, False])), TYPE),
    Bad("float", always(1.0), TYPE),
    Bad("number tensor", always(torch.tensor(1)), TYPE),
)
WORD = (
    Bad("another", always("nonsense"), VALUE, "nonsense"),
    Bad("empty", always(""), VALUE),
    Bad("number", always(3)),
    Bad("bytes", lambda good: str(good).encode()),
    Bad("list", lambda good: [good]),
    Bad("array", lambda good: np.array([good, good])),
    Bad("flag", always(True)),
)
TEXT = (
    Bad("number", always(3), TYPE),
    Bad("bytes", always(b"name"), TYPE),
    Bad("list", always([]), TYPE),
    Bad("flag", always(True), TYPE),
)
PATH = (
    Bad("number", always(3), TYPE),
    Bad("flag", always(True), TYPE),
    Bad("bytes", lambda good: str(good).encode(), TYPE),
    Bad("list", lambda good: [good], TYPE),
    Bad("empty", always(""), VALUE),
    Bad("zero byte", lambda good: f"{good}\0", VALUE),
)
DEVICE = (
    Bad("another", always("gpu"), VALUE),
    Bad("empty", always(""), VALUE),
    Bad("not there", always("cuda:99"), VALUE),
    Bad("float", always(0.5), VALUE),
    Bad("list", always([]), VALUE),
    Bad("meta", always("meta"), VALUE, "meta"),
)
SEEDS = (
    Bad("one", always(3), TYPE),
    Bad("string", always("012"), TYPE),
    Bad("none", always(()), VALUE),
    Bad("floats", always([0.0, 1.0]), TYPE),
    Bad("negative", always([-1]), VALUE),
    Bad("flags", always([True]), TYPE),
    Bad("words", always(["a"]), TYPE),
    Bad("array without axes", always(np.array(3)), TYPE),
)
SEVERITIES = (
    *(Bad(bad.name, bad.make) for bad in SEEDS),
    Bad("zero", always([0]), VALUE),
    Bad("six", always([6]), VALUE),
    Bad("twice", always([1, 1]), VALUE),
)
WORDS = (
    Bad("another", always(["nonsense"]), EITHER, "nonsense"),
    Bad("number", always(3)),
    Bad("numbers", always([3])),
    Bad("one word", always("nonsense")),
    Bad("nested", always([["contrast"]])),
)
CURVES = (
    Bad("none", always(None)),
    Bad("number", always(3)),
    Bad("string", always("curve")),
    Bad("list", always([0.0, 1.0])),
    Bad("no curves", always({})),
    Bad("number by name", always({"mine": 3})),
    Bad("none by name", always({"mine": None})),
)
FREQUENCIES = (
    Bad("none", always(None)),
    Bad("number", always(0.5)),
    Bad("string", always("01")),
    Bad("one", always([0.5]), VALUE),
    Bad("falling", always([1.0, 0.5]), VALUE),
    Bad("negative", always([-0.5, 0.5]), VALUE),
    Bad("NaN", always([0.0, float("nan")]), VALUE),
    Bad("infinite", always([0.0, float("inf")]), VALUE),
    Bad("words", always(["0.1", "0.5"]), TYPE),
    Bad("flags", always([False, True]), TYPE),
    Bad("complex", always([0.0, 1j]), TYPE),
)
LAYERS = (
    Bad("none", always(None), TYPE),
    Bad("number", always(3), TYPE),
    Bad("numbers", always([1, 2]), TYPE),
    Bad("bytes", always(b"auto"), TYPE),
)
