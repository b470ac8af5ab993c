"""Decide whether an agent satisfies a framework's offer constraints.

Source: Mesos 1.11+, docs/scheduler-http-api.md: per role, groups are alternatives, the constraints
of a group must all hold; text predicates are true for attributes that are not text.
"""

import re
from typing import Any

from scheduler.local.resources import JsonObject


def find_constraints_problem(constraints: JsonObject, roles: tuple[str, ...]) -> str | None:
    """Return Mesos's sentence about invalid constraints, or None."""
    for role, body in constraints.get("role_constraints", {}).items():
        if role not in roles:
            return (
                f"Offer constraints specify `role_constraints` for a role '{role}'"
                "not contained in the set of roles"
            )
        problem = _find_role_problem(role, body.get("groups", []))
        if problem:
            return f"Offer constraints are not valid: {problem}"
    return None


def _find_role_problem(role: str, groups: list[JsonObject]) -> str | None:
    if not groups:
        where = "'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups'"
        return f"{where} for role {role}"
    for group in groups:
        constraints: list[JsonObject] = group.get("attribute_constraints", [])
        if not constraints:
            where = f"'OfferConstraints::RoleConstraints::groups' for role {role}"
            return f"{where}contains an empty RoleConstraints::Group"
        for constraint in constraints:
            problem = _find_constraint_problem(constraint)
            if problem:
                return f"A role {role} has an invalid 'AttributeConstraint': {problem}"
    return None


def _find_constraint_problem(constraint: JsonObject) -> str | None:
    selector = constraint.get("selector", {})
    if len({"attribute_name", "pseudoattribute_type"} & set(selector)) != 1:
        return (
            "Exactly one of 'AttributeConstraint::Selector::name' or "
            "'AttributeConstraint::Selector::pseudoattribute_type' must be set"
        )
    predicate = constraint.get("predicate", {})
    if not predicate:
        return "Unknown predicate type"
    for name, body in predicate.items():
        if name in {"text_matches", "text_not_matches"}:
            try:
                re.compile(body["regex"])
            except re.error as error:
                pattern = body["regex"]
                return f"Failed to construct regex from pattern '{pattern}': {error}: {pattern}"
    return None


def satisfies(constraints: JsonObject, role: str, agent_info: JsonObject) -> bool:
    """Return whether the agent may be offered to the role."""
    body = constraints.get("role_constraints", {}).get(role)
    if body is None:
        return True
    return any(
        all(_holds(c, agent_info) for c in group["attribute_constraints"])
        for group in body["groups"]
    )


def _holds(constraint: JsonObject, agent_info: JsonObject) -> bool:
    values = _select(constraint["selector"], agent_info)
    name, body = next(iter(constraint["predicate"].items()))
    if name == "exists":
        return bool(values)
    if name == "not_exists":
        return not values
    wanted = body.get("regex", body.get("value"))
    if "not" in name:
        return not any(v is not None and _matches(name, wanted, v) for v in values)
    return any(v is None or _matches(name, wanted, v) for v in values)


def _matches(predicate: str, wanted: Any, value: str) -> bool:
    if predicate in {"text_equals", "text_not_equals"}:
        return value == wanted
    return re.fullmatch(str(wanted), value) is not None


def _select(selector: JsonObject, agent_info: JsonObject) -> list[str | None]:
    """Return the attribute's values; None stands for one that is not text."""
    pseudo = selector.get("pseudoattribute_type")
    if pseudo == "HOSTNAME":
        return [agent_info["hostname"]]
    if pseudo in {"REGION", "ZONE"}:
        domain = agent_info.get("domain", {}).get("fault_domain", {})
        part = domain.get(str(pseudo).lower())
        return [part["name"]] if part else []
    name = selector.get("attribute_name")
    found = [a for a in agent_info.get("attributes", []) if a["name"] == name]
    return [a["text"]["value"] if "text" in a else None for a in found]
