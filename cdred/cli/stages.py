"""The commands that run a stage: expert, demos, imitate, evaluate and report."""

from __future__ import annotations

import argparse
from pathlib import Path

from cdred.cli.arguments import Commands, add_tolerance, command, import_own_modules, repository
from cdred.envs.tasks import file_name
from cdred.errors import CdredError, nearest
from cdred.plan import ENTRY_OPTION, STAGES, Job, Plan
from cdred.system.progress import configure_logging

_HELP = {  # the sentence, and the arguments of an example
    "expert": (
        "train an expert from the environment's reward", "--task cup-catch --expert expert",
    ),
    "demos": ("collect demonstrations of an expert", "--task cup-catch --demos expert-10"),
    "imitate": (
        "train an agent from demonstrations, without rewards",
        "--task cup-catch --run cdred --seed 5",
    ),
    "evaluate": (
        "play seeded episodes of a trained agent or expert",
        "--task cup-catch --run cdred --seed 5",
    ),
    "report": ("make the tables and figures of the experiment", "--quiet"),
}  # fmt: skip
_ENTRIES = {  # of params.yaml, by the option that names one
    "expert": "an entry of experts", "demos": "an entry of demos", "run": "an entry of runs",
}  # fmt: skip


def add(commands: Commands) -> None:
    for stage in STAGES:
        sentence, example = _HELP[stage]
        p = command(
            commands, stage, sentence, f"cdred {stage} {example}",
            "Makes one artifact of the experiment in params.yaml; its inputs must be up to date.\n"
            "`snakemake --cores all` and `dvc repro` run the stages in their order.",
        )  # fmt: skip
        p.set_defaults(run=evaluate if stage == "evaluate" else make)
        if stage in ENTRY_OPTION:
            option, needed = ENTRY_OPTION[stage], stage != "evaluate"
            p.add_argument("--task", required=needed, help="a task of the experiment")
            what = _ENTRIES[option] + (", or expert's name" if stage == "evaluate" else "")
            p.add_argument(f"--{option}", dest="entry", required=needed, metavar="NAME", help=what)
        if stage in ("imitate", "evaluate"):
            p.add_argument(
                "--seed", type=int, required=stage == "imitate", metavar="N",
                help="one of the experiment's seeds",
            )  # fmt: skip
        if stage == "evaluate":
            p.add_argument(
                "--checkpoint", metavar="ID[@REVISION]",
                help="instead of all these: pull this agent from the Hub, play its evaluation "
                "again and compare",
            )  # fmt: skip
            add_tolerance(p)
        p.add_argument(
            "--log", type=Path, metavar="FILE", help="write the log to FILE beside logs/"
        )
        p.add_argument("--quiet", action="store_true", help="print errors alone")


def make(args: argparse.Namespace) -> None:
    """Make the artifact of one job."""
    from cdred.run.stages import run

    plan = Plan.load()
    job = _job(plan, args)
    configure_logging([plan.root / job.log, args.log], args.quiet)
    run(plan, job)


def evaluate(args: argparse.Namespace) -> int:
    """Evaluate an agent of the experiment, or with --checkpoint play the evaluation of a published
    one again: 0 if it came back, 1 if not."""
    given = {"task": args.task, "run": args.entry, "seed": args.seed}
    if args.checkpoint is None:
        for name, value in given.items():
            if value is None:
                raise CdredError(f"evaluate: --{name}: missing (or give --checkpoint alone)")
        make(args)
        return 0
    for name, value in given.items():
        if value is not None:
            raise CdredError(f"evaluate: --{name} has no meaning with --checkpoint, which knows it")
    from cdred.run.verify import verify_pulled

    import_own_modules()
    return 0 if verify_pulled(*repository(args.checkpoint), args.tolerance) else 1


def _job(plan: Plan, args: argparse.Namespace) -> Job:
    """The job that the arguments name, or an error that gives the nearest valid name."""
    if args.command == "report":
        return plan.report
    jobs = plan.of(args.command)
    # Engines name tasks as paths do.
    task = next((j.task for j in jobs if args.task == file_name(j.task)), args.task)
    seed = getattr(args, "seed", None)
    for key, given, valid in (
        ("task", task, [j.task for j in jobs]),
        (ENTRY_OPTION[args.command], args.entry, [j.entry for j in jobs if j.task == task]),
        ("seed", seed, [j.seed for j in jobs if (j.task, j.entry) == (task, args.entry)]),
    ):
        if given is not None and given not in valid:
            names = list(dict.fromkeys(map(str, valid)))
            raise CdredError(
                f"--{key} {given}: not part of experiment {plan.config.experiment.name!r} "
                f"(params.yaml); {nearest(str(given), names)}"
            )
    return plan.job(args.command, task, args.entry, 0 if seed is None else seed)
