"""Pickles of numbers, text and arrays, read without running anything that they hold.

A pickle is a program. This reader knows those of its instructions that make numbers, text, lists,
tuples and dicts, and builds numpy's arrays itself from their bytes: numpy's own functions trust the
state that a file gives them, and follow pointers that its author chose.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cdred.demos import files
from cdred.errors import CdredError

DEPTH = 4  # of lists in lists: the most that a field's array has dimensions
_PLAIN = re.compile(r"[biuf][1248]|[SU]\d{1,9}")  # the dtypes of numbers, flags and text


# ---- what numpy's functions stand for in a pickle ------------------------------------------------


class _Dtype:
    """A dtype of numbers or text, and its byte order."""

    __slots__ = ("dtype",)

    def __init__(self, code: str, *_: Any) -> None:
        if not _PLAIN.fullmatch(code):
            raise ValueError(f"an array of dtype {files.brief(code, 20)}, not of numbers or text")
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        _, order, *structure = state
        if any(part is not None for part in structure[:3]):
            raise ValueError("an array of a structured dtype")
        self.dtype = self.dtype.newbyteorder(order)


class Array:
    """An array: its dtype, shape and bytes."""

    __slots__ = ("values",)
    values: NDArray[Any]

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        return self.values

    def build(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self._set(content, dtype, shape, "F" if fortran else "C")

    @classmethod
    def of(cls, content: Any, dtype: Any, shape: Any, order: Any = "C") -> Array:
        array = cls()
        array._set(content, dtype, shape, order)
        return array

    def _set(self, content: Any, dtype: Any, shape: Any, order: Any) -> None:
        if not isinstance(content, bytes) or not isinstance(dtype, _Dtype):
            raise ValueError("an array that does not consist of bytes and a dtype")
        if not content:
            shape = (0,)  # whatever it is called: a shape such as (10**9, 0) takes no bytes
        fits = len(shape) <= 2 * DEPTH and all(0 <= n <= len(content) for n in shape)
        if not fits or math.prod(shape) * dtype.dtype.itemsize != len(content):
            raise ValueError("an array whose shape does not fit its bytes")
        self.values = np.ndarray(shape, dtype.dtype, content, order=order)


def _scalar(dtype: Any, content: Any) -> Any:
    return Array.of(content, dtype, ()).values[()]


def _empty() -> dict[str, Any]:
    return {}


def _encoded(text: str, encoding: str) -> bytes:
    """Bytes, as protocols before 3 have them."""
    if encoding != "latin1":
        raise ValueError(f"bytes as {files.brief(encoding, 20)}")
    return text.encode("latin1")


_STANDING_FOR: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): None,  # an argument of _reconstruct
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: Array(),
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): Array.of,
    ("collections", "OrderedDict"): _empty,
    ("_codecs", "encode"): _encoded,
}
_CALLABLE = [function for function in _STANDING_FOR.values() if function is not None]


# ---- the instructions ----------------------------------------------------------------------------


LONGEST_LINE = 5_000  # bytes: a number has at most 4,300 digits
TIMES, MORE = 24, 2**26  # bytes of memory: so many times the file's, and so many more
# The bytes that an instruction takes at most, besides those that follow it in the file; measured.
_REFERENCE, _NUMBER, _TUPLE, _TEXT, _LIST, _CALL = 8, 40, 64, 64, 96, 160
_TAKES = dict.fromkeys((pickle.MEMOIZE, pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT), 16)
_TAKES |= dict.fromkeys((pickle.INT, pickle.BININT, pickle.BININT2, pickle.LONG), _NUMBER)
_TAKES |= dict.fromkeys((pickle.LONG1, pickle.LONG4, pickle.FLOAT, pickle.BINFLOAT), _NUMBER)
_TAKES |= dict.fromkeys((pickle.STRING, pickle.BINSTRING, pickle.SHORT_BINSTRING), _TEXT)
_TAKES |= dict.fromkeys((pickle.UNICODE, pickle.BINUNICODE, pickle.SHORT_BINUNICODE), _TEXT)
_TAKES |= dict.fromkeys((pickle.BINUNICODE8, pickle.BINBYTES, pickle.SHORT_BINBYTES), _TEXT)
_TAKES |= dict.fromkeys((pickle.BINBYTES8, pickle.BYTEARRAY8), _TEXT)
_TAKES |= dict.fromkeys((pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3), _TUPLE)
_TAKES |= dict.fromkeys((pickle.MARK, pickle.LIST, pickle.EMPTY_LIST, pickle.EMPTY_DICT), _LIST)
_TAKES |= dict.fromkeys((pickle.REDUCE, pickle.BUILD, pickle.DICT), _CALL)
_TAKES |= dict.fromkeys((pickle.SETITEM, pickle.SETITEMS), _CALL)


class _Bounded:
    """A stream that refuses to read beyond its end: memory is taken for what is there alone."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.left = stream, size

    def read(self, count: int) -> bytes:
        if count > self.left:
            raise ValueError("cut short, or damaged")
        self.left -= count
        return self.stream.read(count)

    def readline(self) -> bytes:
        line = self.stream.readline(min(self.left, LONGEST_LINE) + 1)
        if len(line) > min(self.left, LONGEST_LINE):
            raise ValueError("cut short, or damaged")
        self.left -= len(line)
        return line


