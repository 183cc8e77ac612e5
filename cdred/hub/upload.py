"""The upload of publications to the Hugging Face Hub: one commit and one tag each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cdred import documents
from cdred.errors import CdredError
from cdred.hub.publish import Repository
from cdred.hub.pull import PUBLICATION, Publication, one_line
from cdred.hub_client import repeated
from cdred.plan import Plan


def upload(plan: Plan, chosen: list[Repository], folders: list[Path], release: str,
           say: Callable[[str], None]) -> None:  # fmt: skip
    """Upload the folders: one commit and one tag each, nothing where that release is there already.

    An upload that was cut off goes on when the same is asked for again. Raises CdredError, before
    anything is uploaded, when the token, a name or an existing release stands in the way.
    """
    with one_line("publish", "model"):
        import huggingface_hub

        api = huggingface_hub.HfApi()
        repeated(api.whoami)
    missing = [_missing(api, one, folder, release) for one, folder in
               zip(chosen, folders, strict=True)]  # fmt: skip
    done: list[str] = []
    for one, folder, needed in zip(chosen, folders, missing, strict=True):
        if not needed:
            say(f"unchanged   {one.name} {release}: {one.url}")
            continue
        try:
            with one_line(one.name, one.kind):
                commit, tagged = _upload(api, one, folder, release, plan.config.hub.private)
        except CdredError as exc:
            before = f"; published before it: {', '.join(done)}" if done else ""
            raise CdredError(f"{exc}; the same command goes on{before}") from None
        if tagged != commit:
            raise CdredError(
                f"{one.name}: release {release} was made by somebody else meanwhile; name another "
                f"by --release"
            )
        done.append(one.name)
        say(f"published   {one.name} {release}: {one.url}")


def _upload(
    api: Any, one: Repository, folder: Path, release: str, private: bool
) -> tuple[str, str]:  # fmt: skip
    """Upload a folder and tag it: the commits that were made and that have the tag."""
    name, kind = one.name, one.kind
    repeated(partial(api.create_repo, name, repo_type=kind, private=private, exist_ok=True))
    commit = repeated(
        partial(
            api.upload_folder, repo_id=name, repo_type=kind, folder_path=folder,
            commit_message=f"{release}: {one.job.path}", delete_patterns="*",
        )
    )  # fmt: skip
    revision = {"revision": commit.oid} if commit.oid else {}
    repeated(partial(api.create_tag, name, repo_type=kind, tag=release, exist_ok=True, **revision))
    tagged = repeated(partial(api.repo_info, name, repo_type=kind, revision=release)).sha
    return commit.oid or tagged, tagged


def _missing(api: Any, one: Repository, folder: Path, release: str) -> bool:
    """Tell whether the release is to be made. Raises CdredError when another one has its name."""
    from huggingface_hub import errors, hf_hub_download

    ask = partial(api.repo_info, one.name, repo_type=one.kind, revision=release)
    with one_line(one.name, one.kind):
        try:
            commit = repeated(ask).sha
        except errors.RevisionNotFoundError:
            if (others := _others_contents(api, one)) is None:
                return True
            raise CdredError(
                f"{one.name}: a {one.kind} of this name is there that {others}; rename it, or the "
                f"entry in params.yaml"
            ) from None
        except errors.RepositoryNotFoundError:
            return True
        published = repeated(
            partial(hf_hub_download, one.name, PUBLICATION, repo_type=one.kind, revision=commit)
        )
    if Path(published).read_bytes() != (folder / PUBLICATION).read_bytes():
        raise CdredError(
            f"{one.name}: release {release} is there with other contents; name the new one "
            f"by --release"
        )
    return False


def _others_contents(api: Any, one: Repository) -> str | None:
    """Contents that a repository has and that are not earlier releases of this artifact."""
    from huggingface_hub import hf_hub_download

    files = repeated(partial(api.list_repo_files, one.name, repo_type=one.kind))
    if PUBLICATION not in files:
        return "cdred did not publish" if set(files) - {".gitattributes"} else None
    file = repeated(partial(hf_hub_download, one.name, PUBLICATION, repo_type=one.kind))
    artifact = documents.read(Path(file), Publication).artifact
    return None if artifact == one.job.path.as_posix() else f"holds {artifact}"
