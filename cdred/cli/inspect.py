"""The commands that look at results: show, diff, verify, cost and tasks."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from cdred import suites
from cdred.cli.arguments import Commands, add_tolerance, command, import_own_modules
from cdred.errors import CdredError
from cdred.plan import Plan


def add(commands: Commands) -> None:
    p = command(commands, "show", "print the report's results", "cdred show")
    p.set_defaults(run=show)
    p = command(
        commands, "diff", "in what two artifacts differ; exit code 1 if they do",
        "cdred diff artifacts/agents/cup-catch/cdred/seed_5 ../other/artifacts/agents/cup-catch/"
        "cdred/seed_5",
    )  # fmt: skip
    p.add_argument("a", type=Path, metavar="A", help="e.g. artifacts/agents/TASK/RUN/seed_0")
    p.add_argument("b", type=Path, metavar="B", help="another, also of another checkout")
    p.set_defaults(run=diff)
    p = command(
        commands, "verify", "check an artifact up its chain and play it again",
        "cdred verify reports/quickstart",
        "Checks the hash of every file that the artifact was made from, and plays evaluations\n"
        "and demonstrations again: on the same kind of machine to the bit. Exit code 1 if they\n"
        "did not come back, 2 if the artifact is not intact.",
    )  # fmt: skip
    p.add_argument(
        "artifact", type=Path, metavar="ARTIFACT",
        help="its folder, e.g. artifacts/agents/TASK/RUN/seed_0",
    )  # fmt: skip
    add_tolerance(p)
    p.set_defaults(run=verify)
    p = command(
        commands, "cost", "time and memory of the experiment's jobs on this machine",
        "cdred cost --estimate bench.json",
    )  # fmt: skip
    p.add_argument(
        "--estimate", type=Path, metavar="FILE",
        help="what it would take at the rates that `cdred bench --json FILE` measured",
    )  # fmt: skip
    p.set_defaults(run=cost)
    p = command(
        commands, "tasks", "the tasks, their sizes, and what is missing on this machine",
        "cdred tasks --suite maniskill2 --missing",
    )  # fmt: skip
    p.add_argument("--suite", choices=suites.NAMES, help="only those of this one (default: all)")
    p.add_argument(
        "--missing", action="store_true",
        help="only those that this machine lacks something for, and what",
    )  # fmt: skip
    p.set_defaults(run=tasks)


def show(args: argparse.Namespace) -> None:
    """Print the report's verdicts and final returns, and where the whole of it is."""
    job = (plan := Plan.load()).report
    if not job.up_to_date():
        raise CdredError(
            f"{job.path}: not up to date; `snakemake --cores all` or `dvc repro` makes it"
        )
    text = (plan.root / job.path / "report.md").read_text(encoding="utf-8")
    print(text.split("\n## Demonstrations")[0])
    print(f"The whole report: {job.path}/report.html; time and memory: cdred cost")


def diff(args: argparse.Namespace) -> int:
    """0 if two artifacts are equal, 1 if they differ."""
    from cdred.plan import differences

    kinds = differences.between(args.a, args.b)
    if not kinds:
        print("no difference")
    for kind, lines in kinds:
        print(f"{kind}:")
        print("\n".join(f"  {line}" for line in lines))
    return 1 if kinds else 0


def verify(args: argparse.Namespace) -> int:
    """0 if all that can be played again came back, 1 if not, 2 if the artifact is not intact."""
    from cdred.run import verify as verification

    path = Path(os.path.abspath(args.artifact))  # artifacts/ may be a link out of the checkout
    if not path.is_relative_to(Path.cwd()):
        path = path.resolve()
    try:
        relative = path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        raise CdredError(f"{args.artifact}: outside of this checkout ({Path.cwd()})") from None
    import_own_modules()
    return 0 if verification.verify(Path(), relative, args.tolerance) else 1


def cost(args: argparse.Namespace) -> None:
    plan = Plan.load()
    if args.estimate is None:
        from cdred.tools import cost

        print(cost.table(plan))
    else:
        from cdred.tools import estimate

        print(estimate.table(plan, args.estimate))


def tasks(args: argparse.Namespace) -> None:
    from cdred.tools import task_table

    chosen = [args.suite] if args.suite else suites.NAMES
    print("\n".join(task_table.missing(chosen) if args.missing else task_table.lines(chosen)))
