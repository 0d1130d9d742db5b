"""Random definitions that are sound, each a pure function of a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from services.backtest.core.indicators.registry import INDICATORS
from services.backtest.core.parameters import ParameterInfo, ParameterType
from services.backtest.core.strategies.definition import Definition

PARAMETERS = (
    ParameterInfo("n", ParameterType.INT, "bars", "", 2.0, 6.0, default=3),
    ParameterInfo("x", ParameterType.DOUBLE, "", "", -5.0, 5.0, default=0.5),
    ParameterInfo("kind", ParameterType.CATEGORY, "", "", None, None, ("plain", "quick"), "plain"),
)

_CANDLES = ("open", "high", "low", "close", "close", "volume")
_NAMES = tuple(INDICATORS)
_FAVOURITES = ("sma", "ema", "shift", "highest", "rsi", "zscore", "change")


class Texts:
    """Writes expressions; `depth` is how deep they may still be."""

    def __init__(self, seed: int) -> None:
        """Take what decides everything."""
        self._random = random.Random(seed)
        self._terms: list[tuple[str, str, bool]] = []
        self._inside_on = False

    def definition(self) -> Definition:
        """Return a definition with up to three terms and up to four signals."""
        for number in range(self._random.randrange(4)):
            is_number = self._random.random() < 0.7
            text = self.number(2) if is_number else self.condition(2)
            self._terms.append((f"term{number}", text, is_number))
        terms = tuple((name, text) for name, text, _ in self._terms)
        made = Definition(parameters=PARAMETERS, terms=terms, enter_long=self.condition(3))
        if self._random.random() < 0.5:
            made = replace(made, exit_long=self.condition(2))
        if self._random.random() < 0.5:
            made = replace(made, enter_short=self.condition(2))
        if self._random.random() < 0.5:
            made = replace(made, exit_short=self.condition(2))
        return made

    def number(self, depth: int) -> str:
        """Return a number per bar."""
        if depth <= 0:
            return self._leaf()
        return self._one_of(
            self._leaf,
            lambda: f"({self.number(depth - 1)} {self._pick('+-*/')} {self.number(depth - 1)})",
            lambda: f"{self._pick(('min', 'max'))}({self.number(depth - 1)}, {self._leaf()})",
            lambda: f"{self._pick(('abs', 'sqrt', '-'))}({self.number(depth - 1)})",
            lambda: self._if_else(depth, self.number),
            lambda: self._choose(depth, self.number),
            lambda: self._on(depth, self.number),
            lambda: self._indicator(depth, self._pick(_FAVOURITES)),
            lambda: self._indicator(depth, self._pick(_FAVOURITES)),
            lambda: self._indicator(depth, self._pick(_NAMES)),
        )

    def condition(self, depth: int) -> str:
        """Return a condition."""
        if depth <= 0:
            return self._one_of(
                lambda: f"{self._leaf()} {self._sign()} {self._leaf()}",
                lambda: self._pick(("true", "false", "hour < 12", "weekday != 2", "x > 0")),
                lambda: self._term(False) or "close > open",
            )
        return self._one_of(
            lambda: f"{self.number(depth - 1)} {self._sign()} {self.number(depth - 1)}",
            lambda: f"{self.number(depth - 1)} {self._sign()} {self._static()}",
            lambda: f"{self._static()} {self._sign()} {self.number(depth - 1)}",
            lambda: self._crossing(self.number(depth - 1), self.number(depth - 1)),
            lambda: self._crossing(self.number(depth - 1), self._static()),
            lambda: self._crossing(self._static(), self.number(depth - 1)),
            lambda: self._crossing(self._static(), self._static()),
            lambda: f"({self.condition(depth - 1)} and {self.condition(depth - 1)})",
            lambda: f"({self.condition(depth - 1)} or {self.condition(depth - 1)})",
            lambda: f"(not ({self.condition(depth - 1)}))",
            lambda: self._if_else(depth, self.condition),
            lambda: self._choose(depth, self.condition),
            lambda: self._on(depth, self.condition),
        )

    def decision(self) -> str:
        """Return a condition that asks for the first decision."""
        return f"(first_decision or {self.condition(1)})"

    def _pick(self, choices: str | tuple[str, ...]) -> str:
        return self._random.choice(choices)

    def _one_of(self, *choices: Callable[[], str]) -> str:
        return self._random.choice(choices)()

    def _sign(self) -> str:
        return self._pick(("<", "<=", ">", ">=", "==", "!="))

    def _term(self, is_number: bool) -> str:
        # A term may hold on() itself, which does not stand within on().
        names = [name for name, _, one in self._terms if one is is_number]
        return self._random.choice(names) if names and not self._inside_on else ""

    def _leaf(self) -> str:
        return self._one_of(
            lambda: self._pick(_CANDLES),
            lambda: self._pick(_CANDLES),
            self._static,
            lambda: self._pick(("hour", "weekday")),
            lambda: self._term(True) or "close",
        )

    def _static(self) -> str:
        plain = ("0", "1", "100", "x", "n", "-x", "n / 2", "x / (x - x)", "100 + x")
        return self._pick((*plain, "if_else(x > 0, x, 100)", "1e308 * 10"))

    def _period(self) -> str:
        return self._pick(("2", "3", "5", "n", "n + 1", "choose(kind, plain = 2, quick = n)"))

    def _indicator(self, depth: int, name: str) -> str:
        operation = INDICATORS[name]
        series = [self.number(depth - 1) for _ in operation.series]
        statics = [self._period() if one.whole else "1.5" for one in operation.statics]
        return f"{name}({', '.join((*series, *statics))})"

    def _if_else(self, depth: int, part: Callable[[int], str]) -> str:
        return f"if_else({self.condition(depth - 1)}, {part(depth - 1)}, {part(depth - 1)})"

    def _choose(self, depth: int, part: Callable[[int], str]) -> str:
        return f"choose(kind, plain = {part(depth - 1)}, quick = {part(depth - 1)})"

    def _on(self, depth: int, part: Callable[[int], str]) -> str:
        if self._inside_on:
            return part(depth - 1)
        self._inside_on = True
        inner = part(depth - 1)
        self._inside_on = False
        return f'on("{self._pick(("1h", "2h", "4h", "1d"))}", {inner})'

    def _crossing(self, one: str, other: str) -> str:
        return f"{self._pick(('crosses_above', 'crosses_below'))}({one}, {other})"
