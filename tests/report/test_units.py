"""Quantities: the text read back gives the quantity, to three digits."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgu.history import Flops
from mgu.report import units

SCALES = {"n": 1e-9, "µ": 1e-6, "m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}


@given(st.floats(1e-9, 1e20))
def test_reading_back_gives_the_value_to_three_digits(value):
    text = units.quantity(value, "Wh")
    digits, prefix = re.fullmatch(r"([\d.,]+) (\D?)Wh", text).groups()
    assert float(digits.replace(",", "")) * SCALES[prefix] == pytest.approx(value, rel=0.00501)
    assert len(digits.replace(".", "")) <= 4 or prefix == "P"


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (units.quantity(12_300_000_000, "FLOP"), "12.3 GFLOP"),
        (units.quantity(999.4, "B"), "999 B"),
        (units.quantity(999.6, "B"), "1.00 kB"),
        (units.quantity(0, "Wh"), "0 Wh"),
        (units.energy(0.0128), "12.8 Wh"),
        (units.energy(0.00045), "450 mWh"),
        (units.carbon(0.0045), "4.50 g"),
        (units.memory(512.3), "512 MB"),
        (units.flops(Flops(12_300_000_000, 45_600_000_000)), "12.3 / 45.6 GFLOP"),
        (units.flops(Flops(0, 45)), "0 / 45.0 FLOP"),
        (units.cores(1.0249), "1.02"),
        (units.share(0.874), "87 %"),
    ],
)
def test_by_hand(said, text):
    assert said == text


@pytest.mark.parametrize("say", [units.energy, units.carbon, units.memory, units.flops, units.cores, units.share])
def test_what_is_not_known_is_not_made_up(say):
    assert say(None) == "-"
