"""Run the egret command as ``python -m scheduler.cli``."""

from scheduler.cli.main import main

main()