class _Instructions(dict[int, Any]):
    def __missing__(self, code: int) -> Any:
        raise ValueError(f"instruction {code:#04x} is not one of plain data")


def _counted(code: int, function: Callable[[Any], None]) -> Callable[[Any], None]:
    """An instruction that first counts the memory that it takes."""
    takes = _TAKES.get(bytes([code]), _REFERENCE)

    def run(reader: _Reader) -> None:
        reader.left -= takes
        if reader.left < 0:
            raise ValueError(
                f"it takes more memory than {TIMES} times its size and {MORE // 2**20} MB; arrays "
                f"in place of lists of single numbers take less"
            )
        function(reader)

    return run


class _Memo(list[Any]):
    """The objects that a pickle refers to by number: in sequence from 0, of Python 2 from 1."""

    def __setitem__(self, index: Any, value: Any) -> None:
        if index < len(self):
            super().__setitem__(index, value)
            return
        if index > len(self) + 1:
            raise ValueError("it numbers what it refers to out of sequence")
        self += [None] * (index - len(self))
        self.append(value)


class _Reader(pickle._Unpickler):  # in Python: the one in C takes memory that the file asks for
    """An unpickler of numbers, text, lists, tuples, dicts with names as keys, and arrays."""

    stack: list[Any]
    pop_mark: Callable[[], list[Any]]

    dispatch = _Instructions(
        (code[0], pickle._Unpickler.dispatch[code[0]])
        for code in (
            *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.POP, pickle.POP_MARK),
            *(pickle.DUP, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.INT, pickle.BININT),
            *(pickle.BININT1, pickle.BININT2, pickle.LONG, pickle.LONG1, pickle.LONG4),
            *(pickle.FLOAT, pickle.BINFLOAT, pickle.STRING, pickle.BINSTRING),
            *(pickle.SHORT_BINSTRING, pickle.UNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE),
            *(pickle.BINUNICODE8, pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINBYTES8),
            *(pickle.EMPTY_LIST, pickle.LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_TUPLE),
            *(pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.EMPTY_DICT),
            *(pickle.GET, pickle.BINGET, pickle.LONG_BINGET, pickle.PUT, pickle.BINPUT),
            *(pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.GLOBAL, pickle.STACK_GLOBAL),
        )
    )

    def __init__(self, stream: _Bounded, name: str) -> None:
        super().__init__(stream)
        self.name = name
        self.memo = _Memo()
        self.left = TIMES * stream.left + MORE

    def find_class(self, module: str, name: str) -> Any:
        known = (module.replace("numpy._core.", "numpy.core."), name)  # of numpy 2
        if known not in _STANDING_FOR:
            asked = files.brief(f"{module}.{name}", 80)
            raise CdredError(
                f"{self.name}: refused: it asks for {asked}, which is code; only numbers, text, "
                f"lists, dicts and numpy arrays are read"
            )
        return _STANDING_FOR[known]

    def _call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if function not in _CALLABLE:
            raise ValueError("it calls what is not a function")
        self.stack.append(function(*arguments))

    def _build(self) -> None:
        state, built = self.stack.pop(), self.stack[-1]
        if not isinstance(built, Array | _Dtype):
            raise ValueError("it sets the state of what is not an array")
        built.build(state)

    def _dict(self) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self._set(items)

    def _set(self, items: list[Any]) -> None:
        """Other keys than text could be chosen to collide."""
        target = self.stack[-1]
        if type(target) is not dict or not all(type(key) is str for key in items[::2]):
            raise ValueError("a dict whose keys are not text")
        target.update(zip(items[::2], items[1::2], strict=True))

    def _set_one(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    dispatch |= {
        pickle.BYTEARRAY8[0]: pickle._Unpickler.dispatch[pickle.BINBYTES8[0]],
        pickle.REDUCE[0]: _call,
        pickle.BUILD[0]: _build,
        pickle.DICT[0]: _dict,
        pickle.SETITEM[0]: _set_one,
        pickle.SETITEMS[0]: lambda self: self._set(self.pop_mark()),
    }
    dispatch = _Instructions((code, _counted(code, run)) for code, run in dispatch.items())


def load(stream: BinaryIO, size: int, name: str) -> Any:
    """The data in a pickle of `size` bytes; its arrays are `Array`.

    Raises CdredError naming the code that it asks for; ValueError when it cannot be read, or takes
    more memory than its size allows.
    """
    return _Reader(_Bounded(stream, size), name).load()
