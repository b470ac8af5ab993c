"""Give a program of 2018 the names that Python 3.10 took out of `collections`; see test_clients."""

import collections
import collections.abc

for name in ("Callable", "Iterable", "Mapping", "MutableMapping", "Sequence"):
    setattr(collections, name, getattr(collections.abc, name))
