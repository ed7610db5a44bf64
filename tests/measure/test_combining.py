"""Two usages as one: nothing is lost, and only like is added to like."""

from dataclasses import replace
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgu.errors import InputError
from mgu.history import Energy, Usage
from mgu.measure import combined

POSITIVE = st.floats(1e-6, 1e6)
UNSURE = st.none() | POSITIVE
METERED = st.builds(
    Energy, st.sampled_from(["cpu", "ram", "gpu"]), POSITIVE, st.sampled_from(["measured", "estimated"]), st.just("a")
)
ABSENT = st.builds(Energy, st.sampled_from(["cpu", "ram", "gpu"]), st.none(), st.just("absent"), st.just("none"))
USAGE = st.builds(
    Usage,
    energy=st.lists(METERED | ABSENT, max_size=5).map(tuple),
    device_load_mean=UNSURE,
    device_load_peak=UNSURE,
    cpu_load_mean=UNSURE,
    cpu_load_peak=UNSURE,
    others_load_mean=UNSURE,
    memory_peak_mb=UNSURE,
    device_memory_peak_mb=UNSURE,
    carbon_intensity=st.just(100.0),
    country=st.just("CHE"),
    duration_s=POSITIVE,
)


def total(energy, source):
    """Of the parts that have no figure but by this source."""
    parts = {entry.part for entry in energy} - {entry.part for entry in energy if entry.source != source}
    figures = [entry.kwh for entry in energy if entry.part in parts]
    return pytest.approx(fsum(figures)) if figures else None


@given(USAGE, USAGE)
def test_energies_are_added_by_source(one, other):
    both = combined(one, other)
    everything = (*one.energy, *other.energy)
    assert both.measured_kwh == total(everything, "measured")
    assert both.estimated_kwh == total(everything, "estimated")
    names = [(entry.part, entry.source) for entry in both.energy]
    assert len(set(names)) == len(names)
    assert set(names) == {(entry.part, entry.source) for entry in everything}
    assert {entry.kwh for entry in both.energy if entry.source == "absent"} <= {None}


@given(USAGE, USAGE)
def test_loads_are_weighted_and_peaks_are_the_larger(one, other):
    both = combined(one, other)
    assert both.duration_s == one.duration_s + other.duration_s
    for name in ("device_load_mean", "cpu_load_mean", "others_load_mean"):
        a, b, mean = (getattr(usage, name) for usage in (one, other, both))
        if a is None or b is None:
            assert mean is None
        else:
            assert mean * both.duration_s == pytest.approx(a * one.duration_s + b * other.duration_s)
    for name in ("device_load_peak", "cpu_load_peak", "memory_peak_mb", "device_memory_peak_mb"):
        a, b, peak = (getattr(usage, name) for usage in (one, other, both))
        assert peak == (None if a is None or b is None else sorted([a, b])[1])


@given(USAGE, USAGE)
def test_the_order_does_not_matter(one, other):
    def settled(usage):
        entries = [(entry.part, entry.source, entry.kwh) for entry in usage.energy]
        return replace(usage, energy=()), sorted(entries, key=lambda entry: entry[:2])

    a, b = settled(combined(one, other)), settled(combined(other, one))
    assert a[0] == b[0]
    assert [entry[:2] for entry in a[1]] == [entry[:2] for entry in b[1]]
    assert [entry[2] for entry in a[1]] == pytest.approx([entry[2] for entry in b[1]])


def usage(*energy, others=0.0, intensity=35.0, country="CHE"):
    return Usage(energy, None, None, 1.0, 1.0, others, 100.0, None, intensity, country, 10.0)


def test_a_meter_that_fell_out_is_seen():
    rapl = Energy("cpu", 0.5, "measured", "RAPL")
    guess = Energy("cpu", 0.25, "estimated", "8 W x load")
    none = Energy("cpu", None, "absent", "RAPL: gave nothing")
    assert combined(usage(rapl), usage(guess)).energy == (rapl, guess)
    assert combined(usage(rapl), usage(none)).energy == (rapl, none)


@pytest.mark.parametrize("second", [("absent", None), ("measured", 0.5)])
def test_a_part_that_was_unread_for_a_stretch_has_no_figure_of_the_whole(second):
    ram = Energy("ram", 0.25, "estimated", "10 W")
    source, kwh = second
    both = combined(usage(Energy("cpu", 2.0, "estimated", "8 W"), ram), usage(Energy("cpu", kwh, source, "-"), ram))
    assert (both.estimated_kwh, both.measured_kwh) == (0.5, None)
    assert both.estimated_carbon_kg == pytest.approx(0.5 * 0.035)
    assert both.told_kwh == 2.5 + (kwh or 0)
    assert usage().told_kwh == 0


def test_the_names_of_all_meters_are_kept():
    both = combined(usage(Energy("ram", 0.5, "estimated", "20 W")), usage(Energy("ram", 0.25, "estimated", "10 W")))
    assert both.energy == (Energy("ram", 0.75, "estimated", "20 W | 10 W"),)


def test_other_countries_do_not_combine():
    with pytest.raises(InputError, match=r"'CHE'.*'DEU'.*do not combine"):
        combined(usage(), usage(intensity=370.0, country="DEU"))


def test_carbon_is_intensity_times_energy_by_source():
    metered = usage(Energy("gpu", 2.0, "measured", "NVML"), Energy("cpu", 4.0, "estimated", "TDP"))
    assert (metered.measured_kwh, metered.estimated_kwh) == (2.0, 4.0)
    assert (metered.measured_carbon_kg, metered.estimated_carbon_kg) == (0.07, 0.14)
    nowhere = replace(metered, carbon_intensity=None, country=None)
    assert (nowhere.measured_carbon_kg, nowhere.estimated_carbon_kg) == (None, None)
    nothing = usage(Energy("gpu", None, "absent", "no GPU"))
    assert (nothing.measured_kwh, nothing.estimated_kwh, nothing.measured_carbon_kg) == (None, None, None)


@pytest.mark.parametrize(("others", "disturbed"), [(None, False), (0.0, False), (0.1, False), (0.11, True)])
def test_a_run_that_was_not_alone(others, disturbed):
    assert usage(others=others).disturbed is disturbed
