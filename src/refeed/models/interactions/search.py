"""Which settings make the best lists of held-out interactions: a walk, a setting at a time.

The ridge goes to its best by factors of 2. Every other setting leaves its default only for something that is
better by more than one standard error of the difference over the users (a paired comparison): of a dozen
settings that do nothing, the luckiest would otherwise win.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from refeed.models.interactions.settings import DEFAULTS, Settings

__all__ = ["Search", "Trial"]

Trial = Callable[[Settings], Float64[np.ndarray, " users"]]
"""From settings to the nDCG of each user."""

_HARDLY = 1e-3
_WEAKEST, _STRONGEST = 1.0, 1e6


@dataclass
class Search:
    """A walk through the settings, with a line for each trial.

    Args:
        trial: tries settings.
        fixed: those that are given.
        say: hears what was tried and what it gave.
        timed: times are known, so recency and trends can matter.
        graded: values differ, so grades can matter.
        start: where the walk begins, but for those that are given.
    """

    trial: Trial
    fixed: Mapping[str, float]
    say: Callable[[str], None]
    timed: bool
    graded: bool
    start: Settings = DEFAULTS
    tried: dict[Settings, Float64[np.ndarray, " users"]] = field(default_factory=dict)

    def best(self) -> Settings:
        """The settings to take."""
        settings = self.start.but(**self.fixed)
        settings = self._ridge(settings)
        if self.timed:
            settings = self._recency(settings)
            settings = self._trend(settings)
        settings = self._walk(settings, "user_power", (0.25, 0.5))
        settings = self._walk(settings, "ridge_power", (0.25, 0.5, 0.75))
        if self.graded:  # after recency, which it stands in for where it is found first
            settings = self._walk(settings, "grade", (0.3, 0.6, 1.0))
        settings = self._walk(settings, "popularity", (0.3, 1.0, 3.0, 10.0))
        settings = self._walk(settings, "popularity", (0.03, 0.01))
        return self._ridge(settings)

    def ndcg(self, settings: Settings) -> Float64[np.ndarray, " users"]:
        """Of each user; tried once, then remembered."""
        if settings not in self.tried:
            self.tried[settings] = self.trial(settings)
            self.say(f"trial: {settings}: validation nDCG {self.tried[settings].mean():.4f}")
        return self.tried[settings]

    def _ridge(self, settings: Settings) -> Settings:
        if "ridge" in self.fixed:
            return settings
        for factor in (2.0, 0.5):
            start = settings
            while self._hardly_better(changed := settings.but(ridge=settings.ridge * factor), settings):
                settings = changed
            if settings != start:
                break
        return settings

    def _hardly_better(self, one: Settings, other: Settings) -> bool:
        if not _WEAKEST <= one.ridge <= _STRONGEST:
            return False
        return float(self.ndcg(one).mean()) > float(self.ndcg(other).mean()) * (1 + _HARDLY)

    def _walk(self, settings: Settings, name: str, values: Iterable[float]) -> Settings:
        """To better and better values, in their order; the best one counts if it is worth it."""
        if name in self.fixed:
            return settings
        best = settings
        for value in values:
            changed = settings.but(**{name: value})
            if self.ndcg(changed).mean() <= self.ndcg(best).mean():
                break
            best = changed
        return self._if_worth_it(best, settings)

    def _recency(self, settings: Settings) -> Settings:
        if "recency" in self.fixed:
            return (
                settings if not self.fixed["recency"] else self._walk(settings, "recency_span", (30.0, 100.0))
            )
        spans = (3.0, 10.0, 30.0, 100.0) if "recency_span" not in self.fixed else (settings.recency_span,)
        # From every span: a short one wants more recency than a long one, so neither is best by itself.
        walked = [self._more_recent(settings.but(recency=1.0, recency_span=span)) for span in spans]
        best = max(walked, key=lambda one: float(self.ndcg(one).mean()))
        return self._if_worth_it(best, settings)

    def _more_recent(self, best: Settings) -> Settings:
        """To more and more recency, for as long as it is better."""
        for recency in (2.0, 4.0, 8.0, 16.0):
            changed = best.but(recency=recency)
            if self.ndcg(changed).mean() <= self.ndcg(best).mean():
                break
            best = changed
        return best

    def _trend(self, settings: Settings) -> Settings:
        if "trend" in self.fixed and not self.fixed["trend"]:
            return settings
        start = settings.but(trend=self.fixed.get("trend", 0.5))
        best = start
        for days in (100.0, 30.0, 10.0, 3.0, 1.0) if "half_life" not in self.fixed else ():
            changed = start.but(half_life=days)
            if days == start.half_life:
                continue
            if self.ndcg(changed).mean() > self.ndcg(best).mean():
                best = changed
        for power in (0.75, 1.0, 1.25) if "trend" not in self.fixed else ():
            changed = best.but(trend=power)
            if self.ndcg(changed).mean() <= self.ndcg(best).mean():
                break
            best = changed
        return self._if_worth_it(best, settings)

    def _if_worth_it(self, one: Settings, other: Settings) -> Settings:
        """The one, if it is better by more than a standard error of the difference; else the other."""
        differences = self.ndcg(one) - self.ndcg(other)
        error = float(differences.std()) / max(len(differences), 1) ** 0.5
        return one if float(differences.mean()) > error else other
