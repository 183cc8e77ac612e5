"""Failures of DVC: one line with the reason."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from cdred.engines import dvc, dvc_storage
from cdred.errors import CdredError
from cdred.plan import dvc_lock

CONFLICT = "<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n"
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]\n" for k in range(1, 40))


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({}, "not a git repository"),
        ({".dvc/config": "[core\n"}, "Invalid line"),
        ({".dvc/config": CONFLICT}, "config file error"),
        *(
            ({".dvc/config": "[core]\nno_scm = true\n", "dvc.lock": text}, f"dvc.lock: not as DVC writes it ({why}")
            for text, why in (
                (CONFLICT, "not a table"),
                ("- a\n", "not a table"),
                ("stages: {check: 3}\n", "stages.check: "),
                ("stages: " + 200_000 * "[", "nested more than 50 deep"),
                (BOMB, "an alias"),
                ("stages: 1:" + 500_000 * "1:" + "1", "a text of more than 100000 letters"),
                ("stages: {a: {outs: [{path: ../../home, md5: null}]}}\n", "stages.a.outs.0.path: not a relative path"),
                ("stages: {a: {outs: [{path: a, md5: ../../b}]}}\n", "stages.a.outs.0.md5: "),
                ("stages: " + 5000 * "9", ""),
            )
        ),
    ],
)  # fmt: skip
def test_a_checkout_that_dvc_cannot_read(
    files: dict[str, str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(CdredError) as caught:
        dvc_storage.drop_damaged()
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_the_password_of_a_remote_is_in_no_line_of_a_log(tmp_path: Path) -> None:
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    remote = "['remote \"r\"']\nurl = https://ada:hunter22@127.0.0.1:9/store?token=hunter22\n"
    config = f"[core]\nno_scm = true\nanalytics = false\nremote = r\n{remote}"
    (tmp_path / ".dvc/config").write_text(config)
    (tmp_path / "data").write_text("data")
    run = "from cdred.engines.dvc_command import _dvc; _dvc(['add', 'data']); _dvc(['push', '-v'])"
    done = subprocess.run(
        [sys.executable, "-c", run], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    output = done.stdout + done.stderr
    assert "https://127.0.0.1:9/store" in output and "hunter22" not in output


MD5 = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("name", [MD5, f"{MD5}.dir"])
@pytest.mark.parametrize("kind", ["fifo", "link to one", "device"])
def test_what_is_no_file_in_the_cache_is_not_waited_for(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cached = tmp_path / ".dvc/cache/files/md5" / name[:2] / name[2:]
    cached.parent.mkdir(parents=True)
    (tmp_path / ".dvc/tmp").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\nno_scm = true\n")
    (tmp_path / "dvc.lock").write_text(f"stages: {{a: {{outs: [{{path: a, md5: {name}}}]}}}}\n")
    (tmp_path / "a").mkdir()
    if kind == "fifo":
        os.mkfifo(cached)
    elif kind == "link to one":
        os.mkfifo(tmp_path / "pipe")
        cached.symlink_to(tmp_path / "pipe")
    else:
        cached.symlink_to("/dev/zero")
    with pytest.raises(CdredError, match=r"^damaged, so removed: \.dvc/cache/files/md5/01/"):
        dvc_storage.drop_damaged()
    assert not cached.is_symlink() and not cached.exists()
    assert (tmp_path / "a").is_dir()


def test_errors_of_ours_pass(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\nno_scm = true\n")
    with pytest.raises(CdredError, match=r"^mine$"), dvc.repository(tmp_path):
        raise CdredError("mine")
    with pytest.raises(CdredError, match=r"^dvc: first: second$"), dvc.repository(tmp_path):
        raise RuntimeError("first") from ValueError("second")


def test_a_listing_names_files_of_its_folder_alone(tmp_path: Path) -> None:
    file, md5 = tmp_path / "listing.dir", 32 * "0"
    file.write_text(f'[{{"md5": "{md5}", "relpath": "a/.b"}}]')
    assert dvc_lock.listing(file) == {"a/.b": md5}
    for text in (
        f'[{{"md5": "{md5}", "relpath": "a/../../b"}}]',
        f'[{{"md5": "{md5}", "relpath": "/b"}}]',
        '[{"md5": "../b", "relpath": "a"}]',
        100_000 * "[",
        "{}",
    ):
        file.write_text(text)
        with pytest.raises(CdredError, match=r"listing.dir: not a listing of DVC's: "):
            dvc_lock.listing(file)


@pytest.mark.slow
def test_two_thousand_damaged_locks_are_one_line_or_stages(tmp_path: Path) -> None:
    draw = random.Random(0)
    good = (
        "schema: '2.0'\nstages:\n  check:\n    cmd: cdred check\n    deps:\n    - path: params.yaml\n"
        f"      hash: md5\n      md5: {32 * 'a'}\n      size: 849\n    params:\n      params.yaml:\n"
        f"        runs.bc: {{method: bc, zeta: 1e-3}}\n    outs:\n    - path: artifacts/a\n      md5: {32 * 'b'}.dir\n"
    )
    for _ in range(2000):
        content = bytearray(good.encode())
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(content))
            piece = draw.choice(
                [
                    b"&a ",
                    b"*a",
                    b"!!python/name:os.system ",
                    b"[",
                    b"{",
                    b"<<: ",
                    b"\x00",
                    b"\xff",
                    b"? ",
                    b"- ",
                ]
            )
            content[at : at + draw.randint(0, 3)] = draw.choice(
                [piece, content[at // 2 : at], b"9" * 30]
            )
        (tmp_path / "dvc.lock").write_bytes(content)
        try:
            stages = dvc_lock.stages(tmp_path)
        except CdredError as exc:
            line = str(exc)
            assert "dvc.lock: " in line and line.isprintable() and len(line) < 600, line
        else:
            for out in (out for stage in stages.values() for out in stage.outs):
                assert ".." not in out.path.split("/") and not out.path.startswith("/")
