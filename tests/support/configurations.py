"""A small valid configuration, and ways to break it."""

from __future__ import annotations

import random
import re
from pathlib import Path

GOOD = """\
experiment:
  name: small
  tasks: [cup-catch]
  runs: [cdred]
  seeds: [0]
experts:
  expert: {preset: small, steps: 3000}
demos:
  expert-5: {expert: expert, episodes: 5}
runs:
  cdred:
    method: cdred
    preset: small
    demos: expert-5
    zeta: 0.7
"""


def write(tmp_path: Path, old: str = "", new: str = "") -> Path:
    """The configuration with one part replaced, as params.yaml."""
    assert old in GOOD
    path = tmp_path / "params.yaml"
    path.write_text(GOOD.replace(old, new) if old else GOOD)
    return path


# What somebody may write where something else belongs.
STRANGE = (
    "", "~", "true", "yes", "0", "-1", "1e12", "1000000000000", "1e400", ".nan", "-.inf", "010",
    "1:30", "1_000", "2024-02-30", "9" * 5000, "x" * 5000, "[]", "{}", "[[[[[[", "{a: {b: {c: d}}}",
    "&a [*a]", "*a", "!!int x", "!!python/name:os.system", "|", "> x", "'", '"\\ud800"', '"\\0"',
    '"\\e[31m"', '"a\\nb"', "a: b", "<<: 1", "../../x", "/dev/zero", "/proc", "x" * 300, "os:system",
    "a.b:c", "café", "rgb", "cup-catch", "expert-5", "cfil", "bc", "small", "paper", "0.5", "8192",
)  # fmt: skip
KEYS = (
    "steps", "seed_steps", "horizon", "latent_dim", "mlp_dim", "conv_channels", "num_q", "num_bins",
    "batch_size", "buffer_size", "eval_episodes", "log_every", "updates_per_step", "symlog_max",
    "discount_max", "zeta", "keep", "obs", "seed", "source", "path", "checkpoint", "revision",
    "method", "preset", "episodes", "stride", "extends", "settings", "<<", "model_fields", "compute",
    "threads", "hub", "namespace", "evaluation", "1", "null", "x" * 300,
)  # fmt: skip


def broken(rng: random.Random) -> bytes:
    """The configuration with a few faults of the kinds that editors, people and programs make."""
    lines = GOOD.splitlines()
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(lines))
        _FAULTS[rng.randrange(len(_FAULTS))](lines, at, rng)
        lines = lines or [""]
    content = bytearray("\n".join(lines).encode())
    for _ in range(rng.choice((0,) * 9 + (4,))):
        at = rng.randrange(len(content) + 1)
        content[at : at + 1] = bytes([rng.randrange(256)])
    return bytes(content)


def _value(lines: list[str], at: int, rng: random.Random) -> None:
    key, colon, _ = lines[at].partition(":")
    lines[at] = f"{key}{colon} {rng.choice(STRANGE)}"


def _inner(lines: list[str], at: int, rng: random.Random) -> None:
    words = re.split(r"(?<=[\[{:, ])(?=\w)|(?<=\w)(?=[\]},:])", lines[at])
    words[rng.randrange(len(words))] = rng.choice(STRANGE)
    lines[at] = "".join(words)


def _key(lines: list[str], at: int, rng: random.Random) -> None:
    indent = " " * rng.choice((0, 2, 4))
    lines.insert(at, f"{indent}{rng.choice(KEYS)}: {rng.choice(STRANGE)}")


def _rename(lines: list[str], at: int, rng: random.Random) -> None:
    lines[at] = re.sub(
        r"\w[\w-]*", rng.choice((*KEYS, *STRANGE)).replace("\\", ""), lines[at], count=1
    )


def _remove(lines: list[str], at: int, rng: random.Random) -> None:
    del lines[at : at + rng.randint(1, 2)]


def _repeat(lines: list[str], at: int, rng: random.Random) -> None:
    lines[at:at] = [lines[at]] * rng.choice((1, 1, 500))


def _indent(lines: list[str], at: int, rng: random.Random) -> None:
    lines[at] = rng.choice(("", " ", "   ", "\t")) + lines[at].strip()


_FAULTS = (_value, _value, _inner, _key, _key, _rename, _remove, _repeat, _indent)
