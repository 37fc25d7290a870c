"""Bad values for each kind of parameter: what is passed, what must be raised.

A kind is a word such as "images" or "count". A bad value is made from the good one of
the same call, so that it differs in one respect alone.
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

TYPE, VALUE = (TypeError,), (ValueError,)
EITHER = (TypeError, ValueError)
MODEL = (TypeError, ValueError, RuntimeError)  # nf.ModelError is a RuntimeError
FILE = (OSError, ValueError)


@dataclass(frozen=True)
class Bad:
    """One bad value.

    Parameters
    ----------
    name : str
        What it is, for the name of the test.
    make : callable
        Returns the value, of the good one.
    error : tuple of exception classes
    word : str, optional
        What the message must hold beside the name of the parameter.
    """

    name: str
    make: Callable[[Any], Any]
    error: tuple[type[Exception], ...] = EITHER
    word: str = ""


class Wrapper(torch.Tensor):
    """A tensor that holds another one and has no memory itself, as DTensor."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Wrapper:
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, dtype=inner.dtype, device=inner.device
        )

    def __init__(self, inner: torch.Tensor) -> None:
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise NotImplementedError(f"{function} of a wrapper")


def always(value: Any) -> Callable[[Any], Any]:
    return lambda good: value


def host(good: Any) -> np.ndarray:
    """Return a good array as NumPy's, a copy."""
    if isinstance(good, torch.Tensor):
        return good.detach().numpy().copy()
    return np.array(good)


def with_first(value: Any) -> Callable[[Any], np.ndarray]:
    """Return what puts a value in the first place of a good array."""

    def make(good: Any) -> np.ndarray:
        array = host(good)
        array[(0,) * array.ndim] = value
        return array

    return make


def tensor(good: Any) -> torch.Tensor:
    return torch.tensor(host(good))


def masked(good: Any) -> np.ma.MaskedArray:
    array = np.ma.array(host(good))
    array[(0,) * array.ndim] = np.ma.masked
    return array


def nested(good: Any) -> torch.Tensor:
    return torch.nested.nested_tensor(list(tensor(good)), layout=torch.jagged)


def of_records(good: Any) -> np.ndarray:
    return host(good).view([("value", host(good).dtype)])


# What is no array of real numbers, in any shape.
UNREAL = (
    Bad("none", always(None)),
    Bad("string", always("images")),
    Bad("dict", always({})),
    Bad("function", always(lambda: 0)),
    Bad("masked", masked, TYPE, "masked"),
    Bad("complex", lambda good: host(good) + 1j, TYPE, "dtype complex"),
    Bad("objects", lambda good: np.full_like(host(good), None, dtype=object), TYPE),
    Bad("strings", lambda good: host(good).astype("U8"), TYPE, "dtype"),
    Bad("bytes", lambda good: host(good).astype("S8"), TYPE, "dtype"),
    Bad("dates", lambda good: host(good).astype(int).astype("M8[s]"), TYPE, "dtype"),
    Bad("spans", lambda good: host(good).astype(int).astype("m8[s]"), TYPE, "dtype"),
    Bad("records", of_records, EITHER),
    Bad("ragged", lambda good: [[1.0], [1.0, 2.0]], EITHER),
    Bad("complex tensor", lambda good: tensor(good) + 1j, TYPE, "dtype complex"),
    Bad("tensor on meta", lambda good: tensor(good).to("meta"), TYPE, "meta"),
    Bad("sparse tensor", lambda good: tensor(good).to_sparse(), TYPE, "sparse"),
    Bad("nested tensor", nested, TYPE),
    Bad("wrapper", lambda good: Wrapper(tensor(good)), TYPE, "Wrapper"),
)

