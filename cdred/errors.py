"""Errors and other lines as a user sees them: exit code 2, and no secrets."""

from __future__ import annotations

import errno
import os
import re
import unicodedata

LONGEST = 300  # letters of a reason
_ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]*://)(\S*)", re.IGNORECASE)
# Of an address that lacks its scheme. Only from the start of a word: else it takes the square of a
# long text's time.
_USER = re.compile(r"(?<![^\s/:@'\"=])[^\s/:@'\"=]+:(?!//)[^\s@]+@")
_USER_WITH_BLANKS = re.compile(r"^([a-z][a-z0-9+.-]*://)?.*@", re.IGNORECASE | re.DOTALL)
_SECRET = re.compile(r"TOKEN|PASSW(OR)?D|SECRET|CREDENTIAL|KEY$", re.IGNORECASE)
FULL = {errno.ENOSPC, errno.EDQUOT}
# Errors that only writing has.
_WRITING = FULL | {errno.EEXIST, errno.EFBIG, errno.ENOTEMPTY, errno.EROFS, errno.EXDEV}


# Categories of characters that a terminal obeys, that turn the direction of text or end a line, and
# halves of characters; those that join letters of a script are text.
_CONTROLS = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"


class CdredError(Exception):
    """One line that says what is wrong, where, and what would be valid."""

    def __init__(self, message: object) -> None:
        super().__init__(printable(without_secrets(str(message))))


def is_control(character: str) -> bool:
    """Tell whether a character controls how text is displayed, or cannot be displayed itself."""
    return unicodedata.category(character) in _CONTROLS and character not in _JOINERS


def printable(text: str) -> str:
    """Text with its control characters, but for new lines, as escapes."""
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode() if is_control(c) and c != "\n" else c for c in text
    )


def without_secrets(text: str) -> str:
    """Text whose addresses have neither a user part nor a query, and that holds no value of an
    environment variable that is named as a secret."""
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET.search(name):
            text = text.replace(value, "***")
        if "@" in value and len(value.split()) > 1:  # no address to the eye, but one to libraries
            for form in (value, " ".join(value.split())):
                text = text.replace(form, _USER_WITH_BLANKS.sub(r"\1", form))
    return _USER.sub("", _ADDRESS.sub(lambda match: match[1] + _public(match[2]), text))


def _public(rest: str) -> str:
    """The part of an address after `://`, without its user part and query."""
    authority = rest.partition("/")[0]
    # After a colon stands a port or a password, in which there may be a slash.
    end = len(rest) if ":" in authority and not authority.startswith("[") else len(authority)
    rest = rest[rest.rfind("@", 0, end) + 1 :]
    return re.split(r"[?#]", rest)[0]


def reason(exc: BaseException) -> str:
    """An exception and its causes as one line of bounded length."""
    if isinstance(exc, CdredError):
        return str(exc)
    texts: list[str] = []
    cause: BaseException | None = exc
    while cause is not None:
        text = _of_file(cause) if isinstance(cause, OSError) and cause.errno else str(cause)
        text = " ".join(text.split())
        if text and not any(text in earlier for earlier in texts):
            texts.append(text)
        cause = cause.__cause__
    line = printable(without_secrets(": ".join(texts) or type(exc).__name__))
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."


def _of_file(exc: OSError) -> str:
    """An error of the file system: the path, whether it was read or written, and its own text."""
    text = exc.strerror or str(exc)
    name = exc.filename2 or exc.filename
    if name is None and exc.errno not in _WRITING:
        return text  # of a connection
    path = os.fsdecode(name) if isinstance(name, str | bytes) else str(name or _here())
    parents = [path]
    while (above := os.path.dirname(parents[-1])) not in ("", parents[-1]):
        parents.append(above)
    for parent in parents:
        if os.path.islink(parent) and not os.path.exists(parent):
            return f"{parent}: a link to {os.readlink(parent)}, which is not there"
    if exc.errno == errno.ENOTDIR:
        path = next((p for p in parents if os.path.exists(p) and not os.path.isdir(p)), path)
    again = "; make room and run the same again" if exc.errno in FULL else ""
    return f"{_short(path)}: {_access(exc, path)}{text}{again}"


def _access(exc: OSError, path: str) -> str:
    if exc.errno in _WRITING:
        return "cannot be written: "
    if exc.errno not in (errno.EACCES, errno.EPERM):
        return ""
    if os.path.exists(path) and not os.access(path, os.R_OK):
        return "cannot be read: "
    folder = os.path.dirname(path) or os.curdir
    return "cannot be written: " if os.access(folder, os.X_OK) else "cannot be opened: "


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # removed
        return "the current directory"


def _short(path: str) -> str:
    return path if len(path) <= 150 else f"{path[:70]}...{path[-70:]}"


def counted(count: int, noun: str) -> str:
    """A number of things: `1 episode`, `20 episodes`."""
    return f"{count} {noun}{'s' * (count != 1)}"


def nearest(name: str, valid: list[str]) -> str:
    """A hint for a name that is not valid: the nearest valid one, else all of them."""
    import difflib

    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    if not valid:
        return "there are none"
    shown = ", ".join(sorted(valid)[:12]) + (" ..." if len(valid) > 12 else "")
    return f"valid: {shown}"
