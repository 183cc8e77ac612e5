"""The command line: arguments alone, in one module a group of commands.

Each module has `add`, which adds its commands to the parser, and a function a command.
"""

from cdred.cli.main import main

__all__ = ["main"]
