"""The commands on the current experiment: use, check, status and clean."""

from __future__ import annotations

import argparse
from pathlib import Path

from cdred.cli.arguments import Commands
from cdred.errors import CdredError
from cdred.plan import Plan, check_target


def add(commands: Commands) -> None:
    p = commands.add_parser("use", help="make an experiment of config/ the current one")
    p.add_argument("overlay", type=Path, nargs="?", help="default: params.yaml as it stands")
    p.add_argument("--force", action="store_true", help="even if entries with results change")
    p.set_defaults(run=use)
    p = commands.add_parser("check", help="validate params.yaml and bring dvc.yaml in line with it")
    p.add_argument("--follow", action="store_true", help="go on if dvc.yaml had to change")
    p.set_defaults(run=check)
    p = commands.add_parser("status", help="what of the experiment is up to date")
    p.set_defaults(run=status)
    p = commands.add_parser("clean", help="remove what killed runs left and nothing needs")
    p.add_argument("--dry-run", "-n", action="store_true", help="only list it, with its size")
    p.set_defaults(run=clean)


def use(args: argparse.Namespace) -> None:
    from cdred import dvc, experiments

    plan = experiments.use(args.overlay, force=args.force) if args.overlay else Plan.load()
    dvc.write(plan)
    stale = sum(not job.up_to_date() for job in plan.jobs)
    print(
        f"experiment {plan.config.experiment.name}: {len(plan.jobs)} jobs, {stale} to run; "
        f"`snakemake --cores all` or `dvc repro` runs them"
    )


def check(args: argparse.Namespace) -> None:
    from cdred import dvc

    plan = Plan.load()
    for job in plan.jobs:  # DVC deletes what stands where a stage writes
        check_target(plan.root / job.path)
    if dvc.write(plan) and not args.follow:  # a `dvc repro` under way has read the old one
        raise CdredError(
            "dvc.yaml listed other jobs than params.yaml asks for and was brought in line; "
            "run `dvc repro` again"
        )


def status(args: argparse.Namespace) -> None:
    from cdred import manifest, state

    for job in (plan := Plan.load()).jobs:
        made = manifest.read(job.path) is not None  # engines make empty folders
        condition = "up to date" if job.up_to_date() else "stale" if made else "missing"
        begun = condition != "up to date" and (state.FOLDER / job.digest / "state.pt").exists()
        note = " (begun: goes on from its saved state)" if begun else ""
        print(f"{condition:10}  {job.path}{note}")
    print(f"experiment {plan.config.experiment.name}: params.yaml")


def clean(args: argparse.Namespace) -> None:
    from cdred import cleaning

    remove, keep = cleaning.leftovers(Path())
    for item in remove:
        print(f"{cleaning.human(item.size):>9}  {item.path}: {item.why}")
    for item in keep:
        print(f"     kept  {item.path}: {item.why} ({cleaning.human(item.size)})")
    if not args.dry_run:
        cleaning.clean(remove)
    total = cleaning.human(sum(item.size for item in remove))
    print(f"{'would remove' if args.dry_run else 'removed'} {len(remove)} leftovers, {total}")
