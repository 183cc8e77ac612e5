"""Files made to harm whoever reads them, each with what its refusal says."""

from __future__ import annotations

import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from support.demonstrations import episodes, iq_learns

RECONSTRUCT: Callable[..., Any] = np.zeros(1).__reduce__()[0]  # type: ignore[assignment]
EIGHT = struct.Struct("<Q")


class Reduced:
    """Pickled as a call, and the state that its result is given."""

    def __init__(self, function: Callable[..., Any], arguments: tuple, state: Any = None) -> None:
        self.reduced = (function, arguments, state)

    def __reduce__(self) -> tuple:
        return self.reduced


def _dtype(code: str, *state: Any) -> Reduced:
    return Reduced(np.dtype, (code, False, True), state or (3, "<", None, None, None, -1, -1, 0))


def _array(content: Any, dtype: Any, shape: Any) -> Reduced:
    return Reduced(RECONSTRUCT, (np.ndarray, (0,), b"b"), (1, shape, dtype, False, content))


def _rewards(value: Any, protocol: int = 4) -> bytes:
    """A good file but for the rewards of its first episode."""
    layout = iq_learns(episodes())
    layout["rewards"][0] = value
    return pickle.dumps(layout, protocol)


def _bomb(levels: int = 12) -> Any:
    value: Any = 0.0
    for _ in range(levels):
        value = [value] * 10
    return value


def _itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


