"""Run the tasks of one Mesos executor: start, watch, health-check, stop, report.

A package of its own: it imports nothing of the scheduler, runs on Python 3.9 and newer with the
standard library, pymesos and h11 alone, and is shipped as one zipapp (see `executor.build`).
docs/executor.md describes it for its users, protos/executor.proto the messages it reads.
"""

# Read by `executor.build`, which names the archive's contents after it.
OLDEST_PYTHON = (3, 9)
