"""The one error a user is meant to see: printed as a single line, exit code 2."""


class CdredError(Exception):
    """One line that says what is wrong, where, and what would be valid."""


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
