"""`python -m cdred`: the command line, where no script of it is installed."""

from cdred.cli import main

raise SystemExit(main())
