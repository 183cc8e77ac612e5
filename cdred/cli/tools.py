"""The commands beside the stages: results, bench, gridworld, strip and container."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from cdred.cli.arguments import Commands
from cdred.errors import CdredError
from cdred.plan import Plan


def add(commands: Commands) -> None:
    p = commands.add_parser(
        "results", help="enter what is finished into results/, for docs/results.md"
    )
    p.add_argument(
        "--page",
        action="store_true",
        help="only write docs/results.md and its learning curves again",
    )
    p.add_argument("--force", action="store_true", help="even if agents entered before are lost")
    p.set_defaults(run=results)
    p = commands.add_parser("bench", help="how fast the learner is here, each option against none")
    p.add_argument("--sizes", choices=("paper", "small"), nargs="+", default=["paper", "small"])
    p.add_argument("--threads", type=int, default=2, metavar="N", help="(default: %(default)s)")
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    p.add_argument("--rounds", type=int, default=5, metavar="N", help="(default: %(default)s)")
    p.add_argument("--no-compile", action="store_true", help="leave out what takes minutes")
    p.add_argument("--seconds", type=float, default=math.inf, metavar="N", help="then stop early")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the table to FILE, as it comes")
    p.add_argument(
        "--vs", type=Path, metavar="DIR", help="beside the learner of another checkout, in turn"
    )
    p.set_defaults(run=bench)
    p = commands.add_parser(
        "gridworld", help="what coupling does, computed exactly in a small grid"
    )
    p.add_argument("--out", type=Path, metavar="FILE.png", help="draw it as well")
    p.set_defaults(run=gridworld)
    p = commands.add_parser("strip", help="films of the experiment side by side, as one picture")
    p.add_argument("--out", type=Path, metavar="FILE.webp", required=True)
    p.add_argument("entries", nargs="*", metavar="ENTRY", help="default: expert cdred red bc")
    p.set_defaults(run=strip)
    p = commands.add_parser("demo", help="run what is missing of the experiment, and tell about it")
    p.set_defaults(run=demo)
    p = commands.add_parser(
        "compile", help="compile the programs of trainings that are still to run"
    )
    p.set_defaults(run=compile_ahead)
    p = commands.add_parser("container", help="run a command in the image of compute.container")
    p.add_argument(
        "inner_command", nargs=argparse.REMAINDER, metavar="COMMAND", help="e.g. dvc repro"
    )
    p.set_defaults(run=container)


def results(args: argparse.Namespace) -> None:
    from cdred.tools import results

    if not args.page:
        print(results.enter(Plan.load(), args.force))
    results.redraw()
    results.PAGE.write_text(results.page(), encoding="utf-8")
    print(results.PAGE)


def bench(args: argparse.Namespace) -> None:
    for name in ("threads", "rounds", "seconds"):
        if not getattr(args, name) >= 1:
            raise CdredError(f"bench: --{name} {getattr(args, name)}: at least 1")
    if args.json and not args.json.absolute().parent.is_dir():
        raise CdredError(f"bench: --json {args.json}: no such directory")
    if args.vs:
        _versus(args)
        return
    from cdred.tools import bench

    measured = bench.run(
        args.sizes, args.threads, args.device, args.rounds, not args.no_compile, _progress,
        args.seconds, args.json,
    )  # fmt: skip
    print(bench.table(measured))


def _versus(args: argparse.Namespace) -> None:
    from cdred.tools import bench_pair

    rows = bench_pair.run(
        args.vs, args.sizes, args.threads, args.rounds, not args.no_compile, _progress
    )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(bench_pair.table(rows))


def _progress(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr)


def gridworld(args: argparse.Namespace) -> None:
    from cdred.tools import gridworld

    out: Path | None = args.out
    if out and (out.suffix != ".png" or not out.absolute().parent.is_dir()):
        raise CdredError(f"gridworld: --out {out}: the name of a .png in a directory that exists")
    computed = gridworld.run()
    print(gridworld.table(computed))
    if out:
        gridworld.draw(computed, out)
        print(out)


def strip(args: argparse.Namespace) -> None:
    from cdred.tools import film_strip

    out: Path = args.out
    if out.suffix != ".webp" or not out.absolute().parent.is_dir():
        raise CdredError(f"strip: --out {out}: the name of a .webp in a directory that exists")
    print("\n".join(film_strip.write(Plan.load(), out, args.entries)))
    print(out)


def demo(args: argparse.Namespace) -> int:
    from cdred.run import demo

    return demo.run()


def compile_ahead(args: argparse.Namespace) -> None:
    from cdred.run import compile_ahead

    for name in compile_ahead.run(Plan.load()):
        print(f"compiled: {name}", flush=True)


def container(args: argparse.Namespace) -> None:
    from cdred.config import load
    from cdred.system import container

    if not args.inner_command:
        raise CdredError("container: give a command to run in it, e.g. dvc repro")
    container.execute(load().compute.container, args.inner_command)
