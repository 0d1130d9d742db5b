"""Importance names the parameters that matter more than chance, or says why it cannot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
import pytest

from services.optimizer.adapters.analysis import importance
from services.optimizer.adapters.analysis.fanova import Fanova
from services.optimizer.adapters.analysis.importance import importances
from services.optimizer.adapters.analysis.ped_anova import PedAnova, best_tenth
from services.optimizer.adapters.optuna_terms import distribution_of
from services.optimizer.core.analysis.importance import Evaluator, Importance
from services.optimizer.core.analysis.trial_table import TrialTable
from services.optimizer.core.records import SearchedParameter, StudyShape
from services.optimizer.core.searches.seeds import draw

Floats = npt.NDArray[np.float64]
Columns = dict[str, npt.NDArray[Any]]

SHAPE = StudyShape(
    searched=(
        SearchedParameter("idle", "double", 0.0, 1.0),
        SearchedParameter("strong", "double", 0.0, 1.0),
        SearchedParameter("weak", "int", 1, 20),
        SearchedParameter("single", "int", 4, 4),
    ),
    metric_names=("sharpe_ratio", "max_drawdown_ratio"),
    maximize=(True, False),
)

MIXED = (
    SearchedParameter("whole", "int", 1, 20),
    SearchedParameter("steps", "int", 10, 500, step=10),
    SearchedParameter("powers", "int", 1, 900, log=True),
    SearchedParameter("lattice", "double", 0.1, 3.1, step=0.1),
    SearchedParameter("small", "double", 0.001, 0.5, log=True),
    SearchedParameter("any", "double", -1.0, 1.0),
    SearchedParameter("word", "category", categories=("a", "b", "c")),
)


def columns_over(searched: Sequence[SearchedParameter], count: int, seed: int) -> Columns:
    """Return random points."""
    source = np.random.default_rng(seed)
    columns: Columns = {}
    for one in searched:
        if one.kind == "category":
            columns[one.name] = source.integers(0, len(one.categories), count).astype(np.int32)
        elif one.kind == "int":
            step = int(one.step or 1)
            steps = source.integers(0, (int(one.high) - int(one.low)) // step + 1, count)
            columns[one.name] = int(one.low) + step * steps
        elif one.step:
            columns[one.name] = np.round(one.low + one.step * source.integers(0, 31, count), 1)
        else:
            columns[one.name] = source.uniform(one.low, one.high, count)
    return columns


def made_table(
    count: int,
    values: Callable[[Columns], tuple[Floats, Floats]],
    seed: int = 1,
    searched: Sequence[SearchedParameter] = SHAPE.searched,
) -> TrialTable:
    """Return complete trials at random points."""
    columns = columns_over(searched, count, seed)
    return TrialTable(
        numbers=np.arange(count),
        generation_numbers=np.zeros(count, dtype=np.int32),
        states=np.ones(count, dtype=np.int8),
        feasible=np.ones(count, dtype=np.bool_),
        objective_values=np.column_stack(values(columns)),
        parameters=columns,
    )


def strong_and_weak(columns: Columns) -> tuple[Floats, Floats]:
    """Return a merit of one strong and one weak parameter, and a drawdown of the weak one."""
    strong, weak = columns["strong"], columns["weak"]
    return -((strong - 0.7) ** 2) + weak / 2000.0, np.abs(weak - 5.0) / 20.0


def noise(columns: Columns) -> tuple[Floats, Floats]:
    """Return what no parameter has a say in."""
    count = len(columns["idle"])
    source = np.random.default_rng(round(float(columns["idle"][0]) * 1e9))
    return source.normal(size=count), source.normal(size=count)


def judged(
    table: TrialTable, evaluator: Evaluator = Evaluator.PED_ANOVA, shape: StudyShape = SHAPE
) -> list[Importance]:
    """Return the importances by a fixed seed."""
    return importances(shape, table, 7, evaluator)


def study_of(table: TrialTable, searched: Sequence[SearchedParameter]) -> optuna.Study:
    """Return the first objective, to be maximised, as a study made with Optuna alone."""
    study = optuna.create_study(direction="maximize")
    distributions = {one.name: distribution_of(one) for one in searched}
    study.add_trials(
        optuna.trial.create_trial(
            value=float(value),
            params={
                one.name: (
                    one.categories[table.parameters[one.name][row]]
                    if one.categories
                    else table.parameters[one.name][row].item()
                )
                for one in searched
            },
            distributions=distributions,
        )
        for row, value in enumerate(table.objective_values[:, 0])
    )
    return study


@pytest.mark.parametrize("evaluator", list(Evaluator))
def test_the_strongest_parameter_comes_first_per_objective(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each objective has its own order; shares sum to 1."""
    monkeypatch.setattr(importance, "PERMUTATIONS", 5)
    first, second = judged(made_table(120, strong_and_weak), evaluator)
    assert (first.metric, second.metric) == ("sharpe_ratio", "max_drawdown_ratio")
    assert first.evaluator is second.evaluator is evaluator
    assert first.shares[0].name == "strong"
    assert second.shares[0].name == "weak"
    for one in (first, second):
        ratios = [share.share_ratio for share in one.shares]
        assert {share.name for share in one.shares} == {"idle", "strong", "weak"}
        assert sum(ratios) == pytest.approx(1.0)
        assert ratios == sorted(ratios, reverse=True)
        for share in one.shares:
            assert share.significant == (share.share_ratio > share.baseline_share_ratio)


