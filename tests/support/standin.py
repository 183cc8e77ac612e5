"""Stages that compute nothing: real manifests, locks and places, contents that take no time.

`make_environment` makes a `bin` for the PATH whose `cdred` runs such stages; Snakemake and DVC in
it are the real ones. What a stage writes is a function of its job's digest and its inputs.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cdred.plan import Job, Plan

TESTS = Path(__file__).resolve().parents[1]
RAN = Path("ran.log")  # a line for each artifact that was put in place
SECONDS, AFTER = "STANDIN_SECONDS", "STANDIN_AFTER"  # how long a stage works, and lingers after it

SCRIPT = """#!{python}
import sys
sys.path.append({tests!r})
from support.standin import main
sys.exit(main(sys.argv[1:]))
"""
SNAKEMAKE = """#!{python}
import sys
from snakemake.cli import main
sys.exit(main())
"""


def make_environment(folder: Path) -> Path:
    """An environment with this one's packages and the stand-in `cdred`; its `bin`."""
    folder_of_programs = folder / "bin"
    packages = folder / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    folder_of_programs.mkdir(parents=True)
    packages.mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = {sys.base_prefix}/bin\n")
    real = sysconfig.get_path("purelib")
    (packages / "real.pth").write_text(f"import site; site.addsitedir({real!r})\n")
    python = folder_of_programs / "python"
    python.symlink_to(os.path.realpath(sys.executable))
    for name, text in (("cdred", SCRIPT), ("snakemake", SNAKEMAKE)):
        write_program(folder_of_programs / name, text.format(python=python, tests=str(TESTS)))
    write_program(folder_of_programs / "dvc", (TESTS.parent / "scripts/dvc").read_text())
    return folder_of_programs


def write_program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


def main(arguments: list[str]) -> int:
    """`cdred`, its stages replaced."""
    from cdred import cli
    from cdred.plan import STAGES

    if arguments[0] in STAGES:
        _replace_stages()
    return cli.main(arguments)


def _replace_stages() -> None:
    import cdred.plan.description  # loaded before the plan is, so no stage's own
    import cdred.report.catalogue  # noqa: F401
    from cdred.run import artifact, stages

    put = artifact.put_in_place

    def put_in_place(root: Path, path: Path, aside: Path) -> None:
        put(root, path, aside)
        with (root / RAN).open("a") as file:
            file.write(f"{path}\n")
        time.sleep(float(os.environ.get(AFTER, "0")))

    artifact.put_in_place = put_in_place
    stages.WORK = dict.fromkeys(stages.WORK, work)
    stages.AFTERWARDS = {}


def work(plan: Plan, job: Job, out: Path, monitor: Any) -> None:
    """Write a file or two, and for a report every file that Snakemake shows."""
    from cdred import manifest
    from cdred.plan.description import describe
    from cdred.report import catalogue

    monitor.begin(str(job.path), 0, "", "cpu")
    time.sleep(float(os.environ.get(SECONDS, "0")))
    inputs = [manifest.hash_file(plan.root / source.path / manifest.NAME) for source in job.inputs]
    (out / "more").mkdir()
    (out / "more/inputs.txt").write_text("\n".join(inputs))
    (out / "data.txt").write_text(f"{job.path} {job.digest}\n")
    if job.stage == "report":
        for item in catalogue.files(describe(plan)):
            (out / item.file).write_text(f"{item.file} {job.digest}\n")
