"""The commands beside the stages: results, bench, gridworld, strip, demo, compile and
container."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from cdred.cli.arguments import Commands, command
from cdred.errors import CdredError
from cdred.plan import Plan


def add(commands: Commands) -> None:
    p = command(
        commands, "results", "enter what is finished into results/, for docs/results.md",
        "cdred results",
    )  # fmt: skip
    p.add_argument(
        "--page", action="store_true",
        help="only write docs/results.md and its learning curves again",
    )  # fmt: skip
    p.add_argument("--force", action="store_true", help="even if agents entered before are lost")
    p.set_defaults(run=results)
    _add_bench(commands)
    p = command(
        commands, "gridworld", "what coupling does, computed exactly in a small grid",
        "cdred gridworld --out gridworld.png",
    )  # fmt: skip
    p.add_argument("--out", type=Path, metavar="FILE.png", help="draw it as well")
    p.set_defaults(run=gridworld)
    p = command(
        commands, "strip", "films of the experiment side by side, as one picture",
        "cdred strip --out strip.webp expert cdred bc",
    )  # fmt: skip
    p.add_argument(
        "--out", type=Path, metavar="FILE.webp", required=True, help="the picture to write"
    )
    p.add_argument(
        "entries", nargs="*", metavar="ENTRY",
        help="experts and runs, from left to right (default: some that the experiment has)",
    )  # fmt: skip
    p.set_defaults(run=strip)
    p = command(
        commands, "demo", "run what is missing of the experiment, and tell about it", "cdred demo",
        "As `snakemake --cores all`, in few words: the plan, how long it will take, one line of\n"
        "progress, and what came out. Stopped, it goes on by the same command.",
    )  # fmt: skip
    p.set_defaults(run=demo)
    p = command(
        commands, "compile", "compile the programs of trainings that are still to run",
        "cdred compile",
    )  # fmt: skip
    p.set_defaults(run=compile_ahead)
    p = command(
        commands, "container", "run a command in the image of compute.container",
        "cdred container dvc repro",
    )  # fmt: skip
    p.add_argument(
        "inner_command", nargs=argparse.REMAINDER, metavar="COMMAND", help="e.g. dvc repro"
    )
    p.set_defaults(run=container)


def _add_bench(commands: Commands) -> None:
    p = command(
        commands, "bench", "how fast the learner is here, each option against none",
        "cdred bench --sizes small --no-compile --json bench.json",
    )  # fmt: skip
    p.add_argument(
        "--sizes", choices=("paper", "small"), nargs="+", default=["paper", "small"],
        help="the presets whose sizes are timed (default: both)",
    )  # fmt: skip
    p.add_argument(
        "--threads", type=int, default=2, metavar="N",
        help="of the processor (default: %(default)s)",
    )  # fmt: skip
    p.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto",
        help="where it computes; auto: a GPU if there is one (default: %(default)s)",
    )  # fmt: skip
    p.add_argument(
        "--rounds", type=int, default=5, metavar="N",
        help="how often each is timed; the median is told (default: %(default)s)",
    )  # fmt: skip
    p.add_argument(
        "--no-compile", action="store_true", help="leave out compiled programs: they take minutes"
    )
    p.add_argument(
        "--seconds", type=float, default=math.inf, metavar="N",
        help="stop early after so many (default: go through to the end)",
    )  # fmt: skip
    p.add_argument("--json", type=Path, metavar="FILE", help="write the table to FILE, as it comes")
    p.add_argument(
        "--vs", type=Path, metavar="DIR", help="beside the learner of another checkout, in turn"
    )
    p.set_defaults(run=bench)


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
    if args.json and args.json.is_dir():
        raise CdredError(f"bench: --json {args.json}: a directory; the name of a file is needed")
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

    if args.device == "cuda" or args.seconds < math.inf:
        raise CdredError("bench: --vs times all of it on the processor: no --device, no --seconds")
    rows = bench_pair.run(
        args.vs, args.sizes, args.threads, args.rounds, not args.no_compile, _progress
    )
    if args.json:
        known = bench_pair.circumstances(args.vs, args.threads, args.rounds) | {"rows": rows}
        args.json.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
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
