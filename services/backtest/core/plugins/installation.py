"""Adding plug-ins to the language and the strategies, once, before anything is compiled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from services.backtest.core import strategies, version
from services.backtest.core.execution import EXECUTION_PARAMETERS
from services.backtest.core.expression.compiler import DefinitionInvalid
from services.backtest.core.expression.words import LANGUAGE_WORDS, OPERATION_NAMES, is_name
from services.backtest.core.indicators import registry
from services.backtest.core.indicators.operation import Operation
from services.backtest.core.plugins.trial import problem_with_operation
from services.backtest.core.strategies import DEFINITIONS, STRATEGIES, Definition, Strategy

_EXECUTION_NAMES = frozenset(info.name for info in EXECUTION_PARAMETERS)


@dataclass(frozen=True, slots=True)
class PlugIn:
    """What one entry point brings.

    Attributes:
        package: Name of its distribution, for example "acme-indicators".
        version: The distribution's version.
        entry_point: The entry point's name.
        operations: Its indicators.
        definitions: Its strategies.
    """

    package: str
    version: str
    entry_point: str
    operations: tuple[Operation, ...] = ()
    definitions: tuple[Definition, ...] = ()


class PlugInInvalid(Exception):  # noqa: N818 - says what happened
    """A plug-in cannot be used.

    The message names package and entry point.
    """

    def __init__(self, package: str, version: str, entry_point: str, problem: str) -> None:
        super().__init__(f'plug-in {package} {version}, entry point "{entry_point}": {problem}')


def install(plugins: Sequence[PlugIn]) -> None:
    """Add plug-ins; every operation is tried on a made-up market first, which compiles it.

    All or nothing. To be called before requests are served, from one thread.

    Raises:
        PlugInInvalid: One of them breaks a rule: the first that does.
    """
    operations = dict(_operations(plugins))
    compiled = dict(_strategies(plugins, {**registry.INDICATORS, **operations}))
    registry.install(operations.values())
    strategies.install(compiled.values())
    version.name_plugins({plugin.package: plugin.version for plugin in plugins})


def _operations(plugins: Sequence[PlugIn]) -> Iterator[tuple[str, Operation]]:
    taken = dict.fromkeys(_names_of_built_in_strategies(), "a name in a built-in strategy")
    taken |= {name: _owner(one) for name, one in registry.INDICATORS.items()}
    taken |= dict.fromkeys((*LANGUAGE_WORDS, *OPERATION_NAMES), "a word of the language")
    for plugin in plugins:
        for bare in plugin.operations:
            family = f"{plugin.package}/{bare.family}"
            operation = replace(bare, plugin=plugin.package, family=family)
            problem = _problem_with_name(operation.name, taken) or problem_with_operation(operation)
            if problem:
                raise _invalid(plugin, f"indicator {operation.name!r} {problem}")
            taken[operation.name] = f"a function of {plugin.package}"
            yield operation.name, operation


def _strategies(
    plugins: Sequence[PlugIn], indicators: Mapping[str, Operation]
) -> Iterator[tuple[str, Strategy]]:
    taken = dict.fromkeys(STRATEGIES, "a strategy of this service")
    for plugin in plugins:
        for definition in plugin.definitions:
            problem = _problem_with_name(definition.name, taken)
            if problem:
                raise _invalid(plugin, f"strategy {definition.name!r} {problem}")
            taken[definition.name] = f"a strategy of {plugin.package}"
            try:
                strategy = Strategy.compiled(definition, indicators)
            except DefinitionInvalid as invalid:
                told = "; ".join(f"{one.field}: {one.message}" for one in invalid.problems)
                raise _invalid(plugin, f"strategy {definition.name!r}: {told}") from invalid
            searched = _EXECUTION_NAMES.intersection(info.name for info in definition.parameters)
            if searched:
                told = f"has a parameter of the execution model, {min(searched)!r}"
                raise _invalid(plugin, f"strategy {definition.name!r} {told}")
            yield definition.name, strategy


def _problem_with_name(name: object, taken: Mapping[str, str]) -> str | None:
    if not isinstance(name, str) or not is_name(name):
        return "has no name of the language: a lower-case letter, then letters, digits and _"
    return f"has a name that is taken: {taken[name]}" if name in taken else None


def _names_of_built_in_strategies() -> Iterator[str]:
    """Yield names that must stay free for those who send a built-in strategy back as a text."""
    for definition in DEFINITIONS:
        yield from (info.name for info in definition.parameters)
        yield from (name for name, _ in definition.terms)


def _owner(operation: Operation) -> str:
    return f"a function of {operation.plugin or 'this service'}"


def _invalid(plugin: PlugIn, problem: str) -> PlugInInvalid:
    return PlugInInvalid(plugin.package, plugin.version, plugin.entry_point, problem)
