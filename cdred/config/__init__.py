"""The typed configuration: `params.yaml`, which both engines and all stages read, and overlays.

Standard library, yaml and pydantic alone: the engines validate before anything heavy loads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cdred.config.parsing import Place, dump_yaml, read_yaml
from cdred.config.schema import Config

__all__ = ["PARAMS", "Config", "Place", "dump_yaml", "load", "read_yaml", "validate"]

PARAMS = Path("params.yaml")


def load(path: Path = PARAMS) -> Config:
    """Read and validate a complete configuration.

    Raises CdredError naming file, line, key and what would be valid.
    """
    data, places = read_yaml(path)
    return validate(data, places, str(path))


def validate(data: dict[str, Any], places: Place, source: str) -> Config:
    """The typed configuration of plain data, whose keys stand at `places` of `source`.

    Raises CdredError as `load` does.
    """
    from cdred.config.messages import Where
    from cdred.config.rules import check
    from cdred.config.tables import read

    where = Where(places, source)
    config = read(data, where)
    check(config, where)
    return config
