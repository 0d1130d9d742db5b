"""What a study has come to so far, kept up to date trial by trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from services.optimizer.core.spec.objectives import Front
from services.optimizer.core.study.digest import TrialsDigest
from services.optimizer.core.trial import Trial, TrialState


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is; the fields are those of `assay.optimizer.v1.StudyProgress`.

    `elapsed_ms` is the time in RUNNING, summed over all owners; `remaining_ms` is None before the
    first generation of this owner.
    """

    total_trial_count: int
    finished_trial_count: int = 0
    failed_trial_count: int = 0
    infeasible_trial_count: int = 0
    finished_generation_count: int = 0
    elapsed_ms: int = 0
    remaining_ms: int | None = None
    pruned_trial_count: int = 0
    reused_trial_count: int = 0
    evaluated_bar_count: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts, best trials and digest of a study's first trials. Frozen: it grows by copies.

    Attributes:
        front: The best trials, without what each of several data says of them.
        digest: The digest of the trials.
        finished: Trials in it.
        failed: Those that failed.
        pruned: Those that were given up.
        infeasible: Complete ones that break a constraint on metrics.
        reused: Those that were not run.
        evaluated_bars: Bars run for them.
        generations: Generations in it, the last one perhaps in part.
        unchanged: Trials since the best, or the front, last changed.
    """

    front: Front
    digest: TrialsDigest = field(default_factory=TrialsDigest)
    finished: int = 0
    failed: int = 0
    pruned: int = 0
    infeasible: int = 0
    reused: int = 0
    evaluated_bars: int = 0
    generations: int = 0
    unchanged: int = 0

    @property
    def best(self) -> tuple[Trial, ...]:
        """The best trial, or the Pareto front by rising number."""
        return self.front.trials

    def with_trials(self, trials: Sequence[Trial]) -> Tally:
        """Return the tally with the trials that follow, of one generation, by rising number."""
        front, digest = self.front.copy(), self.digest.copy()
        unchanged = self.unchanged
        for trial in trials:
            digest.add(trial)
            unchanged = 0 if front.add(_light(trial)) else unchanged + 1
        failed = sum(trial.state is TrialState.FAILED for trial in trials)
        pruned = sum(trial.state is TrialState.PRUNED for trial in trials)
        infeasible = sum(not trial.feasible for trial in trials) - failed - pruned
        return Tally(
            front=front,
            digest=digest,
            finished=self.finished + len(trials),
            failed=self.failed + failed,
            pruned=self.pruned + pruned,
            infeasible=self.infeasible + infeasible,
            reused=self.reused + sum(one.reused_trial_number is not None for one in trials),
            evaluated_bars=self.evaluated_bars + sum(_bars_run(trial) for trial in trials),
            generations=trials[-1].generation_number + 1 if trials else self.generations,
            unchanged=unchanged,
        )

    def progress(
        self, total: int, elapsed_ms: int = 0, remaining_ms: int | None = None
    ) -> Progress:
        """Return how far the study is, of `total` trials."""
        return Progress(
            total_trial_count=total,
            finished_trial_count=self.finished,
            failed_trial_count=self.failed,
            infeasible_trial_count=self.infeasible,
            finished_generation_count=self.generations,
            elapsed_ms=elapsed_ms,
            remaining_ms=remaining_ms,
            pruned_trial_count=self.pruned,
            reused_trial_count=self.reused,
            evaluated_bar_count=self.evaluated_bars,
        )


def _light(trial: Trial) -> Trial:
    """Return a trial without what each of several data says: fronts are long, and told often."""
    if not trial.outcome.dataset_results:
        return trial
    return replace(trial, outcome=replace(trial.outcome, dataset_results=()))


def _bars_run(trial: Trial) -> int:
    return 0 if trial.reused_trial_number is not None else trial.outcome.evaluated_bar_count
