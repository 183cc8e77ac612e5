"""Functions of tensors as one graph each, compiled (docs/performance.md)."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import re
import subprocess
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils.stateless import _reparametrize_module
from torch.utils._pytree import tree_map

from cdred.errors import CdredError
from cdred.learning.derived import Execution
from cdred.learning.settings import WorldModelSettings

OPTIONS: dict[str, Any] = {"fallback_random": True}  # else a program would draw other numbers
# One file of C++ for all loops, one for what calls them, and no search for patterns that are not
# there: compiles in half the time, and what it makes is as fast or faster.
ON_CPU: dict[str, Any] = {
    "cpp_wrapper": True, "cpp_wrapper_build_separate": True, "pattern_matcher": False,
}  # fmt: skip
_tracing = False


def is_tracing() -> bool:
    """Tell whether a function is being recorded to be compiled: then code may take the form that
    the compiler makes most of."""
    return _tracing


@contextlib.contextmanager
def _traced() -> Iterator[None]:
    global _tracing
    _tracing = True
    try:
        with torch.random.fork_rng():
            yield
    finally:
        _tracing = False


def matrix_precision(s: WorldModelSettings, device: torch.device) -> AbstractContextManager[Any]:
    """A context whose matrix products are made in `s.precision`; networks return float32."""
    if s.precision != "bfloat16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


@contextlib.contextmanager
def tensor_float32(s: WorldModelSettings, device: torch.device) -> Iterator[None]:
    """Let a CUDA device multiply float32 as TF32, on its tensor cores, with a mantissa of 10
    bits, if the settings say so."""
    if s.precision != "tf32" or device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def tensors_of(networks: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, none of which asks for a gradient."""
    named = [*networks.named_parameters(), *networks.named_buffers()]
    return {name: tensor.detach() for name, tensor in named}


def call(
    networks: nn.Module, tensors: Mapping[str, Tensor], function: Callable[..., Any],
    *arguments: Any,
) -> Any:  # fmt: skip
    """A function that reads these networks, with `tensors` in place of theirs."""
    with _reparametrize_module(networks, dict(tensors)):
        return function(*arguments)


class Graph:
    """A function of tensors to tensors. `compiled`: as one program made of all that it does,
    gradients and changes of its arguments in place included; the same random numbers and, but for
    rounding, the same results. Compiled at the first call, and again for other shapes.

    On CUDA, compiled or `captured`, the kernels of a call are launched at once, from the second
    call on.

    The function must not depend on values of the tensors, and reads no tensor but its arguments
    and those of `networks`.
    """

    def __init__(
        self, function: Callable[..., Any], execution: Execution, networks: nn.Module | None = None
    ) -> None:
        self.function, self.execution = function, execution
        self.networks = networks if networks is not None else nn.Module()
        if execution == "compiled":
            check_compiler()
        self._programs: dict[Any, Callable[..., Any]] = {}

    def __call__(self, kept: Sequence[Tensor], given: Sequence[Tensor], *constants: Any) -> Any:
        """The function of tensors that stay in their place from call to call, and of others, one by
        one, then constants."""
        on_cuda = given[0].device.type == "cuda"
        if self.execution == "eager" or (self.execution == "captured" and not on_cuda):
            return self.function(*kept, *given, *constants)
        named = tensors_of(self.networks)
        kept = [*named.values(), *kept]
        tensors = [*kept, *given]
        places = [tensor.data_ptr() for tensor in kept] if on_cuda else []
        key = (constants, *(tensor.shape for tensor in tensors), *places)
        program = self._programs.get(key)
        if program is None:
            recorded = self._record(tensors, list(named), constants)
            program = recorded
            if self.execution == "compiled":
                program = _generate(recorded, tensors, on_cuda)
            self._programs[key] = program
            return program(*tensors)
        if on_cuda and not isinstance(program, Captured):
            program = self._programs[key] = Captured(program, kept, given)
        return program(*tensors)

    def _record(
        self, tensors: Sequence[Tensor], names: list[str], constants: Sequence[Any]
    ) -> GraphModule:
        """The operations of a call, one after the other, gradients included."""

        def of_tensors(*arguments: Tensor) -> Any:
            count = len(names)
            own = dict(zip(names, arguments[:count], strict=True))
            return call(self.networks, own, self.function, *arguments[count:], *constants)

        with _traced():
            return make_fx(of_tensors, tracing_mode="fake")(*tensors)


def _generate(
    recorded: GraphModule, tensors: Sequence[Tensor], on_cuda: bool
) -> Callable[..., Any]:
    """Compile the traced operations. torch.compile would trace them once more, and check its guards
    at each call."""
    import torch._inductor  # takes seconds

    # It warns of a compiler of CUDA that is there without a device.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    options = OPTIONS | ({} if on_cuda else ON_CPU)
    with _compiling(recorded.code):
        return torch._inductor.compile(recorded, [*tensors], options=options)


class Captured:
    """A program on CUDA as one graph of its kernels, which are launched together
    (torch.cuda.CUDAGraph). It reads and changes the tensors `kept` where they are, and copies of
    those `given`."""

    def __init__(
        self, program: Callable[..., Any], kept: Sequence[Tensor], given: Sequence[Tensor]
    ) -> None:
        self.start, self.given = len(kept), [tensor.clone() for tensor in given]
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(kept[0].device), torch.cuda.graph(self.graph):
            self.results = program(*kept, *self.given)

    def __call__(self, *tensors: Tensor) -> Any:
        for own, tensor in zip(self.given, tensors[self.start :], strict=True):
            own.copy_(tensor)
        self.graph.replay()
        return tree_map(torch.clone, self.results)  # as the next call writes to the same memory


@contextlib.contextmanager
def _compiling(code: str) -> Iterator[None]:
    """A lock on the cache for one program: of jobs that need the same, one compiles it and the
    others take it from there."""
    folder = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    if folder is None:
        yield
        return
    name = hashlib.sha256(code.encode()).hexdigest()[:32]
    Path(folder).mkdir(parents=True, exist_ok=True)
    with FileLock(Path(folder) / f"{name}.lock"):
        yield


def check_compiler() -> None:
    """Raise CdredError unless there is a C++ compiler, with what it needs to know of Python."""
    compiler = os.environ.get("CXX", "g++")
    if "CXX" in os.environ and not _compiles(compiler):
        raise CdredError(
            f"compile: CXX={compiler[:100]}: not a C++ compiler; it must be one program without "
            f"arguments, such as g++"
        )
    header = Path(sysconfig.get_path("include")) / "Python.h"
    for name, present in ((compiler, _compiles(compiler)), (str(header), header.is_file())):
        if not present:
            raise CdredError(
                f"compile: {name} is missing here; install g++ and Python's headers (apt install "
                f"g++ python3-dev), or set compile: false"
            )


@functools.cache
def _compiles(compiler: str) -> bool:
    """Tell whether a program knows C++, by what it makes of the name of the standard's version."""
    command = [compiler, "-x", "c++", "-E", "-P", "-"]
    try:
        done = subprocess.run(command, input=b"__cplusplus", capture_output=True, timeout=60)
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and re.fullmatch(rb"\d+L", done.stdout.strip()) is not None
