"""Decide which free resources are offered to whom.

One agent's free resources go as one offer to the role and framework with the smallest dominant
share (Mesos's DRF, simplified to a sum of the task counts and offers they hold), if nothing forbids
it: suppression, filters, offer constraints, or a foreign region. Run every allocation interval and
at once on SUBSCRIBE, REVIVE and a registering agent (docs/scheduler-http-api.md).
"""

from collections.abc import Iterable, Iterator

from attrs import define

from scheduler.local.constraints import satisfies
from scheduler.local.frameworks import Filter, Framework
from scheduler.local.registry import AgentRecord
from scheduler.local.resources import Bundle

REFUSE_DEFAULT_S = 5.0
REFUSE_MAX_S = 365 * 24 * 3600.0


@define(eq=False)
class _Claim:
    """A role of a framework that may get offers, and how much it holds already."""

    framework: Framework
    role: str
    held: int

    def order(self) -> tuple[int, str, str]:
        """The less it holds, the earlier its turn."""
        return self.held, self.role, self.framework.id


def allocate(
    agents: Iterable[AgentRecord],
    frameworks: Iterable[Framework],
    home_region: str | None,
    now_s: float,
) -> Iterator[tuple[Framework, str, AgentRecord]]:
    """Yield (framework, role, agent): all that is free on the agent goes there.

    Args:
        agents: candidates; those without free resources are skipped.
        frameworks: those subscribed.
        home_region: the master's region, None where it has no domain.
        now_s: loop time, for the filters.
    """
    claims = [
        _Claim(framework, role, len(framework.tasks))
        for framework in frameworks
        if framework.is_connected
        for role in framework.roles
        if role not in framework.suppressed
    ]
    for agent in agents:
        if not agent.is_offerable:
            continue
        for claim in sorted(claims, key=_Claim.order):
            if _may_offer(claim.framework, claim.role, agent, home_region, now_s):
                claim.held += 1
                yield claim.framework, claim.role, agent
                break


def refuse(
    framework: Framework, where: tuple[str, str], refused: Bundle, refuse_s: float, now_s: float
) -> None:
    """Filter what was declined at (role, agent id); 0 s is no filter, a negative time 5 s."""
    if refuse_s < 0:
        refuse_s = REFUSE_DEFAULT_S
    if refuse_s == 0 or refused.is_empty:
        return
    until = now_s + min(refuse_s, REFUSE_MAX_S)
    kept = framework.filters.setdefault(where, [])
    kept[:] = [f for f in kept if f.until > now_s]
    kept.append(Filter(refused, until))


def revive(framework: Framework, roles: Iterable[str]) -> None:
    """Forget the filters and the suppression of the roles (none named: of all)."""
    wanted = set(roles) or set(framework.roles)
    framework.suppressed -= wanted
    for key in [k for k in framework.filters if k[0] in wanted]:
        del framework.filters[key]


def _may_offer(
    framework: Framework, role: str, agent: AgentRecord, home_region: str | None, now_s: float
) -> bool:
    if home_region is not None and "REGION_AWARE" not in framework.capabilities:
        domain = agent.info.get("domain", {}).get("fault_domain", {})
        if domain and domain["region"]["name"] != home_region:
            return False
    if framework.constraints and not satisfies(framework.constraints, role, agent.info):
        return False
    filters = framework.filters.get((role, agent.id))
    if not filters:
        return True
    filters[:] = [f for f in filters if f.until > now_s]
    # A filter hides only what was refused: more than that is worth another look.
    return not any(f.resources.contains(agent.free) for f in filters)
