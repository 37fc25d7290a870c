"""Read exported programs (``.pt2``) so that no file can run code.

torch's own loader unpickles objects of an archive, evaluates the text of symbolic sizes
and guards, and resolves any dotted name as an operator. This module therefore reads the
archive as JSON and raw tensors, and checks everything against short lists of allowed
values. torch then loads a copy that contains only the checked parts.
"""

from __future__ import annotations

import ast
import io
import json
import math
import re
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from neurofreq.models.weight_files import check_members

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[\w.:+ -]*")
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|torchvision|quantized_decomposed)\.\w+\.\w+"
    r"|torch\.ops\.higher_order\.(wrap_with_set_grad_enabled|wrap_with_autocast|cond"
    r"|while_loop|map_impl|scan|associative_scan)"
    r"|torch\.sym_\w+|math\.trunc"
    r"|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|pow|neg|pos|eq|ne|lt|le|gt"
    r"|ge|and_|or_|not_)"
)
_FILE_OPERATORS = re.compile(r"torch\.ops\.aten\.(from_file|save|_?print|warn)\b.*")
# Kinds of arguments that are objects or functions, not numbers, names or tensors.
_OBJECTS = ("as_custom_obj", "as_operator", "custom_obj")
_TREES = ("builtins.tuple", "builtins.list", "builtins.dict", None)
# sympy evaluates the text of a size. Only arithmetic and these functions are allowed.
_FUNCTIONS = (
    "Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Max", "Min", "Abs",
    "floor", "ceiling", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not",
    "FloorDiv", "ModularIndexing", "Where", "PythonMod", "Mod", "CleanDiv", "CeilToInt",
    "FloorToInt", "CeilDiv", "FloatTrueDiv", "IntTrueDiv",
    "TruncToFloat", "TruncToInt", "RoundToInt", "ToFloat", "Identity",
)  # fmt: skip
_ARITHMETIC = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Constant, ast.Name,
    ast.Call, ast.keyword, ast.Load, ast.operator, ast.unaryop, ast.cmpop,
)  # fmt: skip
_LONGEST_SIZE = 1000


class Program(nn.Module):
    """An exported program as a module; the program cannot change its mode."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def train(self, mode: bool = True) -> Program:
        """Set only the flag of this module, because the graph has no other mode."""
        self.training = mode
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return the output of the program."""
        return self.program(images)


class _RefusedError(ValueError):
    """An archive contains something that could run code or take unlimited memory."""


def load_program(path: Path) -> nn.Module:
    """Return the module of a file that ``torch.export.save`` wrote.

    Raises FileNotFoundError if the file does not exist, and ValueError if the file is
    not an exported program, or holds more than a graph of torch's own operators and
    raw tensors.
    """
    if not path.is_file():
        raise FileNotFoundError(f"model: there is no file {path}")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"model: {path} is no exported program (not an archive)")
    try:
        archive = _checked_copy(path)
    except _RefusedError as error:
        raise ValueError(
            f"model: {path} is refused: {error}; if you trust the file, load it with "
            "torch.export.load(path).module() and pass the module"
        ) from None
    except Exception as error:  # damaged files raise many types of errors
        raise ValueError(
            f"model: {path} is no exported program of torch {torch.__version__} "
            f"({_reason(error)})"
        ) from error
    try:
        return Program(_loaded(archive)).eval()
    except Exception as error:  # torch raises many types of errors for damaged graphs
        raise ValueError(
            f"model: {path} is no exported program that torch {torch.__version__} "
            f"reads ({_reason(error)})"
        ) from error