IMAGES = (
    *UNREAL,
    Bad("list", lambda good: host(good).tolist(), TYPE),
    Bad("frame", lambda good: pd.DataFrame(host(good)[:, 0, 0]), TYPE),
    Bad("matrix", lambda good: np.asmatrix(host(good)[:, 0, 0]), VALUE, "shape"),
    Bad("int64", lambda good: (host(good) * 255).astype(np.int64), TYPE, "int64"),
    Bad("bools", lambda good: host(good) > 0.5, TYPE, "bool"),
    Bad("float16", lambda good: host(good).astype(np.float16), TYPE, "float16"),
    Bad("longdouble", lambda good: host(good).astype(np.longdouble), TYPE, "float128"),
    Bad("bfloat16", lambda good: tensor(good).bfloat16(), TYPE, "bfloat16"),
    Bad("half", lambda good: tensor(good).half(), TYPE, "float16"),
    Bad("quantized", lambda good: torch.quantize_per_tensor(
        tensor(good).float(), 0.1, 0, torch.quint8), TYPE),
    Bad("one image", lambda good: host(good)[0], VALUE, "shape"),
    Bad("five axes", lambda good: host(good)[None], VALUE, "shape"),
    Bad("no images", lambda good: host(good)[:0], VALUE),
    Bad("no channels", lambda good: host(good)[:, :0], VALUE),
    Bad("no rows", lambda good: host(good)[:, :, :0], VALUE),
    Bad("channels last", lambda good: np.repeat(
        host(good)[:, :1].transpose(0, 2, 3, 1), 3, 3), VALUE, "second axis"),
    Bad("channels last, copied", lambda good: np.ascontiguousarray(np.repeat(
        host(good)[:, :1].transpose(0, 2, 3, 1), 3, 3)), VALUE, "second axis"),
    Bad("channels last, tensor", lambda good: tensor(np.repeat(
        host(good)[:, :1].transpose(0, 2, 3, 1), 3, 3)), VALUE, "second axis"),
    Bad("channels last, gray", lambda good: np.ascontiguousarray(
        host(good)[:, :1].transpose(0, 2, 3, 1)), VALUE, "second axis"),
    Bad("NaN", with_first(np.nan), VALUE, "NaN"),
    Bad("infinity", with_first(np.inf), VALUE),
    Bad("minus infinity", with_first(-np.inf), VALUE),
    Bad("NaN in a tensor", lambda good: tensor(with_first(np.nan)(good)), VALUE, "NaN"),
)  # fmt: skip

EIGHT_BITS = Bad(
    "uint8", lambda good: (host(good) * 255).astype(np.uint8), TYPE, "divide by 255"
)

UNIT = (
    Bad("0 to 255", lambda good: host(good) * 255, VALUE, "expected"),
    Bad("below 0", with_first(-0.1), VALUE),
    Bad("above 1", with_first(1.1), VALUE),
    Bad("a little above 1", with_first(1.00001), VALUE, "1.00001"),
    Bad("-1 to 1", lambda good: 2 * host(good) - 1, VALUE),
)

