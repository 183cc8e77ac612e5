"""`cdred use`: an experiment overlay becomes params.yaml, the file that everything reads."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from cdred import documents, manifest, plugins
from cdred.config import PARAMS, Config, Place, dump_yaml, read_yaml, validate
from cdred.config.parsing import short
from cdred.errors import CdredError, nearest
from cdred.learning.display import display_of
from cdred.plan.jobs import Plan

BASE = Path("config/base.yaml")
BACKUP = f"{PARAMS}.bak"


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
        place = f"{where[('extends',)]}: extends"
        if not isinstance(parent, str):
            raise CdredError(f"{place}: {short(parent)}: it must be the name of one file")
        above = chain[-1].parent / short(parent, 200)
        if not above.is_file():
            beside = [path.name for path in chain[-1].parent.glob("*.yaml")]
            name = short(parent)
            raise CdredError(f"{place}: no file {name!r}; {nearest(name, beside)}")
        if above.resolve() in [path.resolve() for path in chain]:
            raise CdredError(f"{place}: {parent} leads back to itself")
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
    under its name, unless `force`: those results would be replaced by the next run. A params.yaml
    that somebody edited is kept as params.yaml.bak.
    """
    data, config = resolve(overlay, root)
    plan = Plan(config, root)
    if not force and (changed := _changed_entries(plan)):
        raise CdredError(
            f"{overlay}: {', '.join(changed)} would change and already has results here; give it "
            f"another name, or `cdred use --force {overlay}` to let the next run replace them"
        )
    import_own(config)
    path = root / PARAMS
    content = render(overlay, data)
    aside = path.with_suffix(f".yaml.{os.getpid()}")
    if is_edited(path):
        documents.replace(path.with_name(BACKUP), documents.read_bytes(path), aside)
    documents.replace(path, content, aside)
    return plan


def import_own(config: Config) -> None:
    """Tell what is wrong with a task of one's own now, and not at the first job, and with what the
    report shows of a method, not at the last.

    Raises CdredError when one cannot be imported.
    """
    for task in config.experiment.tasks:
        if plugins.REFERENCE.fullmatch(task):
            plugins.load(task)
    for name in config.experiment.runs:
        display_of(config.runs[name].definition)


def render(overlay: Path, data: dict[str, Any]) -> bytes:
    """The content of params.yaml, whose second line holds a hash of what follows it."""
    body = dump_yaml(data).encode()
    return (
        "# yaml-language-server: $schema=config/schema.json\n"
        f"# Resolved by `cdred use {overlay}` ({_hash(body)}); all stages read this file.\n"
    ).encode() + body


def is_edited(path: Path) -> bool:
    """Tell whether params.yaml holds what no `cdred use` wrote."""
    if not path.exists():
        return False
    lines = documents.read_bytes(path).split(b"\n", 2)
    return len(lines) < 3 or f"({_hash(lines[2])})".encode() not in lines[1]


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:12]


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
