"""What a study may take."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from mgu.errors import InputError
from mgu.study.trial import Record


@dataclass(frozen=True)
class Budget:
    """Hours and kWh that a study may take in all its sittings, hardening counted, and of hours lost attempts too; None
    is no limit.

    Energy is what meters said of all parts, measured or estimated, in attempts that came to a result; a trial without
    any on record counts as 0. Raises InputError for what is not above 0.
    """

    time_h: float | None = None
    energy_kwh: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("time", self.time_h), ("energy", self.energy_kwh)):
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"a budget of {name} must be above 0; {value} was given")

    def exceeded(self, records: Iterable[Record]) -> str:
        """Which budget the trials have spent, in words; empty where something is left of each."""
        known = list(records)
        if self.time_h is not None and (hours := sum(record.spent_s for record in known) / 3600) >= self.time_h:
            return f"the budget of {self.time_h:g} h is spent ({hours:.3g} h)"
        if self.energy_kwh is not None and (kwh := sum(record.spent_kwh for record in known)) >= self.energy_kwh:
            return f"the budget of {self.energy_kwh:g} kWh is spent ({kwh:.3g} kWh)"
        return ""
