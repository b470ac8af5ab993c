"""Judge an app's constraints against one agent (Marathon page "Constraints", version 1.11).

What counts is where the app's possibly living instances of the same config version are: a rolling
upgrade may use the hosts of the old version. Values are compared as text, as Marathon writes
attributes.

GROUP_BY without a value crashed Marathon 1.11's matching; the rule of the versions before it is
used for it: any agent while its value is unseen, then the values with the fewest instances.
"""

import re
from collections import Counter
from functools import lru_cache

from scheduler.core.app import Constraint, Operator
from scheduler.core.offer import Agent


def unmet(
    constraints: tuple[Constraint, ...],
    agent: Agent,
    placed: dict[str, Counter[str]],
    instances: int,
) -> Constraint | None:
    """Return the first constraint that ``agent`` does not meet; None if it meets all.

    Args:
        constraints: all of them must be met.
        agent: the candidate.
        placed: constraint field → value → instances that may be alive there.
        instances: the app's wanted instance count (GROUP_BY spreads by it).
    """
    for constraint in constraints:
        value = agent.value_of(constraint.field)
        counts = placed.get(constraint.field, Counter[str]())
        if not _is_met(constraint, value, counts, instances):
            return constraint
    return None


def _is_met(
    constraint: Constraint, value: str | None, counts: Counter[str], instances: int
) -> bool:
    if value is None:
        # Only UNLIKE is content with an agent that has no such attribute.
        return constraint.operator is Operator.UNLIKE
    match constraint.operator:
        case Operator.UNIQUE:
            return counts[value] == 0
        case Operator.CLUSTER:
            wanted = constraint.value or next(iter(counts), value)
            return value == wanted
        case Operator.GROUP_BY:
            return _may_join_group(constraint.value, value, counts, instances)
        case Operator.LIKE:
            return _pattern(constraint.value or "").fullmatch(value) is not None
        case Operator.UNLIKE:
            return _pattern(constraint.value or "").fullmatch(value) is None
        case Operator.MAX_PER:
            return counts[value] < int(constraint.value or "0")
        case Operator.IS:
            return _same(value, constraint.value or "")


def _may_join_group(
    groups_text: str | None, value: str, counts: Counter[str], instances: int
) -> bool:
    """Whether one more instance may join the group ``value``.

    With n groups: each takes instances // n, and instances % n of them one more. Worked example:
    5 instances, 2 groups: one group of 3 and one of 2; a third group is never opened.
    """
    groups = int(groups_text or "0")
    if groups < 1:
        return counts[value] == min(counts.values(), default=0) or value not in counts
    share, remainder = divmod(instances, groups)
    larger = sum(1 for count in counts.values() if count > share)
    if value not in counts and len(counts) >= groups:
        return False
    count = counts[value]
    return count < share or (count == share and larger < remainder)


def _same(value: str, wanted: str) -> bool:
    """Compare as numbers at three decimals where both are numbers, else as text."""
    try:
        return round(float(value), 3) == round(float(wanted), 3)
    except ValueError:
        return value == wanted


@lru_cache(maxsize=1024)
def _pattern(regex: str) -> re.Pattern[str]:
    return re.compile(regex)
