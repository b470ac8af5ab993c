"""Provide the egret command."""

from scheduler.cli.main import main as main
