"""The commands on the current experiment: use, check, status and clean."""

from __future__ import annotations

import argparse
from pathlib import Path

from cdred.cli.arguments import Commands
from cdred.config import PARAMS
from cdred.errors import CdredError
from cdred.plan import Plan

_MAKES = "; `snakemake --cores all` or `dvc repro` makes them"


def add(commands: Commands) -> None:
    p = commands.add_parser("use", help="make an experiment of config/ the current one")
    p.add_argument("overlay", type=Path, nargs="?", help="default: params.yaml as it stands")
    p.add_argument("--force", action="store_true", help="even if entries with results change")
    p.set_defaults(run=use)
    p = commands.add_parser("check", help="validate params.yaml and bring dvc.yaml in line with it")
    p.set_defaults(run=check)
    p = commands.add_parser("status", help="what of the experiment is up to date, and why not")
    p.set_defaults(run=status)
    p = commands.add_parser("clean", help="remove what killed runs left and nothing needs")
    p.add_argument("--dry-run", "-n", action="store_true", help="only list it, with its size")
    p.set_defaults(run=clean)


def use(args: argparse.Namespace) -> None:
    from cdred.engines import dvc
    from cdred.plan import overlays

    edited = args.overlay and overlays.is_edited(PARAMS)
    plan = overlays.use(args.overlay, force=args.force) if args.overlay else Plan.load()
    if edited:
        print(f"params.yaml had been edited: its former content is in {overlays.BACKUP}")
    dvc.write(plan)
    print(
        f"experiment {plan.config.experiment.name}: {len(plan.jobs)} jobs, {len(plan.stale())} to "
        f"run{_MAKES}"
    )


def check(args: argparse.Namespace) -> None:
    from cdred.engines import dvc
    from cdred.run import memory

    plan = Plan.load()
    memory.check_plan(plan)
    if dvc.check(plan):  # a `dvc repro` under way has read the old one
        raise CdredError(
            "dvc.yaml listed other jobs than params.yaml asks for and was brought in line; "
            "run `dvc repro` again"
        )


def status(args: argparse.Namespace) -> None:
    from cdred.plan import differences
    from cdred.run import resume

    counts = dict.fromkeys(("up to date", "stale", "missing"), 0)
    for job in (plan := Plan.load()).jobs:
        state, reasons = differences.state(plan, job)
        counts[state] += 1
        begun = state != "up to date" and (resume.FOLDER / job.digest / "state.pt").exists()
        print(f"{state:10}  {job.path}{' (begun: goes on from its saved state)' if begun else ''}")
        for reason in reasons:
            print(f"            {reason}")
    summary = ", ".join(f"{count} {state}" for state, count in counts.items())
    makes = "" if counts["up to date"] == len(plan.jobs) else _MAKES
    print(f"experiment {plan.config.experiment.name} (params.yaml): {summary}{makes}")


def clean(args: argparse.Namespace) -> None:
    from cdred.run import clean as cleaning

    remove, keep = cleaning.leftovers(Path())
    for item in remove:
        print(f"{cleaning.human(item.size):>9}  {item.path}: {item.why}")
    for item in keep:
        print(f"     kept  {item.path}: {item.why} ({cleaning.human(item.size)})")
    if not args.dry_run:
        cleaning.clean(remove)
    total = cleaning.human(sum(item.size for item in remove))
    print(f"{'would remove' if args.dry_run else 'removed'} {len(remove)} leftovers, {total}")
