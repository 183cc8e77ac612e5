"""Weights of networks in a file of safetensors: all of them, of their shapes and types, finite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from cdred import documents
from cdred.errors import CdredError
from cdred.learning.weights_file import Kind, Kinds, kinds_in

# What safetensors calls types, by their names in torch, as far as those differ in more than size.
_DTYPES = {"bool": "BOOL", "bfloat16": "BF16"}


def tensors_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of a module that are saved; of those that are one the first alone."""
    tensors, seen = {}, set()
    for name, value in sorted(module.state_dict(keep_vars=True).items()):
        if id(value) not in seen:
            tensors[name] = value
            seen.add(id(value))
    return tensors


def kinds_of(module: nn.Module) -> Kinds:
    """The kinds of the tensors of a module."""
    return {name: Kind(_dtype(v), tuple(v.shape)) for name, v in tensors_of(module).items()}


def save(module: nn.Module, file: Path) -> None:
    """Write the tensors of a module, each whole, whatever buffer it is a view of."""
    tensors = {name: v.detach().clone().contiguous() for name, v in tensors_of(module).items()}
    save_file(tensors, file, metadata={"format": "pt"})


def check_fit(file: Path, build: Callable[[], nn.Module], prefix: str = "") -> None:
    """Refuse weights, with a CdredError, unless those whose names begin with `prefix` have the
    names, shapes and types of the module that `build` makes; whatever the sizes that it is told, no
    memory is taken for it.

    Raises NotImplementedError where a module's shapes are not known without computing.
    """
    with torch.device("meta"):
        expected = kinds_of(build())
    stored = kinds_in(file)
    own = {n.removeprefix(prefix): kind for n, kind in stored.items() if n.startswith(prefix)}
    _compare(file, own, expected)


def load_into(module: nn.Module, file: Path) -> None:
    """Load a file's weights. Raises CdredError unless they are those of the module, and finite."""
    _compare(file, kinds_in(file), kinds_of(module))
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as exc:
        raise CdredError(f"{file}: damaged: {str(exc)[: documents.LONGEST]}") from None
    for name, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise CdredError(f"{file}: {name} holds numbers that are not finite")
    module.load_state_dict(tensors, strict=False)  # the names were compared


def _compare(file: Path, stored: Kinds, expected: Kinds) -> None:
    for name in sorted(stored.keys() | expected.keys()):
        if name not in stored:
            raise CdredError(f"{file}: lacks {name}, which its config.json asks for")
        if name not in expected:
            raise CdredError(f"{file}: holds {name}, for which there is no place")
        if stored[name] != expected[name]:
            raise CdredError(
                f"{file}: {name} is {_text(stored[name])}, its config.json asks for "
                f"{_text(expected[name])}"
            )


def _dtype(value: torch.Tensor) -> str:
    name = str(value.dtype).removeprefix("torch.")
    return _DTYPES.get(name, name[0].upper() + name.lstrip("abcdefghijklmnopqrstuvwxyz"))


def _text(kind: Kind) -> str:
    return f"{kind.dtype} of {'x'.join(map(str, kind.shape)) or 'one number'}"
