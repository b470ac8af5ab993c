"""Probe tasks over HTTP and TCP and report changed verdicts; ask whether they are ready."""

from scheduler.health.prober import Prober as Prober
from scheduler.health.prober import ProberStats as ProberStats
from scheduler.health.readiness import LastResponse as LastResponse
from scheduler.health.readiness import Readiness as Readiness
from scheduler.health.readiness import readiness_target_of as readiness_target_of
from scheduler.health.target import ProbeCheck as ProbeCheck
from scheduler.health.target import ProbeTarget as ProbeTarget
from scheduler.health.target import targets_of as targets_of
from scheduler.health.verdict import Answer as Answer
