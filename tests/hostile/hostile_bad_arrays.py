"""Bad images, labels, tensors and other arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from hostile_bad import (
    EITHER,
    TYPE,
    VALUE,
    Bad,
    Wrapper,
    always,
    host,
    masked,
    nested,
    of_records,
    tensor,
    with_first,
    without,
)

if TYPE_CHECKING:
    pass

# Values that are not arrays of real numbers, in any shape.
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
    Bad("a little above 1", with_first(1.00001), VALUE),
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

# Strings are allowed, because they may be names of classes.
NAMED_LABELS = (
    *without(LABELS, "strings", "words"),
    Bad("unknown names", lambda good: host(good).astype("U1"), VALUE, "'0'"),
    Bad("categorical of unknown names", lambda good: pd.Categorical(
        host(good).astype("U1")), VALUE, "'0'"),
)  # fmt: skip

NUMBER_OF_LABELS = (
    Bad("too few", lambda good: host(good)[:-1], VALUE),
    Bad("too many", lambda good: np.append(host(good), 0), VALUE),
    Bad("no labels", always([]), VALUE),
)

REAL = UNREAL
# In recordings, None and masked entries are missing trials, which may be allowed.
RECORDED = (
    *without(UNREAL, "masked", "objects"),
    Bad("objects", lambda good: np.full_like(
        host(good), 1j, dtype=object), TYPE, "complex"),
    Bad("nothing but None", lambda good: np.full_like(
        host(good), None, dtype=object), VALUE),
)  # fmt: skip
MASKED = Bad("masked", masked, VALUE, "masked")
EMPTY = Bad("empty", lambda good: host(good)[:0], VALUE)
FLAT = Bad("one number", always(0.5), VALUE)
NOT_A_NUMBER = Bad("NaN", with_first(np.nan), VALUE)


TENSOR = (
    Bad("none", always(None), TYPE),
    Bad("string", always("images"), TYPE),
    Bad("dict", always({}), EITHER),
    Bad("function", always(lambda: 0), TYPE),
    Bad("list", lambda good: tensor(good).tolist(), EITHER),
    Bad("array", host, TYPE),
    Bad("complex tensor", lambda good: tensor(good) + 1j, TYPE),
    *(bad for bad in UNREAL if "meta" in bad.name or "sparse" in bad.name),
    *(bad for bad in UNREAL if bad.name in ("nested tensor", "wrapper")),
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
INDEX = (
    *(Bad(bad.name, bad.make, EITHER) for bad in UNREAL if bad.name != "ragged"),
    Bad("ragged", always([[0], [0, 1]])),
    Bad("floats", always(np.array([0.0, 1.0]))),
    Bad("out of range", always(np.array([0, 99])), VALUE, "99"),
    Bad("negative", always(np.array([-1])), VALUE, "-1"),
    Bad("two axes", always(np.array([[0, 1]])), VALUE),
    Bad("short mask", always(np.array([True, False])), VALUE),
    Bad("beyond int64", always(np.array([2**63], np.uint64)), VALUE),
)
