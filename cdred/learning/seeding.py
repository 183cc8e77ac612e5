"""Random numbers: independent seeds for each purpose of a job, and the generators' states."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def derive_seed(seed: int, purpose: str) -> int:
    """An independent seed for each purpose of one job (32 bits)."""
    state = np.random.SeedSequence([seed, *purpose.encode()]).generate_state(1)
    return int(state[0])


def derive_seeds(seed: int, purpose: str, count: int) -> list[int]:
    """`count` consecutive seeds, one per episode."""
    base = derive_seed(seed, purpose)
    return [(base + k) % 2**32 for k in range(count)]


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def generator_state(generator: Any) -> Any:
    """The state of a numpy generator of either kind as plain values and tensors; see
    `restore_generator`. `np.random` itself passes for the legacy kind."""
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    name, keys, *rest = generator.get_state()
    return name, torch.from_numpy(np.asarray(keys, np.int64)), *rest


def restore_generator(generator: Any, state: Any) -> None:
    """Set a numpy generator to what `generator_state` returned."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
        return
    name, keys, *rest = state
    generator.set_state((name, keys.numpy().astype(np.uint32), *rest))


def generators() -> dict[str, Any]:
    """The state of the random number generators of Python, numpy and torch, as plain values
    and tensors."""
    version, internal, gauss = random.getstate()
    return {
        "python": (version, torch.tensor(internal), gauss),
        "numpy": generator_state(np.random),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def restore_generators(state: dict[str, Any]) -> None:
    """Set all of them to what `generators` returned."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal.tolist()), gauss))
    restore_generator(np.random, state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


@contextlib.contextmanager
def generators_kept() -> Iterator[None]:
    """Leave the generators as they were to whoever else draws from them."""
    before = generators()
    try:
        yield
    finally:
        restore_generators(before)


def stacked(arrays: list[NDArray[Any]]) -> torch.Tensor:
    """One tensor of many arrays, which take long to save one by one; empty if there are none."""
    return torch.from_numpy(np.stack(arrays)) if arrays else torch.zeros(0)
