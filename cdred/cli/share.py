"""The commands that exchange results with others: the Hub's, MLflow's and DVC's."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from functools import partial
from pathlib import Path

from cdred import __version__, hub_client
from cdred.cli.arguments import Commands, command, repository
from cdred.errors import CdredError, printable
from cdred.plan import Plan

PUBLISHED = Path("published")  # which git ignores


def add(commands: Commands) -> None:
    p = command(
        commands, "publish", "upload agents, and what they come from, to the Hub",
        "cdred publish --dry-run",
        "An upload needs hub.namespace in params.yaml and a token (docs/publishing.md), a dry run\n"
        "neither.",
    )  # fmt: skip
    p.add_argument(
        "artifact", type=Path, nargs="*", metavar="ARTIFACT",
        help="folders of experts, demonstrations or agents (default: all agents of the experiment)",
    )  # fmt: skip
    p.add_argument(
        "--release", default=f"v{__version__}", metavar="TAG",
        help="the tag under which it is published (default: %(default)s)",
    )  # fmt: skip
    p.add_argument("--dry-run", "-n", action="store_true", help="only write what would be uploaded")
    p.add_argument(
        "--out", type=Path, metavar="DIR", help=f"where a dry run writes it (default: {PUBLISHED})"
    )
    p.set_defaults(run=publish)
    p = command(
        commands, "pull", "fetch what cdred published from the Hub, and check it",
        "cdred pull my-lab/cdred-cup-catch-cdred-seed-5@v1",
    )  # fmt: skip
    p.add_argument(
        "repository", metavar="ID[@REVISION]",
        help="the repository's name; revision: a commit, tag or branch (default: the newest)",
    )  # fmt: skip
    p.add_argument("--dataset", action="store_true", help="demonstrations (default: an agent)")
    p.set_defaults(run=pull)
    p = command(
        commands, "register", "enter evaluated agents into MLflow's model registry",
        "cdred register artifacts/agents/cup-catch/cdred/seed_5",
    )  # fmt: skip
    p.add_argument(
        "artifact", type=Path, nargs="*", metavar="ARTIFACT",
        help="folders of agents or experts (default: all that have weights)",
    )  # fmt: skip
    p.set_defaults(run=register)
    p = command(commands, "track", "what MLflow has not been told yet", "cdred track --deliver")
    p.add_argument("--deliver", action="store_true", help="tell it now")
    p.set_defaults(run=track)
    p = command(commands, "record", "enter finished results into DVC", "cdred record")
    p.set_defaults(run=record)
    p = command(
        commands, "cache", "remove what is damaged in DVC's cache, and say what", "cdred cache"
    )
    p.set_defaults(run=cache)


def publish(args: argparse.Namespace) -> None:
    from cdred.hub import publish, upload

    if args.out is not None and not args.dry_run:
        raise CdredError("publish: --out has no meaning without --dry-run")
    if args.out is not None and args.out.exists() and not args.out.is_dir():
        raise CdredError(f"publish: --out {args.out}: not a directory")
    publish.check_release(args.release)
    plan = Plan.load()
    chosen = publish.choose(plan, args.artifact, args.dry_run)
    if args.dry_run:
        for folder in publish.write(plan, chosen, args.release, args.out or PUBLISHED):
            print(folder)
        return
    with tempfile.TemporaryDirectory() as aside:
        clear = partial(shutil.rmtree, aside, ignore_errors=True)
        with hub_client.stopped_at_once(clear):
            folders = publish.write(plan, chosen, args.release, Path(aside))
            upload.upload(plan, chosen, folders, args.release, print)


def pull(args: argparse.Namespace) -> None:
    from cdred.hub.pull import pull

    name, revision = repository(args.repository)
    with hub_client.stopped_at_once():
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
    from cdred.engines import dvc_storage

    dvc_storage.drop_damaged()