LABELS = (
    Bad("none", always(None)),
    Bad("string", always("labels")),
    Bad("dict", always({})),
    Bad("number", always(3)),
    Bad("floats", lambda good: host(good).astype(float), TYPE, "float64"),
    Bad("bools", lambda good: host(good) > 0, TYPE, "bool"),
    Bad("complex", lambda good: host(good) + 0j, TYPE, "complex"),
    Bad("strings", lambda good: host(good).astype("U1"), TYPE),
    Bad("objects", lambda good: [None, *host(good).tolist()[1:]], TYPE),
    Bad("half objects", lambda good: np.array(
        [0.5, *host(good).tolist()[1:]], object), TYPE),
    Bad("ragged", lambda good: [[0], [0, 1]], EITHER),
    Bad("dates", lambda good: host(good).astype("M8[s]"), TYPE),
    Bad("masked", masked, TYPE, "masked"),
    Bad("two axes", lambda good: host(good)[:, None], VALUE, "shape"),
    Bad("one-hot", lambda good: np.eye(3, dtype=np.int64)[host(good) % 3], VALUE),
    Bad("negative", with_first(-1), VALUE, "-1"),
    Bad("beyond int64", lambda good: with_first(2**63)(
        host(good).astype(np.uint64)), VALUE, str(2**63)),
    Bad("wrapped", lambda good: with_first(2**64 - 1)(
        host(good).astype(np.uint64)), VALUE, str(2**64 - 1)),
    Bad("huge", lambda good: [2**80, *host(good).tolist()[1:]], EITHER),
    Bad("nullable with a gap", lambda good: pd.Series(
        [None, *host(good).tolist()[1:]], dtype="Int64"), TYPE),
    Bad("series of floats", lambda good: pd.Series(host(good) + 0.0), TYPE),
    Bad("categorical of words", lambda good: pd.Categorical(
        host(good).astype("U1")), TYPE),
    Bad("frame", lambda good: pd.DataFrame({"label": host(good)}), VALUE),
    Bad("float tensor", lambda good: tensor(good).float(), TYPE),
    Bad("bfloat16 tensor", lambda good: tensor(good).bfloat16(), TYPE),
    Bad("bool tensor", lambda good: tensor(good) > 0, TYPE),
    Bad("tensor on meta", lambda good: tensor(good).to("meta"), TYPE, "meta"),
    Bad("sparse tensor", lambda good: tensor(good).to_sparse(), TYPE, "sparse"),
    Bad("wrapper", lambda good: Wrapper(tensor(good)), TYPE, "Wrapper"),
    Bad("two axes of a tensor", lambda good: tensor(good)[None], VALUE, "shape"),
)  # fmt: skip

NUMBER_OF_LABELS = (
    Bad("too few", lambda good: host(good)[:-1], VALUE),
    Bad("too many", lambda good: np.append(host(good), 0), VALUE),
    Bad("no labels", always([]), VALUE),
)

NETWORK = (
    Bad("none", always(None)),
    Bad("number", always(3)),
    Bad("string", always("resnet18")),
    Bad("class", always(torch.nn.Flatten), TYPE, "class"),
    Bad("state", always({"weight": torch.zeros(2)}), EITHER),
    Bad("tensor", always(torch.zeros(2))),
)


