"""The command line, as ``python -m bayou``."""

from bayou.cli import app

app(prog_name="bayou")
