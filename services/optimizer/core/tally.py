"""What a study has come to so far, kept up to date trial by trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.optimizer.core.digest import TrialsDigest
from services.optimizer.core.objectives import Front
from services.optimizer.core.plan import StudyPlan
from services.optimizer.core.trial import Trial, TrialState


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is; the fields are those of `assay.optimizer.v1.StudyProgress`.

    `elapsed_ms` is the time in RUNNING since the service last took the study up; `remaining_ms` is
    None before the first generation of this time.
    """

    total_trial_count: int
    finished_trial_count: int = 0
    failed_trial_count: int = 0
    infeasible_trial_count: int = 0
    finished_generation_count: int = 0
    elapsed_ms: int = 0
    remaining_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts, best trials and digest of a study's first generations. Frozen: it grows by copies.

    Attributes:
        finished: Trials in it.
        failed: Those that failed.
        infeasible: Complete ones that break a constraint on metrics.
        generations: Generations in it.
        history: The best objective value after each generation, from the first feasible trial on;
            empty for several objectives.
        front: The best trials.
        digest: The digest of the trials.
    """

    front: Front
    digest: TrialsDigest = field(default_factory=TrialsDigest)
    finished: int = 0
    failed: int = 0
    infeasible: int = 0
    generations: int = 0
    history: tuple[float, ...] = ()

    @property
    def best(self) -> tuple[Trial, ...]:
        """The best trial, or the Pareto front by rising number."""
        return self.front.trials

    def with_generation(self, trials: Sequence[Trial]) -> Tally:
        """Return the tally with the next generation, its trials by rising number."""
        front, digest = self.front.copy(), self.digest.copy()
        for trial in trials:
            digest.add(trial)
            front.add(trial)
        failed = sum(trial.state is TrialState.FAILED for trial in trials)
        history = self.history
        if front.objective_count == 1 and front.trials:
            history += (front.trials[0].objective_values[0],)
        return Tally(
            front=front,
            digest=digest,
            finished=self.finished + len(trials),
            failed=self.failed + failed,
            infeasible=self.infeasible + sum(not one.feasible for one in trials) - failed,
            generations=self.generations + 1,
            history=history,
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
        )


def generations_of(trials: Sequence[Trial], plan: StudyPlan) -> list[Sequence[Trial]]:
    """Cut stored trials into the generations they were stored in."""
    size = plan.generation_size
    return [trials[first : first + size] for first in range(0, len(trials), size)]


def tally_of(trials: Sequence[Trial], plan: StudyPlan) -> Tally:
    """Return the tally of stored trials."""
    tally = Tally(Front(plan.objectives))
    for generation in generations_of(trials, plan):
        tally = tally.with_generation(generation)
    return tally
