"""The Hugging Face Hub as the environment names it: variables are checked where they are read."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from cdred.errors import CdredError, reason

SECONDS = 5.0  # for a first answer


def hub() -> str:
    """The Hub's address. Raises CdredError for a variable that its client could not use."""
    token = os.environ.get("HF_TOKEN", "").strip()
    if not (token.isascii() and token.isprintable()):
        raise CdredError("HF_TOKEN: holds a character that no token has")
    home = os.environ.get("HF_HOME")
    if home and Path(home).exists() and not Path(home).is_dir():
        raise CdredError(f"HF_HOME={home}: not a directory")
    address = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    if not _is_web_address(address):
        raise CdredError(f"HF_ENDPOINT={address}: not an address such as https://huggingface.co")
    return address


def is_address(text: str) -> bool:
    """Tell whether an address has a host and a port that can be understood."""
    try:
        _ = urlsplit(text).port  # read only when asked for
    except ValueError:
        return False
    return True


def _is_web_address(text: str) -> bool:
    if not is_address(text) or text.split() != [text]:
        return False
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def ask_hub() -> None:
    """Ask once whether the Hub is there, as its client asks for half a minute.

    Raises CdredError when there is no answer in a few seconds.
    """
    address = hub()
    try:
        import huggingface_hub
        from huggingface_hub.utils import logging

        logging.set_verbosity_error()  # else it warns of each attempt
        huggingface_hub.get_session().head(address, timeout=SECONDS)
    except Exception as exc:  # of whatever speaks HTTP, also through a proxy
        raise CdredError(f"{address} cannot be reached: {reason(exc)}") from None