def test_the_shares_of_ped_anova_are_those_of_optuna_to_the_bit() -> None:
    """For every kind of parameter."""
    shape = StudyShape(MIXED, ("sharpe_ratio",), (True,))
    table = made_table(
        150,
        lambda c: (
            c["small"] * 3 - np.abs(c["any"]) + (c["word"] == 1) + c["whole"] / 50,
            c["any"],
        ),
        searched=MIXED,
    )
    expected = optuna.importance.get_param_importances(study_of(table, MIXED))
    (found,) = judged(table, shape=shape)

    assert {share.name: share.share_ratio for share in found.shares} == expected
    assert [share.name for share in found.shares] == list(expected)


def test_the_importances_of_f_anova_are_those_of_optuna_for_numbers() -> None:
    """But for rounding: the same forest, summed another way."""
    # By name, which is the order Optuna grows its forest in.
    numbers = sorted((one for one in MIXED if one.kind != "category"), key=lambda one: one.name)
    table = made_table(
        60, lambda c: (c["small"] * 3 - np.abs(c["any"]) * c["whole"], c["any"]), searched=numbers
    )
    distributions = {one.name: distribution_of(one) for one in numbers}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=3)
    expected = evaluator.evaluate(study_of(table, numbers))
    found = Fanova(table.parameters, distributions, seed=3).importances(
        table.objective_values[:, 0]
    )

    assert dict(zip(distributions, found, strict=True)) == pytest.approx(expected, rel=1e-9)


def test_f_anova_takes_a_word_as_one_value_of_its_parameter() -> None:
    """A full table of words, which a tree learns by heart, has the variances of two-way ANOVA."""
    searched = (
        SearchedParameter("first", "category", categories=("a", "b", "c")),
        SearchedParameter("second", "category", categories=("x", "y")),
    )
    cells = np.array([[4.0, 1.0], [0.0, 2.0], [7.0, -3.0]])
    first, second = (one.ravel() for one in np.indices((3, 2)))
    columns = {"first": np.tile(first, 30), "second": np.tile(second, 30)}
    distributions = {one.name: distribution_of(one) for one in searched}
    found = Fanova(columns, distributions, seed=1).importances(np.tile(cells.ravel(), 30))
    wanted = [cells.mean(axis=1).var() / cells.var(), cells.mean(axis=0).var() / cells.var()]

    assert found == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("evaluator", list(Evaluator))
