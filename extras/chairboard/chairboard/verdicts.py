"""What the lines between models show, in words that are right whatever the numbers are."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

#: Points of IoU that a line may lose and still count as flat: Frankle et al. (2020) allow 2 % of error, for noise.
NOISE = 2.0
#: Points of IoU below which nothing is said to be lost.
NOTHING = 0.5
#: IoU in per cent that every model must reach, or its line says nothing: calling all pixels object gives about 20.
SKILL = 30.0


@dataclass(frozen=True)
class Drop:
    """How far IoU falls at most on the lines between the models of one set, in points.

    mean: over pairs; low, high: its 95 % interval over images, NaN where unknown; pairs: each pair's own; worst: the
    lowest IoU (per cent) of the models themselves.
    """

    mean: float
    low: float
    high: float
    pairs: tuple[float, ...]
    worst: float

    def __str__(self) -> str:
        """``4.0 points (3.0–6.0)``, and the pairs' range where it goes beyond the interval by more than rounding."""
        least, most = min(self.pairs), max(self.pairs)
        beyond = least < self.low - 0.05 or most > self.high + 0.05
        pairs = f"; single pairs {least:.1f} to {most:.1f}" if beyond else ""
        interval = "no interval" if math.isnan(self.low) else f"{self.low:.1f}–{self.high:.1f}{pairs}"
        return f"{self.mean:.1f} points ({interval})"

    @property
    def verdict(self) -> str:
        """What averaging two of the models costs. The interval and every single pair must agree."""
        if not self.is_known:
            why = "the models themselves score too low" if self.worst < SKILL else "there are too few images"
            return f"nothing can be said, as {why}"
        least, most = min(self.low, *self.pairs), max(self.high, *self.pairs)
        if most < NOTHING:
            return "nothing is lost"
        if most > NOISE >= least:
            return f"it is not clear whether more than {NOISE:g} points of IoU are lost"
        return f"{'less' if most <= NOISE else 'more'} than {NOISE:g} points of IoU are lost"

    @property
    def is_known(self) -> bool:
        """Whether anything can be said: the models have learned something, and there are images for an interval."""
        return self.worst >= SKILL and not math.isnan(self.low)

    def is_less(self, other: "Drop") -> bool:
        """Whether less is lost than by ``other``: the intervals are apart, and so are the ranges of the pairs."""
        return self.is_known and other.is_known and self.high < other.low and max(self.pairs) < min(other.pairs)


def what_makes_the_difference(tuned: Drop, scratch: Drop, one_start: Drop) -> str:
    """What the control ``one_start`` (from scratch, from one random start) says about the other two."""
    if not (tuned.is_known and scratch.is_known and one_start.is_known):
        return "too little is known to say what makes the difference"
    if not tuned.is_less(scratch):
        return "F does not clearly lose less than S, so there is no difference to explain"
    less_than_scratch, more_than_tuned = one_start.is_less(scratch), tuned.is_less(one_start)
    if less_than_scratch and more_than_tuned:
        return "less than S and more than F, so a shared start makes part of the difference, pretraining the rest"
    if less_than_scratch:
        return "less than S and not clearly more than F, so a shared start may make the whole difference"
    if more_than_tuned:
        return "more than F and not clearly less than S, so a shared start alone is not enough"
    return "not clearly different from F or S, so this build cannot say what makes the difference"


def by_treatment(texts: Mapping[str, str]) -> str:
    """One phrase from what holds under each treatment of BatchNorm, averaged first; what holds under all, once."""
    words = [*texts.values()]
    return words[0] if len({*words}) == 1 else f"with BatchNorm averaged, {'; with it recalibrated, '.join(words)}"