def answering(change: Callable[[torch.Tensor], Any]) -> Callable[[Any], Any]:
    """Return what makes a network of which each answer is changed."""

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
    Bad("endless", always(10**5000), VALUE),
    Bad("negative", always(-0.5), VALUE, "-0.5"),
)
FLAG = (
    Bad("False as a word", always("False"), TYPE, "True or False"),
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
REAL = UNREAL
EMPTY = Bad("empty", lambda good: host(good)[:0], VALUE)
FLAT = Bad("one number", always(0.5), VALUE)
NOT_A_NUMBER = Bad("NaN", with_first(np.nan), VALUE, "NaN")


def without(kind: tuple[Bad, ...], *words: str) -> tuple[Bad, ...]:
    """Return a kind without the values whose names hold one of the words."""
    return tuple(bad for bad in kind if not any(word in bad.name for word in words))


TENSOR = (
    *without(UNREAL, "masked", "ragged", "dates", "spans", "records", "bytes"),
    Bad("list", lambda good: tensor(good).tolist(), TYPE),
    Bad("array", host, TYPE),
)
SIMILARITIES = (
    Bad("out of range", lambda good: tensor(good) * 2.0, VALUE),
    Bad("NaN", lambda good: tensor(good) * torch.nan, VALUE),
    Bad("another size", lambda good: tensor(good)[:-1, :-1], VALUE),
    Bad("not symmetric", lambda good: tensor(good).cumsum(0) / 6.0, VALUE),
)
STEP_LABELS = (
    Bad("none", always(None), TYPE),
    Bad("list", lambda good: tensor(good).tolist(), TYPE),
    Bad("array", host, TYPE),
    Bad("floats", lambda good: tensor(good).float(), TYPE),
    Bad("int32", lambda good: tensor(good).int(), TYPE, "int64"),
    Bad("too few", lambda good: tensor(good)[:-1], VALUE),
    Bad("two axes", lambda good: tensor(good)[None], VALUE),
    Bad("on meta", lambda good: tensor(good).to("meta"), TYPE),
    Bad("wrapper", lambda good: Wrapper(tensor(good)), TYPE),
)
SEVERITIES = (
    *SEEDS,
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
INDEX = (
    *without(UNREAL, "ragged"),
    Bad("ragged", always([[0], [0, 1]])),
    Bad("floats", always(np.array([0.0, 1.0]))),
    Bad("out of range", always(np.array([0, 99])), VALUE, "99"),
    Bad("negative", always(np.array([-1])), VALUE, "-1"),
    Bad("two axes", always(np.array([[0, 1]])), VALUE),
    Bad("short mask", always(np.array([True, False])), VALUE),
    Bad("beyond int64", always(np.array([2**63], np.uint64)), VALUE),
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
LAST = ("channels last", "no channels")
KINDS: dict[str, tuple[Bad, ...]] = {
    "images": (*IMAGES, EIGHT_BITS, *UNIT),
    "signed images": (*IMAGES, EIGHT_BITS),
    "pixels": (*without(IMAGES, *LAST), *UNIT),
    "pictures": (*without(IMAGES, *LAST, "one image"), *UNIT),
    "stored": (*without(IMAGES, "string"), *UNIT),
    "features": TENSOR,
    "tensor": (*TENSOR, *SIMILARITIES),
    "tensor images": TENSOR,
    "step labels": STEP_LABELS,
    "labels": (*LABELS, *NUMBER_OF_LABELS),
    "some labels": (*LABELS, NUMBER_OF_LABELS[2]),
    "network": NETWORK,
    "classifier": (*NETWORK, *ANSWERS, *FINITE),
    "attacked": (*NETWORK, *ANSWERS),
    "count": (*COUNT, ZERO, NONE),
    "optional count": (*COUNT, ZERO),
    "count from 0": (*COUNT, NONE),
    "count from 2": (*COUNT, ZERO, NONE, Bad("one", always(1), VALUE, "1")),
    "seed": (*SEED, NONE),
    "optional seed": SEED,
    "seeds": SEEDS,
    "number": (*NUMBER, NONE),
    "positive": (*NUMBER, NONE, Bad("zero", always(0.0), VALUE, "0.0")),
    "optional positive": (*NUMBER, Bad("zero", always(0.0), VALUE, "0.0")),
    "share": (*NUMBER, NONE, Bad("above 1", always(1.5), VALUE, "1.5")),
    "budgets": (*without(NUMBER, "list", "array"), NONE),
    "flag": FLAG,
    "word": WORD,
    "optional word": WORD,
    "text": TEXT,
    "path": (*PATH, NONE),
    "optional path": PATH,
    "device": DEVICE,
    "real": (*REAL, EMPTY, FLAT),
    "weights": (*without(REAL, "none"), EMPTY, FLAT, NOT_A_NUMBER),
    "trials": (*without(REAL, "masked"), FLAT),
    "numbers": (*REAL, EMPTY),
    "finite or empty": (*REAL, FLAT, NOT_A_NUMBER),
    "which": INDEX,
    "curves": CURVES,
    "frequencies": FREQUENCIES,
    "words": WORDS,
    "layers": LAYERS,
    "severity": (
        *NOT_WHOLE,
        Bad("zero", always(0), VALUE, "0"),
        Bad("six", always(6), VALUE, "6"),
    ),
    "severities": SEVERITIES,
    "flag or none": without(FLAG, "none"),
    "trained": (*NETWORK, *ANSWERS),
    "finite": (*REAL, EMPTY, FLAT, NOT_A_NUMBER),
}
