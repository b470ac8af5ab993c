"""Probe tasks over HTTP and TCP and report changed verdicts."""

from scheduler.health.prober import Prober as Prober
from scheduler.health.prober import ProberStats as ProberStats
from scheduler.health.target import ProbeCheck as ProbeCheck
from scheduler.health.target import ProbeTarget as ProbeTarget
from scheduler.health.target import targets_of as targets_of
from scheduler.health.verdict import Answer as Answer
