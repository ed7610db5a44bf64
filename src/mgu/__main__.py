"""``python -m mgu``."""

from mgu.cli import main

main(prog_name="mgu")
