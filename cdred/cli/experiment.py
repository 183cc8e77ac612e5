"""The commands on the current experiment: use, check, status and clean."""

from __future__ import annotations

import argparse
from pathlib import Path

from cdred.cli.arguments import Commands, command
from cdred.config import PARAMS
from cdred.errors import CdredError
from cdred.plan import Job, Plan

_MAKES = "; `snakemake --cores all` or `dvc repro` makes them"


def add(commands: Commands) -> None:
    p = command(
        commands, "use", "make an experiment of config/ the current one",
        "cdred use config/baselines_small.yaml",
        "Writes params.yaml, which all stages read, and dvc.yaml. A params.yaml that was edited\n"
        "by hand is kept as params.yaml.bak.",
    )  # fmt: skip
    p.add_argument(
        "overlay", type=Path, nargs="?", metavar="FILE",
        help="a file of config/ (default: params.yaml as it stands)",
    )  # fmt: skip
    p.add_argument("--force", action="store_true", help="even if entries with results change")
    p.set_defaults(run=use)
    p = command(
        commands, "check", "validate params.yaml and bring dvc.yaml in line with it", "cdred check",
        "Also refuses sizes beyond this machine's memory.",
    )  # fmt: skip
    p.set_defaults(run=check)
    p = command(
        commands, "status", "what of the experiment is up to date, why not, and what it will cost",
        "cdred status",
        "A reason is given once; what is to be made only because something before it is, follows.\n"
        "Times are those that jobs of the same kind took in this checkout (`cdred cost`).",
    )  # fmt: skip
    p.set_defaults(run=status)
    p = command(
        commands, "clean", "remove what killed runs left and nothing needs", "cdred clean --dry-run"
    )
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
    from cdred.plan import overlays
    from cdred.run import memory

    plan = Plan.load()
    overlays.import_own(plan.config)
    memory.check_plan(plan)
    if dvc.check(plan):  # a `dvc repro` under way has read the old one
        raise CdredError(
            "dvc.yaml listed other jobs than params.yaml asks for and was brought in line; "
            "run `dvc repro` again"
        )


def status(args: argparse.Namespace) -> None:
    from cdred.plan import differences
    from cdred.run import resume
    from cdred.system import locks

    counts = dict.fromkeys(("up to date", "stale", "missing"), 0)
    first_with: dict[tuple[str, ...], Path] = {}  # reasons, and the first artifact that has them
    wanted = []
    for job in (plan := Plan.load()).jobs:
        state = differences.state(plan, job)
        counts[state.name] += 1
        notes, reasons = [], tuple(state.reasons)
        if state.name != "up to date":
            wanted.append(job)
            if locks.is_held(plan.root, job.path):
                notes.append("is being made")
            elif (resume.FOLDER / job.digest / "state.pt").exists():
                notes.append("begun: goes on from its saved state")
        if state.follows and not reasons:
            notes.append("follows")
        if reasons and first_with.setdefault(reasons, job.path) != job.path:
            notes.append(f"as {first_with[reasons]}")
            reasons = ()
        note = f" ({', '.join(notes)})" if notes else ""
        print(f"{state.name:10}  {job.path}{note}")
        for reason in reasons:
            print(f"            {reason}")
    summary = ", ".join(f"{count} {name}" for name, count in counts.items())
    makes = _MAKES if wanted else ""
    print(f"experiment {plan.config.experiment.name} (params.yaml): {summary}{makes}")
    if wanted:
        print(_cost(plan, wanted))


def _cost(plan: Plan, jobs: list[Job]) -> str:
    """The time that jobs will take, as far as jobs like them ran in this checkout."""
    from cdred.tools import cost
    from cdred.tools.durations import Durations

    durations = Durations(plan)
    known = [seconds for job in jobs if (seconds := durations.seconds(job)) is not None]
    unknown = len(jobs) - len(known)
    measure = "`cdred demo` forecasts as it starts, `cdred bench` and `cdred cost` before"
    if not known:
        return f"time: unknown, as none like them ran here; {measure}"
    took = f"time: about {cost.clock(sum(known))}, one after another, as such jobs took here"
    return f"{took}; {unknown} of {len(jobs)} unknown: {measure}" if unknown else took


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
