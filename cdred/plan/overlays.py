"""`cdred use`: an experiment overlay becomes params.yaml, the file that everything reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from cdred import manifest
from cdred.config import PARAMS, Config, Place, read_yaml, validate
from cdred.errors import CdredError, nearest
from cdred.plan.jobs import Plan

BASE = Path("config/base.yaml")


def resolve(overlay: Path, root: Path = Path()) -> tuple[dict[str, Any], Config]:
    """Base, what `extends` names, and the overlay, merged key by key and validated."""
    if not overlay.exists():
        known = [path.relative_to(root).as_posix() for path in (root / "config").glob("*.yaml")]
        raise CdredError(f"{overlay}: no such file; {nearest(str(overlay), known)}")
    data: dict[str, Any] = {}
    places: Place = {}
    chain = [overlay]
    while True:
        layer, where = read_yaml(chain[-1])
        parent = layer.get("extends")
        if parent is None:
            break
        above = chain[-1].parent / str(parent)
        if not above.is_file():
            beside = [path.name for path in chain[-1].parent.glob("*.yaml")]
            hint = nearest(str(parent), beside)
            raise CdredError(f"{where[('extends',)]}: extends: no file {parent!r}; {hint}")
        if above.resolve() in [path.resolve() for path in chain]:
            raise CdredError(f"{where[('extends',)]}: extends: {parent} leads back to itself")
        chain.append(above)
    if (base := root / BASE).resolve() not in [path.resolve() for path in chain]:
        chain.append(base)
    for path in reversed(chain):
        layer, where = read_yaml(path)
        layer.pop("extends", None)
        _merge(data, layer)
        places |= where
    return data, validate(data, places, str(overlay))


def use(overlay: Path, root: Path = Path(), force: bool = False) -> Plan:
    """Write params.yaml from an overlay.

    Raises CdredError, and writes nothing, when an entry that already has results here would change
    under its name, unless `force`: those results would be replaced by the next run.
    """
    data, config = resolve(overlay, root)
    plan = Plan(config, root)
    if not force and (changed := _changed_entries(plan)):
        raise CdredError(
            f"{overlay}: {', '.join(changed)} would change and already has results here; give it "
            f"another name, or `cdred use --force {overlay}` to let the next run replace them"
        )
    header = (
        "# yaml-language-server: $schema=config/schema.json\n"
        f"# Resolved by `cdred use {overlay}`; both engines and all stages read this file.\n"
    )
    path = root / PARAMS
    aside = path.with_suffix(f".yaml.{os.getpid()}")
    aside.write_text(header + yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    aside.replace(path)
    return plan


def _merge(data: dict[str, Any], layer: dict[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, dict) and isinstance(data.get(key), dict):
            _merge(data[key], value)
        else:
            data[key] = value


def _changed_entries(plan: Plan) -> list[str]:
    """Entries of experts, demos and runs whose results here were made from other parameters,
    presets and defaults resolved. Code does not count: it makes results stale under any name."""
    changed = []
    for job in plan.jobs:
        have = manifest.read(plan.root / job.path)
        named = job.stage in ("expert", "demos", "imitate")
        if named and have is not None and have.get("params") != job.params:
            changed.append(job.dvc_params[0])
    return sorted(set(changed))
