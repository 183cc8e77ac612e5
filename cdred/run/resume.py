"""The saved state of a job under way, `.cdred/state/{digest}/`: a killed job goes on from it."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

from cdred import documents
from cdred.errors import CdredError
from cdred.plan import Job

FOLDER = Path(".cdred/state")


class ResumeState:
    """The resume state of one job. It stands outside of the artifact, which DVC deletes
    before it runs a job again, and is named by the digest, so that only the same job finds it.

    `inputs`: the hashes of the manifests of what the job reads, which its digest does not hold."""

    def __init__(self, root: Path, job: Job, inputs: dict[str, str]) -> None:
        self.job, self.inputs, self.directory = job, inputs, root / FOLDER / job.digest
        self.file = self.directory / "state.pt"

    def load(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The values saved last, and where they were computed; None if there are none.

        Raises CdredError, and leaves the file, when it is of another job or damaged.
        """
        import torch

        if not self.file.exists():
            return None
        try:  # weights_only: tensors and plain values, nothing is executed
            with documents.open_regular(self.file) as file:
                saved = torch.load(file, map_location="cpu", weights_only=True)
            digest, values, origin = saved["digest"], saved["values"], saved["origin"]
            told = origin["time"], origin["devices"], origin["machines"]
            if not (isinstance(values, dict) and all(told)):
                raise ValueError("of nothing")
        except Exception as exc:
            reason = " ".join(str(exc).split())[:100]
            raise CdredError(
                f"{self.file}: the saved state cannot be read ({reason}); remove it to start over"
            ) from None
        if digest != self.job.digest:
            raise CdredError(
                f"{self.file}: the state of another job (digest {digest[:12]}, not "
                f"{self.job.digest[:12]}); move it away to start over"
            )
        for path, found in self.inputs.items():
            if saved.get("inputs", self.inputs).get(path) != found:
                raise CdredError(
                    f"{self.file}: the state of a job that read another {path}, which was made "
                    f"again since; move it away to start over"
                )
        return values, origin

    def save(self, values: dict[str, Any], origin: dict[str, Any]) -> None:
        """Replace the last state, at once or not at all: it stays when the disk is full."""
        import torch

        self.directory.mkdir(parents=True, exist_ok=True)
        note = self.directory / "job.json"  # for `cdred clean`, which loads no torch
        if not note.exists() or not note.stat().st_size:
            content = json.dumps({"artifact": self.job.path.as_posix()}) + "\n"
            documents.replace(note, content.encode(), note.with_suffix(".partial"))
        buffer = io.BytesIO()  # torch hides the reason when a file cannot be written
        saved = {"digest": self.job.digest, "inputs": self.inputs}
        torch.save(saved | {"values": values, "origin": origin}, buffer)
        aside = self.file.with_suffix(".partial")
        try:
            documents.replace(self.file, buffer.getbuffer(), aside, durable=True)
        except OSError as exc:
            raise OSError(exc.errno, exc.strerror, str(self.file)) from None

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
