"""A small valid configuration, and ways to break it."""

from __future__ import annotations

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
