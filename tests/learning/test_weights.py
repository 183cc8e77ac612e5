"""Weights of others: of the module's names, shapes and types, and finite, or refused in one line."""

from __future__ import annotations

import json
import os
import random
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from cdred.errors import CdredError
from cdred.learning import weights
from cdred.learning.weights_file import kinds_in


def module() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_model(module(), str(tmp_path / "model.safetensors"))
    return tmp_path / "model.safetensors"


def refused(file: Path) -> str:
    with pytest.raises(CdredError) as caught:
        weights.check_fit(file, module)
        weights.load_into(module(), file)
    text = str(caught.value)
    assert text.startswith(f"{file}: ") and text.isprintable()
    return text


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("0.weight", None, "lacks 0.weight"),
        ("1.running_mean", None, "lacks 1.running_mean"),
        ("0.more", torch.zeros(1), "holds 0.more, for which there is no place"),
        ("0.bias", torch.zeros(3), "0.bias is F32 of 3, its config.json asks for F32 of 2"),
        ("0.bias", torch.zeros(2, dtype=torch.float64), "0.bias is F64 of 2"),
        ("0.bias", torch.zeros(2, dtype=torch.bfloat16), "0.bias is BF16 of 2"),
        ("0.bias", torch.zeros(2, dtype=torch.bool), "0.bias is BOOL of 2"),
        ("0.weight", torch.full((2, 3), torch.nan), "0.weight holds numbers that are not finite"),
        ("1.running_var", torch.tensor([1, torch.inf]), "1.running_var holds numbers that are not"),
    ],
)
def test_weights_are_all_there_of_their_shapes_and_finite(
    file: Path, name: str, value: torch.Tensor | None, reason: str
) -> None:
    tensors = module().state_dict() | {name: value}
    save_file({key: one for key, one in tensors.items() if one is not None}, file)
    assert reason in refused(file)


def test_good_weights_are_loaded_and_one_that_two_names_share_is_saved_once(tmp_path: Path) -> None:
    def tied() -> nn.Module:
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        net[1].weight = net[0].weight
        return net

    file, saved, loaded = tmp_path / "tied.safetensors", tied(), tied()
    save_model(saved, str(file))
    weights.check_fit(file, tied)
    weights.load_into(loaded, file)
    for a, b in zip(saved.state_dict().values(), loaded.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def with_table(file: Path, table: bytes, length: int | None = None) -> None:
    file.write_bytes(struct.pack("<Q", len(table) if length is None else length) + table)


@pytest.mark.parametrize(
    ("table", "length", "reason"),
    [
        (b"", 0, "not valid JSON"),
        (b"{}", 2**63, "not of safetensors, or cut short"),
        (b"{}", 3, "not of safetensors, or cut short"),
        (b"\xff\xff", None, "its table is not UTF-8"),
        (b"null", None, "holds no table"),
        (b"{}", None, "lacks 0.bias"),
        (b'{"a": null}', None, "tensors.a: "),
        (b'{"a": {"dtype": "F32"}}', None, "tensors.a.shape: Field required"),
        (b'{"a": {"dtype": "F32", "shape": [-1]}}', None, "tensors.a.shape.0: "),
        (b'{"a": {"dtype": "F32", "shape": [1' + b"0" * 3000 + b"]}}", None, "tensors.a.shape.0: "),
        (b'{"a": {"dtype": "F32", "shape": [1' + b",1" * 5000 + b"]}}", None, "tensors.a.shape: "),
        (b'{"a": {"dtype": "' + b"F" * 200_000 + b'", "shape": [1]}}', None, "tensors.a.dtype: "),
        (b'{"a": ' + b"[" * 10**5, None, "nested more than 20 deep"),
    ],
)
def test_a_table_that_lies_is_refused(
    file: Path, table: bytes, length: int | None, reason: str
) -> None:
    with_table(file, table, length)
    assert reason in refused(file)


def test_what_is_no_file_or_larger_than_its_tensors_is_refused(file: Path) -> None:
    os.truncate(file, 8 * 2**30)
    assert "damaged: " in refused(file)
    file.unlink()
    os.mkfifo(file)
    assert "not a regular file" in refused(file)


@pytest.mark.slow
def test_a_thousand_damaged_headers_are_one_line_or_the_same_weights(file: Path) -> None:
    draw, good = random.Random(0), file.read_bytes()
    (length,) = struct.unpack("<Q", good[:8])
    table, numbers = json.loads(good[8 : 8 + length]), good[8 + length :]
    huge = (0, -1, 2**31, 2**63, 1e9, None, "x", [], {}, [[1]], True)
    held = 0
    for k in range(1000):
        if k % 2:  # bytes
            content = bytearray(good)
            for _ in range(draw.randint(1, 4)):
                content[draw.randrange(8 + length)] = draw.randrange(256)
        else:  # fields, in a table that is whole
            changed = json.loads(json.dumps(table))
            entry = changed[draw.choice([name for name in changed if name != "__metadata__"])]
            key = draw.choice(list(entry))
            if isinstance(entry[key], list) and entry[key] and draw.random() < 0.7:
                entry[key][draw.randrange(len(entry[key]))] = draw.choice(huge)
            else:
                entry[key] = draw.choice(huge)
            text = json.dumps(changed).encode()
            content = bytearray(struct.pack("<Q", len(text)) + text + numbers)
        file.write_bytes(content)
        try:
            weights.check_fit(file, module)
            weights.load_into(module(), file)
        except CdredError as exc:
            assert str(exc).isprintable()
            held += 1
    assert held > 700


@pytest.mark.parametrize("dtype", [torch.float16, torch.int64, torch.uint8, torch.float32])
def test_types_are_named_as_in_the_file(dtype: torch.dtype, tmp_path: Path) -> None:
    net = nn.Module()
    net.register_buffer("x", torch.zeros(2, dtype=dtype))
    save_model(net, str(tmp_path / "x"))
    assert kinds_in(tmp_path / "x") == weights.kinds_of(net)
