"""``python -m chairlib``: the command line, for whoever isn't sure which environment ``chairlib`` belongs to."""

from chairlib.cli import main

main()
