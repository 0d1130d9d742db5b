"""Everything that is wrong with a draft, found at once and told by the contract's field paths."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from services.common.errors import Violation
from services.optimizer.core.spec.constraints import Constraints, read_constraints
from services.optimizer.core.spec.domain_checks import domain_violations, rule_violations
from services.optimizer.core.spec.draft import ParameterRule, SearchKind, StudyDraft
from services.optimizer.core.spec.expression import Expression, ExpressionError
from services.optimizer.core.spec.objectives import Objective
from services.optimizer.core.spec.search_checks import search_violations
from services.optimizer.core.spec.space import Categories, Domain, Fixed
from services.optimizer.core.spec.spelling import did_you_mean

MOST_PARAMETERS: Final = 32
MOST_CONSTRAINTS: Final = 32
MOST_OBJECTIVES: Final = 4
Rules = Mapping[str, ParameterRule | None]
"""What is known of each parameter that may be searched, by name."""

_OWN_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


def draft_violations(
    draft: StudyDraft,
    metrics: Sequence[str],
    rules: Rules | None,
    trial_limit: int,
) -> list[Violation]:
    """Return everything wrong with a draft.

    Of a list beyond its limit only the first entries are judged: what is wrong with a million
    others helps nobody, and costs the service minutes.

    Args:
        draft: The draft.
        metrics: Names of all metrics.
        rules: Rules of the strategy's and the execution model's parameters by name; None where
            the strategy is unknown, so that its parameters cannot be judged. A parameter without
            a rule is known, and not judged.
        trial_limit: Most trials of a study.
    """
    return [
        *_parameter_violations(draft, rules),
        *_constraint_violations(draft, metrics),
        *_objective_violations(draft.objectives, metrics),
        *search_violations(draft, trial_limit),
    ]


def _domain_violations(
    path: str, domain: Domain | None, rule: ParameterRule | None, search: SearchKind | None
) -> Iterator[Violation]:
    if domain is None:
        yield Violation(path, "needs one of int_range, double_range, categories or fixed_value")
        return
    found = list(domain_violations(path, domain, search))
    yield from found
    if rule is not None:
        # What is wrong in itself need not be measured against the strategy too.
        fields = {one.field for one in found}
        for violation in rule_violations(path, domain, rule):
            if violation.field not in fields:
                yield violation


def constraints_of(
    draft: StudyDraft, metrics: Sequence[str]
) -> tuple[Constraints, list[Violation]]:
    """Return the constraints of a draft that can be read, and what is wrong with the others."""
    words = frozenset(
        one.name
        for one in draft.parameters
        if isinstance(one.domain, Categories)
        or (isinstance(one.domain, Fixed) and isinstance(one.domain.value, str))
    )
    numbers = frozenset(one.name for one in draft.parameters) - words
    texts = draft.constraints[:MOST_CONSTRAINTS]
    return read_constraints(texts, numbers, words, frozenset(metrics))


def _parameter_violations(draft: StudyDraft, rules: Rules | None) -> Iterator[Violation]:
    count = len(draft.parameters)
    if not 1 <= count <= MOST_PARAMETERS:
        yield Violation(
            "spec.parameters", f"needs 1 to {MOST_PARAMETERS} parameters, but has {count}"
        )
    counts = Counter(one.name for one in draft.parameters)
    for index, parameter in enumerate(draft.parameters[:MOST_PARAMETERS]):
        path = f"spec.parameters[{index}]"
        if counts[parameter.name] > 1:
            yield Violation(f"{path}.name", f"{parameter.name!r} is given more than once")
        if rules is not None and parameter.name not in rules:
            hint = did_you_mean(parameter.name, rules)
            yield Violation(
                f"{path}.name",
                f"{parameter.name!r} is a parameter neither of the strategy nor of the execution "
                f"model{hint}",
            )
        rule = None if rules is None else rules.get(parameter.name)
        yield from _domain_violations(path, parameter.domain, rule, draft.search)
    missing = [rule.name for rule in (rules or {}).values() if rule and rule.required]
    for name in missing:
        if name not in counts:
            yield Violation("spec.parameters", f"{name!r} has no default and must be given")
    searched = any(not isinstance(one.domain, Fixed) for one in draft.parameters)
    if count and not searched and draft.search not in {SearchKind.GRID, None}:
        yield Violation("spec.parameters", "are all fixed: nothing is left to search")


def _constraint_violations(draft: StudyDraft, metrics: Sequence[str]) -> Iterator[Violation]:
    count = len(draft.constraints)
    if count > MOST_CONSTRAINTS:
        yield Violation(
            "spec.constraints", f"has {count} entries, at most {MOST_CONSTRAINTS} are allowed"
        )
    yield from constraints_of(draft, metrics)[1]


def _objective_violations(
    objectives: Sequence[Objective], metrics: Sequence[str]
) -> Iterator[Violation]:
    if not 1 <= len(objectives) <= MOST_OBJECTIVES:
        yield Violation(
            "spec.objectives",
            f"needs 1 to {MOST_OBJECTIVES} objectives, but has {len(objectives)}",
        )
    counts = Counter(one.metric for one in objectives)
    for index, objective in enumerate(objectives[:MOST_OBJECTIVES]):
        path = f"spec.objectives[{index}]"
        name = objective.metric
        if objective.expression is not None:
            yield from _composite_violations(path, name, objective.expression, metrics)
        elif name not in metrics:
            hint = did_you_mean(name, metrics)
            yield Violation(f"{path}.metric", f"no metric is called {name!r}{hint}")
        if counts[name] > 1 and (name in metrics or objective.expression is not None):
            yield Violation(f"{path}.metric", f"{name!r} is given more than once")


def _composite_violations(
    path: str, name: str, expression: Expression, metrics: Sequence[str]
) -> Iterator[Violation]:
    if name in metrics:
        told = f"{name!r} is a metric; an expression needs a name of its own"
        yield Violation(f"{path}.metric", told)
    elif not _OWN_NAME.fullmatch(name):
        told = "must be 1 to 63 lower-case letters, digits and underscores, beginning with a letter"
        yield Violation(f"{path}.metric", f"{told}: the name of the expression")
    try:
        names = expression.names
    except ExpressionError as error:
        yield Violation(f"{path}.expression", str(error))
        return
    if not names:
        yield Violation(f"{path}.expression", "names no metric")
    for unknown, place in names.items():
        if unknown not in metrics:
            hint = did_you_mean(unknown, metrics)
            told = f"character {place}: no metric is called {unknown!r}{hint}"
            yield Violation(f"{path}.expression", told)
