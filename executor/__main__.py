"""Start the executor: `python -m executor`, or the archive's own entry."""

from __future__ import annotations

from executor.main import main

if __name__ == "__main__":
    main()
