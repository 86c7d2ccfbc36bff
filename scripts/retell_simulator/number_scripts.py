"""Which outcome the next call to a number gets: its script, the random mix, or the default."""

import random
from collections import Counter

from scripts.retell_simulator.knobs import Knobs
from scripts.retell_simulator.outcomes import Outcome

Scripts = dict[str, list[Outcome]]


class NumberScripts:
    """An ordered list of outcomes per number; each created call takes one, and the last repeats."""

    def __init__(self, seed: int | str | None) -> None:
        """With a seed, the nth call to a number is the same in every run, whatever the order of the calls."""
        self._seed = seed if seed is not None else random.SystemRandom().getrandbits(64)
        self._scripts: Scripts = {}
        self._taken: Counter[str] = Counter()
        self._dialled: Counter[str] = Counter()

    def set(self, scripts: Scripts) -> None:
        """Give these numbers a (new) script, from its beginning; the others keep theirs."""
        for number, outcomes in scripts.items():
            self._scripts[number] = outcomes
            self._taken[number] = 0

    def all(self) -> Scripts:
        """Every script there is."""
        return self._scripts

    def next(self, number: str, knobs: Knobs) -> tuple[Outcome, random.Random]:
        """The outcome of the next call to this number, and the dice for that call."""
        rng = random.Random(f"{self._seed}:{number}:{self._dialled[number]}")  # noqa: S311
        self._dialled[number] += 1
        script = self._scripts.get(number)
        if script:
            position = min(self._taken[number], len(script) - 1)
            self._taken[number] += 1
            return script[position], rng
        if knobs.mix:
            weights = [entry.weight for entry in knobs.mix]
            return rng.choices(knobs.mix, weights)[0].outcome, rng
        return knobs.default_outcome, rng