_NUMBERS = "not of numbers or text"
_SHAPE = "whose shape does not fit its bytes"
_PLAIN = "is not one of plain data"
PICKLES: dict[str, tuple[bytes, str]] = {
    "pointers": (_rewards(_array(b"A" * 48, _dtype("O8"), (6,))), _NUMBERS),
    "flags cleared": (
        _rewards(_array(b"A" * 48, _dtype("O8", 3, "|", None, None, None, -1, -1, 0), (6,))), _NUMBERS
    ),
    "objects": (_rewards(np.array([{}] * 6)), _NUMBERS),
    "a scalar object": (_rewards(Reduced(np.float64(1).__reduce__()[0], (_dtype("O8"), b"A" * 8))), _NUMBERS),
    "dates": (_rewards(np.zeros(6, "M8[s]")), _NUMBERS),
    "complex": (_rewards(np.zeros(6, complex)), _NUMBERS),
    "void": (_rewards(np.zeros(6, "V8")), _NUMBERS),
    "long doubles": (_rewards(np.zeros(6, np.longdouble)), _NUMBERS),
    "records": (_rewards(np.zeros(6, "f4, f4")), _NUMBERS),
    "records in disguise": (
        _rewards(_array(b"A" * 48, _dtype("f8", 3, "<", None, ("a",), {"a": ("O", 0)}, 8, 8, 63), (6,))),
        "a structured dtype",
    ),
    "text": (_rewards(np.array(["1.5"] * 6)), "<U3 among numbers"),
    "bytes": (_rewards([b"1"] * 6), "bytes among numbers"),
    "too few bytes": (_rewards(_array(b"A" * 40, np.dtype("f8"), (6,))), _SHAPE),
    "too many bytes": (_rewards(_array(b"A" * 48, np.dtype("f8"), (10**12,))), _SHAPE),
    "a negative shape": (_rewards(_array(b"A" * 48, np.dtype("f8"), (-2, -3))), _SHAPE),
    "a shape of nothing": (_rewards(_array(b"", np.dtype("f8"), (2**62, 0))), "rewards are 0, not 6"),
    "rewards of three dimensions": (_rewards(np.zeros((6, 1, 1))), "rewards have 3 dimensions, not one of 6 numbers"),
    "thousands of dimensions": (_rewards(_array(b"A" * 8, np.dtype("f8"), (1,) * 10_000)), _SHAPE),
    "a list for bytes": (_rewards(_array([1.0] * 6, np.dtype("f8"), (6,))), "consist of bytes"),
    "half an array": (_rewards(Reduced(RECONSTRUCT, (np.ndarray, (0,), b"b"))), "has no attribute"),
    "a shape of nothing by field": (
        pickle.dumps({"obs": _array(b"", np.dtype("f8"), (10**9, 0)), "action": []}), "0 are there"
    ),
    "episodes many times": (
        pickle.dumps([{"obs": o, "action": a, "reward": r} for o, a, r in [([[0.0] * 39] * 7, [[0.0] * 4] * 6, [0] * 6)]] * 99),
        "more numbers than the file has bytes",
    ),
    "lists of lists": (_rewards(_bomb()), "lists in more than 4 lists"),
    "lists many times": (_rewards([[_bomb(2)] * 1000] * 1000), "more numbers than the file has bytes"),
    "a list in itself": (_rewards(_itself()), "lists in more than 4 lists"),
    "deep lists": (b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b".", "episode 0 is a list"),
    "colliding keys": (
        pickle.dumps({k * (2**61 - 1): 0 for k in range(20_000)}), "keys are not text"
    ),
    "a huge integer": (_rewards(1 << 8_000_000), "not real numbers"),
    "a long integer as text": (b"I" + b"9" * 5000 + b"\n.", "cannot be read as pickle"),
    "a far memo": (b"\x80\x04]r\xff\xff\xff\xff.", "out of sequence"),
    "long bytes": (b"\x80\x04\x8e" + EIGHT.pack(2**60) + b"abc.", "cut short"),
    "long text": (b"\x80\x04\x8d" + EIGHT.pack(2**60) + b"abc.", "cut short"),
    "a long bytearray": (b"\x80\x05\x96" + EIGHT.pack(2**40) + b"abc.", "cut short"),
    "a long frame": (b"\x80\x04\x95" + EIGHT.pack(2**60) + b"abc.", "cut short"),
    "an instance": (b"(S'true'\niposix\nsystem\n.", _PLAIN),
    "an object": (b"(cposix\nsystem\no.", "posix.system, which is code"),
    "a method": (b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.", "numpy.ndarray.tofile, which is"),
    "numpy's reader of files": (b"cnumpy.core.multiarray\nfromfile\n.", "which is code"),
    "an extension": (b"\x80\x02\x82\x01.", _PLAIN),
    "a persistent id": (b"Px\n.", _PLAIN),
    "a buffer of elsewhere": (b"\x80\x05\x97.", _PLAIN),
    "a new object": (b"\x80\x02cnumpy\nndarray\n)\x81.", _PLAIN),
    "a call of text": (b"\x80\x02X\x01\x00\x00\x00a)R.", "what is not a function"),
    "a state of a list": (b"\x80\x02]}b.", "the state of what is not an array"),
    "an empty stack": (b"\x80\x02R.", "cannot be read as pickle"),
    "a screen cleared": (b"c\x1b[2J\nx\n.", "it asks for ?[2J.x"),
    "nothing": (b"", "cut short"),
    "a number": (pickle.dumps(7), "a int; a dict of lists or a list of dicts"),
    "cut": (pickle.dumps(iq_learns(episodes()))[:-300], "cut short"),
    "no protocol": (b"\x80\xff.", "unsupported pickle protocol"),
    "zeros": (bytes(1000), _PLAIN),
}  # fmt: skip


_ROW = b"G" + bytes(8)
# Parts that repeat until a file has its size: those that take most memory by the byte. What the
# whole is refused for, or not.
GREEDY: dict[str, tuple[bytes, bytes, bytes]] = {
    "lists": (b"](", b"]", b"e."),
    "lists of one": (b"](", b"]\x94K\x01a", b"e."),
    "dicts": (b"](", b"}", b"e."),
    "dicts of one": (b"\x8c\x01a\x94](", b"}h\x00Ns", b"e."),
    "tuples in tuples": (b"N", b"\x85", b"."),
    "tuples": (b"](", b"K\x01\x85\x94", b"e."),
    "marks": (b"", b"(", b"N."),
    "references": (b"](" + _ROW + b"\x94", b"h\x00", b"e."),
    "numbers": (b"](", b"M\xff\xff", b"e."),
    "text": (b"](", b"\x8c\x02ab", b"e."),
    "arrays": (b"cnumpy.core.multiarray\n_reconstruct\n\x94](", b"h\x00)R", b"e."),
    "dtypes": (b"cnumpy\ndtype\n\x94\x8c\x02f4\x94\x85\x94](", b"h\x00h\x02R", b"e."),
    "rows of flags": (b"](}(\x8c\x06action" + _ROW + b"\x8c\x03obs](]" + _ROW + b"a", b"]\x88a", b"eue."),
    "rows of numbers": (b"](}(\x8c\x06action" + _ROW + b"\x8c\x03obs](", b"]\x94" + _ROW + b"a", b"eue."),
}  # fmt: skip


# ---- HDF5 ---------------------------------------------------------------------------------------

Change = Callable[[h5py.Group, Path], None]  # of an episode's group, in a file's directory


def _replace(name: str, **made: Any) -> Change:
    """Another dataset in place of one."""

    def change(group: h5py.Group, _: Path) -> None:
        del group[name]
        group.create_dataset(name, **made)

    return change


def _link(name: str, link: Any) -> Change:
    def change(group: h5py.Group, directory: Path) -> None:
        other = directory / "other.h5"
        with h5py.File(other, "w") as stored:
            group.copy(name, stored, "it")
        del group[name]
        group[name] = link(str(other)) if callable(link) else link

    return change


def _external(group: h5py.Group, directory: Path) -> None:
    secret = directory / "secret.bin"
    secret.write_bytes(np.zeros(6, "f4").tobytes())
    del group["rewards"]
    group.create_dataset("rewards", (6,), "f4", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def _virtual(group: h5py.Group, directory: Path) -> None:
    other = directory / "other.h5"
    with h5py.File(other, "w") as stored:
        stored["it"] = np.zeros(6, "f4")
    layout = h5py.VirtualLayout((6,), "f4")
    layout[:] = h5py.VirtualSource(str(other), "it", (6,))
    del group["rewards"]
    group.create_virtual_dataset("rewards", layout)


def _short(stored: bytes, **options: Any) -> Change:
    def change(group: h5py.Group, folder: Path) -> None:
        del group["rewards"]
        made = group.create_dataset("rewards", (6,), "f4", chunks=(6,), **options)
        made.id.write_direct_chunk((0,), stored)

    return change


def _longer_chunk(group: h5py.Group, folder: Path) -> None:
    """A chunk of 24 bytes of which the file states that it has 1023: what HDF5's own function for a
    chunk takes memory for, and what it fills in."""
    del group["rewards"]
    made = group.create_dataset("rewards", (6,), "f4", chunks=(6,), maxshape=(None,))
    made[:] = 0
    group.file.flush()
    file = Path(group.file.filename)
    stored: list[Any] = []
    made.id.chunk_iter(stored.append)
    # In the index: its size, no filter left out, where it begins, and where it lies.
    entry = struct.pack("<IIQQQ", 24, 0, 0, 0, stored[0].byte_offset)
    longer = struct.pack("<I", 1023) + entry[4:]
    group.file.close()
    content = file.read_bytes()
    assert content.count(entry) == 1
    file.write_bytes(content.replace(entry, longer) + bytes(1023))


def _user_block(group: h5py.Group, folder: Path) -> None:
    file = Path(group.file.filename)
    group.file.close()
    file.write_bytes(bytes(512) + file.read_bytes())


def _never_filled(group: h5py.Group, folder: Path) -> None:
    del group["rewards"]
    group.create_dataset("rewards", (6,), "f4", chunks=(6,), fill_time="never")


def _deep(group: h5py.Group, folder: Path) -> None:
    for _ in range(30):
        group = group.create_group("g")


def _unpacking(size: int) -> Change:
    """A chunk of 24 bytes that unpacks to more."""

    def change(group: h5py.Group, _: Path) -> None:
        del group["rewards"]
        made = group.create_dataset("rewards", (6,), "f4", chunks=(6,), compression="gzip")
        made.id.write_direct_chunk((0,), zlib.compress(bytes(size), 9))

    return change


def _twice_packed(group: h5py.Group, _: Path) -> None:
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_chunk((6,))
    created.set_deflate(9)
    created.set_deflate(9)
    del group["rewards"]
    space = h5py.h5s.create_simple((6,))
    h5py.h5d.create(group.id, b"rewards", h5py.h5t.IEEE_F32LE, space, created)


def _references(group: h5py.Group, _: Path) -> None:
    reference = group["actions"].ref
    del group["rewards"]
    group["rewards"] = np.array([reference] * 6, h5py.ref_dtype)


def _cycle(group: h5py.Group, _: Path) -> None:
    group["round"] = group.parent


def _type(group: h5py.Group, _: Path) -> None:
    group["type"] = np.dtype("f8")


def _group(group: h5py.Group, _: Path) -> None:
    del group.attrs["success_at_end"]
    group.create_group("infos/success")


def _attribute(name: str, value: Any) -> Change:
    def change(group: h5py.Group, _: Path) -> None:
        group.attrs[name] = value

    return change


_ELSEWHERE = "a link to elsewhere; refused"
HDF5: dict[str, tuple[Change, str]] = {
    "an external link": (_link("rewards", lambda other: h5py.ExternalLink(other, "it")), _ELSEWHERE),
    "a soft link": (_link("rewards", h5py.SoftLink("../actions")), _ELSEWHERE),
    "a dangling link": (_link("rewards", h5py.SoftLink("/nowhere")), _ELSEWHERE),
    "a link beside": (_link("truncations", lambda other: h5py.ExternalLink(other, "it")), _ELSEWHERE),
    "storage in another file": (_external, "rewards: stored in another file; refused"),
    "a virtual dataset": (_virtual, "rewards: a virtual dataset, stored elsewhere; refused"),
    "a group in itself": (_cycle, "an object that has another name, too"),
    "a stored type": (_type, "neither a group nor a dataset"),
    "references": (_references, "rewards: object, not real numbers"),
    "a compressed bomb": (_unpacking(10**8), "a chunk of 24 bytes takes 97"),
    "a small one": (_unpacking(10**6), "a chunk does not unpack to its 24 bytes"),
    # HDF5 would take whatever lies behind four bytes for the rest of 24.
    "a short chunk": (_short(bytes(4)), "a chunk does not unpack to its 24 bytes"),
    "a short chunk, shuffled": (_short(bytes(4), shuffle=True), "a chunk does not unpack to its 24 bytes"),
    "a short chunk, packed": (_short(zlib.compress(bytes(4)), compression="gzip"), "a chunk does not unpack to its 24 bytes"),
    "a chunk cut short": (_short(zlib.compress(bytes(24))[:-4], compression="gzip"), "a chunk does not unpack to its 24 bytes"),
    "more behind it": (_short(zlib.compress(bytes(24)) + b"more", compression="gzip"), "a chunk does not unpack to its 24 bytes"),
    "a chunk longer than it is": (_longer_chunk, "a chunk does not unpack to its 24 bytes"),
    "a user block": (_user_block, "does not begin as an HDF5 file"),
    "never filled": (_never_filled, "parts of it may never have been written"),
    "deep": (_deep, "more than 20 groups deep"),
    "compressed twice": (_twice_packed, "only gzip, shuffle and fletcher32 are read"),
    "another filter": (_replace("rewards", data=np.zeros(6, "f4"), compression="lzf"), "h5repack changes them"),
    "huge": (_replace("observations", shape=(10**9, 39), dtype="f4", chunks=(100, 39)), "observations are 1000000000, not 7"),
    "huge throughout": (
        lambda group, _: [
            _replace(name, shape=(10**9, size), dtype="f4", chunks=(9, size))(group, _)
            for name, size in (("observations", 39), ("actions", 4))
        ] and None,
        "1000000000 steps, an episode of the task has 100",
    ),
    "huge chunks": (_replace("rewards", shape=(6,), maxshape=(None,), dtype="f4", chunks=(10**8,)), "chunks of 400000000 bytes"),
    "rewards of every state": (_replace("rewards", data=np.zeros((10**6,), "f4")), "rewards are 1000000, not 6"),
    "flags without end": (_replace("terminations", shape=(10**9,), dtype="?", chunks=(9,)), "terminations are 1000000000, not 6"),
    "wide observations": (_replace("observations", data=np.zeros((7, 40))), "an observation's shape is (40,), not (39,)"),
    "text": (_replace("rewards", data=[b"1.5"] * 6), "rewards: object, not real numbers"),
    "records": (_replace("rewards", data=np.zeros(6, "f4, f4")), "not real numbers"),
    "complex": (_replace("observations", data=np.zeros((7, 39), complex)), "observations: complex128, not real"),
    "many dimensions": (_replace("rewards", data=np.zeros((6, *[1] * 31))), "rewards have 32 dimensions, not one of 6 numbers"),
    "flags of many": (_replace("terminations", data=np.zeros((6, *[1] * 31), bool)), "terminations have 32 dimensions, not one of 6"),
    "observations of many": (_replace("observations", data=np.zeros((7, *[1] * 30, 39))), "observations have 32 dimensions, not 2"),
    "nothing": (_replace("rewards", data=h5py.Empty("f4")), "rewards: holds nothing"),
    "a number": (_replace("observations", data=1.0), "an observation's shape is (), not (39,)"),
    "a group": (_group, "infos/success: a group"),
    "a missing field": (lambda group, _: group.__delitem__("actions"), "actions: missing"),
    "a seed of text": (_attribute("seed", "7"), "its attribute 'seed' is not a number"),
    "two seeds": (_attribute("seed", [7, 8]), "its attribute 'seed' is not a number"),
    "a seed below zero": (_attribute("seed", -1), "seed: not from 0 to 2^63 - 1"),
    "a fraction": (_attribute("seed", 0.5), "seed: a float, not a whole number"),
    "a success unknown": (_attribute("success_at_end", np.nan), "success: nan, neither true nor false"),
}  # fmt: skip
