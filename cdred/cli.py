"""The command line: nothing but arguments."""

from __future__ import annotations

import argparse
import errno
import math
import os
import signal
import sys
from pathlib import Path

from cdred import __version__
from cdred.errors import CdredError, nearest
from cdred.plan import ENTRY_OPTION, STAGES, Job, Plan
from cdred.progress import configure_logging, to_log

_FULL = (errno.ENOSPC, errno.EDQUOT)
_STAGE_HELP = {
    "expert": "train an expert from the environment's reward",
    "demos": "collect demonstrations of an expert",
    "imitate": "train an agent from demonstrations, without rewards",
    "evaluate": "play seeded episodes of a trained agent or expert",
    "report": "tables and figures of the experiment",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise CdredError(f"{message} (see {self.prog} --help)")


def parser() -> argparse.ArgumentParser:
    top = _Parser(prog="cdred", description="Reproduce CDRED as cached stages.")
    top.add_argument("--version", action="version", version=f"cdred {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for stage in STAGES:
        p = commands.add_parser(stage, help=_STAGE_HELP[stage], description=_STAGE_HELP[stage])
        if stage in ENTRY_OPTION:
            option, needed = ENTRY_OPTION[stage], stage != "evaluate"
            p.add_argument("--task", required=needed, help="a task of the experiment")
            p.add_argument(f"--{option}", dest="entry", required=needed, metavar="NAME")
        if stage in ("imitate", "evaluate"):
            p.add_argument("--seed", type=int, required=stage == "imitate")
        if stage == "evaluate":
            p.add_argument(
                "--checkpoint", metavar="ID[@REVISION]",
                help="instead of all these: pull this agent from the Hub, play its evaluation "
                "again and compare",
            )  # fmt: skip
            _add_tolerance(p)
        p.add_argument(
            "--log", type=Path, metavar="FILE", help="write the log to FILE beside logs/"
        )
        p.add_argument("--quiet", action="store_true", help="print errors alone")
    p = commands.add_parser("use", help="make an experiment of config/ the current one")
    p.add_argument("overlay", type=Path, nargs="?", help="default: params.yaml as it stands")
    p.add_argument("--force", action="store_true", help="even if entries with results change")
    commands.add_parser("check", help="validate params.yaml and bring dvc.yaml in line with it")
    commands.add_parser("status", help="what of the experiment is up to date, and why it is not")
    p = commands.add_parser("diff", help="in what two artifacts differ; exit code 1 if they do")
    p.add_argument("a", type=Path, metavar="A", help="e.g. artifacts/agents/TASK/RUN/seed_0")
    p.add_argument("b", type=Path, metavar="B", help="another, also of another checkout")
    commands.add_parser("show", help="print the report's results")
    p = commands.add_parser("verify", help="check an artifact up its chain and play it again")
    p.add_argument("artifact", type=Path, help="e.g. artifacts/agents/TASK/RUN/seed_0")
    _add_tolerance(p)
    p = commands.add_parser("publish", help="upload agents, and what they come from, to the Hub")
    p.add_argument("artifact", type=Path, nargs="*", help="default: all agents of the experiment")
    p.add_argument("--release", default=f"v{__version__}", metavar="TAG", help="(%(default)s)")
    p.add_argument("--dry-run", "-n", action="store_true", help="only write what would be uploaded")
    p.add_argument("--out", type=Path, metavar="DIR", help="where a dry run writes it")
    p = commands.add_parser("pull", help="fetch what cdred published from the Hub, and check it")
    p.add_argument("repository", metavar="ID[@REVISION]", help="revision: commit, tag or branch")
    p.add_argument("--dataset", action="store_true", help="demonstrations; default: an agent")
    p = commands.add_parser(
        "results", help="enter what is finished into results/, for docs/results.md"
    )
    p.add_argument("--page", action="store_true", help="only write docs/results.md again")
    p.add_argument("--force", action="store_true", help="even if agents entered before are lost")
    p = commands.add_parser("register", help="enter evaluated agents into MLflow's model registry")
    p.add_argument(
        "artifact", type=Path, nargs="*", help="default: all agents and experts with weights"
    )
    commands.add_parser("tasks", help="the tasks, their sizes, and what is missing on this machine")
    p = commands.add_parser("cost", help="time and memory of the experiment's jobs on this machine")
    p.add_argument(
        "--estimate", type=Path, metavar="FILE",
        help="what it would take at the rates that `cdred bench --json FILE` measured",
    )  # fmt: skip
    p = commands.add_parser(
        "gridworld", help="what coupling does, computed exactly in a small grid"
    )
    p.add_argument("--out", type=Path, metavar="FILE.png", help="draw it as well")
    p = commands.add_parser("bench", help="how fast the learner is here, each option against none")
    p.add_argument("--sizes", choices=("paper", "small"), nargs="+", default=["paper", "small"])
    p.add_argument("--threads", type=int, default=2, metavar="N", help="(default: %(default)s)")
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    p.add_argument("--rounds", type=int, default=5, metavar="N", help="(default: %(default)s)")
    p.add_argument("--no-compile", action="store_true", help="leave out what takes minutes")
    p.add_argument("--seconds", type=float, default=math.inf, metavar="N", help="then stop early")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the table to FILE, as it comes")
    p = commands.add_parser("track", help="what MLflow has not been told yet")
    p.add_argument("--deliver", action="store_true", help="tell it now")
    p = commands.add_parser("clean", help="remove what killed runs left and nothing needs")
    p.add_argument("--dry-run", "-n", action="store_true", help="only say what and how much")
    commands.add_parser("record", help="enter finished results into DVC")
    commands.add_parser("cache", help="remove what is damaged in DVC's cache, and say what")
    p = commands.add_parser("container", help="run a command in the image of compute.container")
    p.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="e.g. dvc repro")
    return top


def _add_tolerance(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--tolerance", type=float, default=0.05, metavar="SHARE",
        help="on another kind of machine: allowed difference of an episode's return, as a share of "
        "the largest recorded (default: %(default)s)",
    )  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    try:
        status = _dispatch(parser().parse_args(argv))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `cdred status | head`: its reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except CdredError as exc:
        print(f"cdred: {exc}", file=sys.stderr)
        to_log(f"error: {exc}")
        return 2
    except ModuleNotFoundError as exc:
        if (exc.name or "cdred").split(".")[0] == "cdred":
            raise
        print(
            f"cdred: this needs {exc.name}, which is not installed: `make setup`", file=sys.stderr
        )
        return 2
    except OSError as exc:
        if exc.errno in (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES):
            where = exc.filename or Path.cwd()
            again = "; make room and run the same again" if exc.errno in _FULL else ""
            print(f"cdred: {where}: cannot be written: {exc.strerror}{again}", file=sys.stderr)
            return 2
        raise
    except KeyboardInterrupt:
        print("cdred: interrupted", file=sys.stderr)
        return 130


def _dispatch(args: argparse.Namespace) -> int:
    if args.command == "evaluate" and args.checkpoint is not None:
        return _evaluate_pulled(args)
    if args.command in STAGES:
        from cdred.run import stages

        plan = Plan.load()
        job = _job(plan, args)
        configure_logging([plan.root / job.log, args.log], args.quiet)
        stages.run(plan, job)
    elif args.command == "use":
        return _use(args)
    elif args.command == "check":
        return _check()
    elif args.command == "status":
        return _status()
    elif args.command == "diff":
        return _diff(args.a, args.b)
    elif args.command == "show":
        return _show()
    elif args.command == "verify":
        return _verify(args)
    elif args.command == "publish":
        _publish(args)
    elif args.command == "pull":
        _pull(args)
    elif args.command == "register":
        from cdred import registering

        plan = Plan.load()
        registering.register(plan, registering.choose(plan, args.artifact), print)
    elif args.command == "tasks":
        from cdred import listing

        print("\n".join(listing.lines()))
    elif args.command == "results":
        _results(args)
    elif args.command == "cost":
        print(_cost(args.estimate))
    elif args.command == "gridworld":
        _gridworld(args.out)
    elif args.command == "bench":
        return _bench(args)
    elif args.command == "track":
        return _track(args.deliver)
    elif args.command == "clean":
        return _clean(args.dry_run)
    elif args.command == "cache":
        from cdred.engines import sharing

        sharing.drop_damaged()
    elif args.command == "container":
        from cdred import container
        from cdred.config import load

        if not args.words:
            raise CdredError("container: give a command to run in it, e.g. dvc repro")
        container.execute(load().compute.container, args.words)
    elif args.command == "record":
        from cdred.engines import dvc

        print(f"{dvc.record(Plan.load())} artifacts recorded; `dvc push` shares them")
    return 0


def _job(plan: Plan, args: argparse.Namespace) -> Job:
    """The job that the arguments name, or an error that gives the nearest valid name."""
    if args.command == "report":
        return plan.report
    if args.command == "evaluate":
        for name, given in (("task", args.task), ("run", args.entry), ("seed", args.seed)):
            if given is None:
                raise CdredError(f"evaluate: --{name}: missing (or give --checkpoint alone)")
    jobs = plan.of(args.command)
    option = ENTRY_OPTION[args.command]
    seed = getattr(args, "seed", None)
    for key, given, valid in (
        ("task", args.task, [j.task for j in jobs]),
        (option, args.entry, [j.entry for j in jobs if j.task == args.task]),
        ("seed", seed, [j.seed for j in jobs if (j.task, j.entry) == (args.task, args.entry)]),
    ):
        if given is not None and given not in valid:
            names = list(dict.fromkeys(map(str, valid)))
            raise CdredError(
                f"--{key} {given}: not part of experiment {plan.config.experiment.name!r} "
                f"(params.yaml); {nearest(str(given), names)}"
            )
    return plan.job(args.command, args.task, args.entry, 0 if seed is None else seed)


def _use(args: argparse.Namespace) -> int:
    from cdred.engines import dvc
    from cdred.plan import overlays

    plan = overlays.use(args.overlay, force=args.force) if args.overlay else Plan.load()
    dvc.write(plan)
    stale = len(plan.stale())
    print(
        f"experiment {plan.config.experiment.name}: {len(plan.jobs)} jobs, {stale} to run; "
        f"`snakemake --cores all` or `dvc repro` runs them"
    )
    return 0


def _check() -> int:
    from cdred.engines import dvc

    if dvc.check(Plan.load()):  # a `dvc repro` under way has read the old one
        raise CdredError(
            "dvc.yaml listed other jobs than params.yaml asks for and was brought in line; "
            "run `dvc repro` again"
        )
    return 0


def _status() -> int:
    from cdred.plan import differences
    from cdred.run import resume

    for job in (plan := Plan.load()).jobs:
        state, reasons = differences.state(plan, job)
        begun = state != "up to date" and (resume.FOLDER / job.digest / "state.pt").exists()
        print(f"{state:10}  {job.path}{' (begun: goes on from its saved state)' if begun else ''}")
        for reason in reasons:
            print(f"            {reason}")
    print(f"experiment {plan.config.experiment.name}: params.yaml")
    return 0


def _diff(a: Path, b: Path) -> int:
    """0 if two artifacts are equal, 1 if they differ."""
    from cdred.plan import differences

    kinds = differences.between(a, b)
    for kind, lines in kinds:
        print(f"{kind}:")
        print("\n".join(f"  {line}" for line in lines))
    return 1 if kinds else 0


def _show() -> int:
    """The report's verdicts and final returns, and where the whole of it is."""
    job = (plan := Plan.load()).report
    if not job.up_to_date():
        raise CdredError(
            f"{job.path}: not up to date; `snakemake --cores all` or `dvc repro` makes it"
        )
    text = (plan.root / job.path / "report.md").read_text(encoding="utf-8")
    print(text.split("\n## Demonstrations")[0])
    print(f"The whole report: {job.path}/report.html; time and memory: cdred cost")
    return 0


def _verify(args: argparse.Namespace) -> int:
    """0 if all that can be played again came back, 1 if not, 2 if the artifact is not intact."""
    from cdred.run import verify

    path = args.artifact.resolve()
    try:
        relative = path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        raise CdredError(f"{args.artifact}: outside of this checkout ({Path.cwd()})") from None
    return 0 if verify.verify(Path(), relative, args.tolerance) else 1


def _evaluate_pulled(args: argparse.Namespace) -> int:
    """0 if the evaluation came back, 1 if not."""
    from cdred.run import verify

    for name, given in (("task", args.task), ("run", args.entry), ("seed", args.seed)):
        if given is not None:
            raise CdredError(f"evaluate: --{name} has no meaning with --checkpoint, which knows it")
    name, _, revision = args.checkpoint.partition("@")
    return 0 if verify.verify_pulled(name, revision or None, args.tolerance) else 1


def _publish(args: argparse.Namespace) -> None:
    import tempfile

    from cdred import publishing

    if args.dry_run != (args.out is not None):
        raise CdredError("publish: --dry-run and --out DIR go together")
    plan = Plan.load()
    chosen = publishing.choose(plan, args.artifact)
    if args.dry_run:
        for folder in publishing.write(plan, chosen, args.release, args.out):
            print(folder)
        return
    with tempfile.TemporaryDirectory() as aside:
        folders = publishing.write(plan, chosen, args.release, Path(aside))
        publishing.upload(plan, chosen, folders, args.release, print)


def _pull(args: argparse.Namespace) -> None:
    from cdred import hub

    name, _, revision = args.repository.partition("@")
    pulled = hub.pull(name, "dataset" if args.dataset else "model", revision or None)
    p = pulled.publication
    print(f"pulled      {name}: {p['kind']} of {p['task']}, release {p['release']}, intact")
    print(f"revision    {pulled.commit}")
    print(f"folder      {pulled.folder}")


def _gridworld(out: Path | None) -> None:
    from cdred import gridworld

    if out and (out.suffix != ".png" or not out.absolute().parent.is_dir()):
        raise CdredError(f"gridworld: --out {out}: the name of a .png in a directory that exists")
    found = gridworld.run()
    print(gridworld.table(found))
    if out:
        gridworld.draw(found, out)
        print(out)


def _cost(benchmark: Path | None) -> str:
    plan = Plan.load()
    if benchmark is None:
        from cdred import cost

        return cost.table(plan)
    from cdred import estimate

    return estimate.table(plan, benchmark)


def _results(args: argparse.Namespace) -> None:
    from cdred import results

    if not args.page:
        print(results.enter(Plan.load(), args.force))
    results.PAGE.write_text(results.page(), encoding="utf-8")
    print(results.PAGE)


def _bench(args: argparse.Namespace) -> int:
    for name in ("threads", "rounds", "seconds"):
        if not getattr(args, name) >= 1:
            raise CdredError(f"bench: --{name} {getattr(args, name)}: at least 1")
    if args.json and not args.json.absolute().parent.is_dir():
        raise CdredError(f"bench: --json {args.json}: no such directory")
    from cdred import bench

    found = bench.run(
        args.sizes, args.threads, args.device, args.rounds, not args.no_compile,
        lambda text: print(f"bench: {text}", file=sys.stderr), args.seconds, args.json,
    )  # fmt: skip
    print(bench.table(found))
    return 0


def _track(deliver: bool) -> int:
    from cdred import delivery

    root = Path()
    files = delivery.waiting(root)
    if deliver and files:
        delivery.deliver(root)
        print(f"{len(files)} runs delivered")
    elif files:
        print(f"{len(files)} runs wait in {delivery.SPOOL}; `cdred track --deliver` delivers them")
        print(delivery.last_error(root), end="")
    else:
        print("nothing waits to be delivered to MLflow")
    return 0


def _clean(dry_run: bool) -> int:
    from cdred.run import clean as cleaning

    remove, keep = cleaning.leftovers(Path())
    for item in remove:
        print(f"{cleaning.human(item.size):>9}  {item.path}: {item.why}")
    for item in keep:
        print(f"     kept  {item.path}: {item.why} ({cleaning.human(item.size)})")
    if not dry_run:
        cleaning.clean(remove)
    total = cleaning.human(sum(item.size for item in remove))
    print(f"{'would remove' if dry_run else 'removed'} {len(remove)} leftovers, {total}")
    return 0