def test_the_baseline_is_the_quantile_over_permutations(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each drawn from the study's seed, by the normaliser of the shares."""
    monkeypatch.setattr(importance, "PERMUTATIONS", 7)
    table = made_table(60, strong_and_weak)
    names = ("idle", "strong", "weak")
    distributions = {one.name: distribution_of(one) for one in SHAPE.searched if one.name in names}
    values = table.objective_values[:, 0]
    forest = draw(7, "importance", "forest") % 2**32

    def judge(permuted: Floats, trees: int) -> Floats:
        if evaluator is Evaluator.F_ANOVA:
            return Fanova(table.parameters, distributions, forest).importances(permuted, trees)
        best = best_tenth(permuted, maximize=True)
        return PedAnova(table.parameters, distributions).importances(best)

    by_chance = [
        judge(np.random.default_rng(draw(7, "importance", b)).permutation(values), 16)
        for b in range(7)
    ]
    own = judge(values, 64)
    baseline = np.quantile(by_chance, 0.95, axis=0) / own.sum()
    found = {share.name: share for share in judged(table, evaluator)[0].shares}

    for name, share, chance in zip(names, own / own.sum(), baseline, strict=True):
        assert found[name].share_ratio == pytest.approx(share)
        assert found[name].baseline_share_ratio == pytest.approx(chance)


def test_of_pure_noise_hardly_anything_is_significant() -> None:
    """One parameter in twenty, by the meaning of the quantile."""
    shares = [
        share
        for seed in range(20)
        for one in judged(made_table(200, noise, seed))
        for share in one.shares
    ]
    assert len(shares) == 120
    assert sum(share.significant for share in shares) <= 12


@pytest.mark.parametrize("evaluator", list(Evaluator))
def test_a_planted_effect_stands_out_of_the_noise(evaluator: Evaluator) -> None:
    """Alone."""

    def planted(columns: Columns) -> tuple[Floats, Floats]:
        one, two = noise(columns)
        return one + 6.0 * columns["strong"], two

    first, second = judged(made_table(200, planted, seed=5), evaluator)
    assert [share.name for share in first.shares if share.significant] == ["strong"]
    assert not any(share.significant for share in second.shares)


@pytest.mark.parametrize("evaluator", list(Evaluator))
def test_equal_trials_give_equal_importances(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is random but by the study's seed, nothing is kept from call to call."""
    monkeypatch.setattr(importance, "PERMUTATIONS", 5)
    table = made_table(50, strong_and_weak)
    assert judged(table, evaluator) == judged(table, evaluator)
    assert importances(SHAPE, table, 8, evaluator) != judged(table, evaluator)


def test_failed_and_pruned_trials_do_not_count() -> None:
    """Only complete trials are judged, and counted against the least number."""
    table = made_table(40, strong_and_weak)
    kept = np.arange(40) % 2 == 1
    states = np.where(kept, 1, np.arange(40) % 4 // 2 + 2).astype(np.int8)
    values = np.where(kept[:, None], table.objective_values, np.nan)
    alone = replace(
        table,
        numbers=np.arange(20),
        states=np.ones(20, dtype=np.int8),
        objective_values=table.objective_values[kept],
        parameters={name: column[kept] for name, column in table.parameters.items()},
    )
    assert set(states.tolist()) == {1, 2, 3}
    assert judged(replace(table, states=states, objective_values=values)) == judged(alone)
    states[1] = 2
    assert _reasons(replace(table, states=states, objective_values=values)) == [
        "FEWER_THAN_20_TRIALS",
        "FEWER_THAN_20_TRIALS",
    ]


def test_f_anova_looks_at_so_many_trials_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evenly spaced by number; PED-ANOVA looks at all."""
    monkeypatch.setattr(importance, "MOST_FANOVA_TRIALS", 30)
    monkeypatch.setattr(importance, "PERMUTATIONS", 3)
    table = made_table(75, strong_and_weak)
    rows = [place * 75 // 30 for place in range(30)]
    some = replace(
        table,
        states=table.states[rows],
        objective_values=table.objective_values[rows],
        parameters={name: column[rows] for name, column in table.parameters.items()},
    )
    assert judged(table, Evaluator.F_ANOVA) == judged(some, Evaluator.F_ANOVA)
    assert judged(table) != judged(some)


def test_an_objective_that_never_changes_has_no_importance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor by PED-ANOVA one whose best tenth is as bad as the worst trial."""
    monkeypatch.setattr(importance, "PERMUTATIONS", 3)
    table = made_table(50, lambda columns: (np.full(50, 1.5), strong_and_weak(columns)[1]))
    assert _reasons(table) == ["CONSTANT_OBJECTIVE", ""]
    assert _reasons(table, Evaluator.F_ANOVA) == ["CONSTANT_OBJECTIVE", ""]
    barely = np.column_stack((np.where(np.arange(50) < 4, 2.0, 1.5), np.zeros(50)))
    assert _reasons(replace(table, objective_values=barely)) == ["CONSTANT_OBJECTIVE"] * 2


def test_one_parameter_alone_has_no_share() -> None:
    """Parameters with a single value do not make two; nor do no trials at all."""
    shape = replace(SHAPE, searched=(SHAPE.searched[1], SHAPE.searched[3]))
    for table in (made_table(50, strong_and_weak), made_table(0, strong_and_weak)):
        told = judged(table, shape=shape)
        assert {one.undefined_reason for one in told} == {"FEWER_THAN_TWO_PARAMETERS"}
        assert told[0].shares == ()
    assert set(_reasons(made_table(0, strong_and_weak))) == {"FEWER_THAN_20_TRIALS"}


def _reasons(table: TrialTable, evaluator: Evaluator = Evaluator.PED_ANOVA) -> list[str]:
    return [one.undefined_reason for one in judged(table, evaluator)]
