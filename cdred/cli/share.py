"""The commands that exchange results with others: the Hub's, MLflow's and DVC's."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from cdred import __version__
from cdred.cli.arguments import Commands, repository
from cdred.errors import CdredError, printable
from cdred.plan import Plan


def add(commands: Commands) -> None:
    p = commands.add_parser("publish", help="upload agents, and what they come from, to the Hub")
    p.add_argument("artifact", type=Path, nargs="*", help="default: all agents of the experiment")
    p.add_argument("--release", default=f"v{__version__}", metavar="TAG", help="(%(default)s)")
    p.add_argument("--dry-run", "-n", action="store_true", help="only write what would be uploaded")
    p.add_argument("--out", type=Path, metavar="DIR", help="where a dry run writes it")
    p.set_defaults(run=publish)
    p = commands.add_parser("pull", help="fetch what cdred published from the Hub, and check it")
    p.add_argument("repository", metavar="ID[@REVISION]", help="revision: commit, tag or branch")
    p.add_argument("--dataset", action="store_true", help="demonstrations; default: an agent")
    p.set_defaults(run=pull)
    p = commands.add_parser("register", help="enter evaluated agents into MLflow's model registry")
    p.add_argument(
        "artifact", type=Path, nargs="*", help="default: all agents and experts with weights"
    )
    p.set_defaults(run=register)
    p = commands.add_parser("track", help="what MLflow has not been told yet")
    p.add_argument("--deliver", action="store_true", help="tell it now")
    p.set_defaults(run=track)
    p = commands.add_parser("record", help="enter finished results into DVC")
    p.set_defaults(run=record)
    p = commands.add_parser("cache", help="remove what is damaged in DVC's cache, and say what")
    p.set_defaults(run=cache)


def publish(args: argparse.Namespace) -> None:
    from cdred.hub import publish

    if args.dry_run != (args.out is not None):
        raise CdredError("publish: --dry-run and --out DIR go together")
    plan = Plan.load()
    chosen = publish.choose(plan, args.artifact)
    if args.dry_run:
        for folder in publish.write(plan, chosen, args.release, args.out):
            print(folder)
        return
    with tempfile.TemporaryDirectory() as aside:
        folders = publish.write(plan, chosen, args.release, Path(aside))
        publish.upload(plan, chosen, folders, args.release, print)


def pull(args: argparse.Namespace) -> None:
    from cdred.hub.pull import pull

    name, revision = repository(args.repository)
    pulled = pull(name, "dataset" if args.dataset else "model", revision)
    p = pulled.publication
    print(f"pulled      {name}: {p.kind} of {p.task}, release {p.release}, intact")
    print(f"revision    {printable(pulled.commit)}")
    print(f"folder      {pulled.folder}")


def register(args: argparse.Namespace) -> None:
    from cdred.tracking import model_registry

    plan = Plan.load()
    model_registry.register(plan, model_registry.choose(plan, args.artifact), print)


def track(args: argparse.Namespace) -> None:
    from cdred.tracking import delivery
    from cdred.tracking.spool import SPOOL

    root = Path()
    files = delivery.waiting(root)
    if args.deliver and files:
        delivery.deliver(root)
        print(f"{len(files)} runs delivered")
    elif files:
        print(f"{len(files)} runs wait in {SPOOL}; `cdred track --deliver` delivers them")
        print(delivery.last_error(root), end="")
    else:
        print("nothing waits to be delivered to MLflow")


def record(args: argparse.Namespace) -> None:
    from cdred.engines import dvc

    print(f"{dvc.record(Plan.load())} artifacts recorded; `dvc push` shares them")


def cache(args: argparse.Namespace) -> None:
    from cdred.engines import sharing

    sharing.drop_damaged()
