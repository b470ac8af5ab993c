"""Run the benchmarks; each prints one JSON line for each number.

    python -m tests.perf [--quick] [budget upgrade probes api cluster]

``--quick`` takes a few seconds and shows that they work; its numbers mean little. So do numbers of
a machine that does other work meanwhile.
"""

import argparse

from tests.perf import api, budget, cluster, probes, upgrade
from tests.perf.report import log_errors_only

BENCHES = {
    "budget": budget.run,
    "upgrade": upgrade.run,
    "probes": probes.run,
    "api": api.run,
    "cluster": cluster.run,
}


def main() -> None:
    """Run those named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers, a few seconds")
    parser.add_argument("benches", nargs="*", metavar="BENCH", help=", ".join(BENCHES))
    options = parser.parse_args()
    log_errors_only()
    for name in options.benches or BENCHES:
        if name not in BENCHES:
            parser.error(f"no such benchmark: {name}")
        BENCHES[name](quick=options.quick)


if __name__ == "__main__":
    main()