def _reason(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def _loaded(archive: io.BytesIO) -> nn.Module:
    from torch.export.pt2_archive._package import load_pt2

    with warnings.catch_warnings():
        # torch maps the archive read-only, and warns that the buffer is not writable.
        warnings.filterwarnings("ignore", "The given buffer is not writable")
        return load_pt2(archive).exported_programs["model"].module()


def _checked_copy(path: Path) -> io.BytesIO:
    """Return a copy of an archive: the checked program and its raw tensors."""
    from torch.export.pt2_archive._package import PT2ArchiveWriter

    records = _records(path)
    program = json.loads(records["models/model.json"])
    kept = {"models/model.json": _json(_checked(program))}
    for folder, config in (
        ("data/weights", "model_weights_config.json"),
        ("data/constants", "model_constants_config.json"),
    ):
        content = json.loads(records[f"{folder}/{config}"])
        kept[f"{folder}/{config}"] = _json(_checked(content))
        for one in content["config"].values():
            name = f"{folder}/{one['path_name']}"
            _check_payload(one, records[name])
            kept[name] = records[name]
    copy = io.BytesIO()
    with PT2ArchiveWriter(copy) as writer:
        for name, data in kept.items():
            writer.write_bytes(name, data)
        writer.write_bytes("data/sample_inputs/model.pt", b"")
        writer.write_bytes("byteorder", records.get("byteorder", b"little"))
    copy.seek(0)
    return copy


def _records(path: Path) -> dict[str, bytes]:
    """Return the members by their names below the archive's folder.

    torch stores members uncompressed. A compressed member is refused, because it could
    unpack to any size.
    """
    with zipfile.ZipFile(path) as archive:
        problem = check_members(archive, path.stat().st_size)
        if problem:
            raise _RefusedError(problem)
        found = {
            one.filename.partition("/")[2]: archive.read(one)
            for one in archive.infolist()
            if one.filename.partition("/")[2] not in ("", "data/sample_inputs/model.pt")
        }
    for name in found:
        if name.startswith("data/aotinductor/"):
            raise _RefusedError("it holds compiled code (AOTInductor)")
    if "models/model.json" not in found:
        raise ValueError("it has no models/model.json")
    return found


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _checked(value: Any, key: str = "", *, in_node: bool = False) -> Any:
    """Return an archive's JSON without free text; raise if a part is not allowed."""
    if isinstance(value, dict):
        return {
            _name(one): _checked(part, one, in_node=in_node or key == "nodes")
            for one, part in value.items()
            if one not in _OBJECTS or _refuse_object(part)
        }
    if isinstance(value, list):
        if key == "guards_code":  # Python code that torch would run
            return []
        return [_checked(one, key, in_node=in_node) for one in value]
    if not isinstance(value, str):
        return value
    return _checked_text(value, key, in_node)


def _checked_text(text: str, key: str, in_node: bool) -> str:
    if key in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
        return ""
    if key == "target":
        return _operator(text)
    if key == "expr_str":
        _check_size(text)
    elif key in ("in_spec", "out_spec"):
        _check_tree(json.loads(text))
    elif not (in_node and key in ("as_string", "as_strings")):  # safe: repr escapes it
        return _name(text)
    return text


def _refuse_object(part: Any) -> bool:
    """Return True, but raise if there is an object; null means no object."""
    if part is not None:
        raise _RefusedError("it holds objects besides tensors and numbers")
    return True


def _name(text: str) -> str:
    """Return a name that torch may write into the code of a graph, or raise."""
    if not _NAME.fullmatch(text):
        raise _RefusedError(f"it contains {text[:40]!r}, which is not a valid name")
    return text


def _operator(text: str) -> str:
    if not _OPERATOR.fullmatch(text) or _FILE_OPERATORS.fullmatch(text):
        raise _RefusedError(
            f"it contains {text[:60]!r}, which is not an operator of a network"
        )
    return text


def _check_size(text: str) -> None:
    """Require arithmetic, because sympy evaluates the text as Python."""
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        nodes = []
    called = {id(one.func) for one in nodes if isinstance(one, ast.Call)}
    plain = all(_is_arithmetic(one, id(one) in called) for one in nodes)
    if not (nodes and plain) or len(text) > _LONGEST_SIZE:
        raise _RefusedError(f"it contains {text[:40]!r}, which is not a valid size")


def _is_arithmetic(node: ast.AST, is_called: bool) -> bool:
    """Return whether a part of a size is arithmetic that takes little time."""
    if is_called:
        return isinstance(node, ast.Name) and node.id in _FUNCTIONS
    if isinstance(node, ast.Name):
        return bool(re.fullmatch(r"[a-z]+\d*|int_oo|True|False", node.id))
    if isinstance(node, ast.Constant):
        return not isinstance(node.value, (str, bytes)) or str(node.value).isalnum()
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return isinstance(node.left, ast.Name)  # powers of numbers can be huge
    return isinstance(node, _ARITHMETIC)


def _check_tree(value: Any) -> None:
    """Require that inputs and outputs use only Python's own containers."""
    if isinstance(value, list):
        for one in value:
            _check_tree(one)
    elif isinstance(value, dict):
        if "type" in value and value["type"] not in _TREES:
            raise _RefusedError(
                f"it contains {str(value['type'])[:40]!r}, which is not a container"
            )
        for key, one in value.items():
            _name(key)
            _check_tree(json.loads(one) if key == "context" and one else one)
    elif isinstance(value, str):
        _name(value)


def _check_payload(one: dict[str, Any], data: bytes) -> None:
    """Require raw numbers, with the count that the shape needs."""
    if one["use_pickle"]:
        raise _RefusedError("its weights are pickled")
    if not re.fullmatch(r"(weight|tensor)_\d+", one["path_name"]):
        raise _RefusedError(
            f"it contains {one['path_name'][:40]!r}, which is not a tensor's name"
        )
    sizes = [size["as_int"] for size in one["tensor_meta"]["sizes"]]
    if not data and math.prod(sizes):
        raise _RefusedError(f"{one['path_name']} is empty and declared as {sizes}")
