"""One process at a time makes an artifact, wherever it lies; looking is no obstacle."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cdred.errors import CdredError
from cdred.system.locks import exclusive, is_held

ARTIFACT = Path("artifacts/demos/cup-catch/expert-5")


def test_checkouts_that_share_their_artifacts_by_a_link_share_the_lock(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    checkouts = [tmp_path / name for name in ("a", "b")]
    for checkout in checkouts:
        checkout.mkdir()
        (checkout / "artifacts").symlink_to(tmp_path / "store")
    one, other = checkouts
    with exclusive(one, ARTIFACT):
        assert is_held(other, ARTIFACT)
        with pytest.raises(CdredError, match="is making it"), exclusive(other, ARTIFACT):
            pass
    with exclusive(other, ARTIFACT):
        pass


def test_looking_refuses_nobody(tmp_path: Path) -> None:
    with exclusive(tmp_path, ARTIFACT):
        pass
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            is_held(tmp_path, ARTIFACT)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(50):
            with exclusive(tmp_path, ARTIFACT):
                pass
    finally:
        done.set()
        looking.join()
