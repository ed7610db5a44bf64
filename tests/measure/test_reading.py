"""What a stretch of readings comes to, against NumPy over the whole list of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgu.measure.reading import SHORTEST_S, GpuReading, Lap, Reading


def lap_of(readings):
    lap = Lap.begin(readings[0])
    for reading in readings[1:]:
        lap = lap.extended(reading)
    return lap


STEP = st.tuples(
    st.floats(SHORTEST_S + 0.01, 20),  # seconds
    st.floats(0, 16, allow_subnormal=False),  # cores of this process
    st.floats(0, 16, allow_subnormal=False),  # cores of the others
    st.floats(1, 1e5),  # MB
    st.floats(0, 1, allow_subnormal=False),  # the GPU's load
    st.floats(0, 1e5, allow_subnormal=False),  # the GPU's MB
)


@given(st.lists(STEP, min_size=2, max_size=20))
def test_a_lap_against_its_definition(steps):
    seconds, own, others, memory, load, device_memory = np.array(steps).T
    seconds[0] = 0.0
    times, process = np.cumsum(seconds), np.cumsum(own * seconds)
    machine = np.cumsum((own + others) * seconds)
    lap = lap_of(
        [
            Reading(time, mine, all_of_it, used, GpuReading(0, share, device_used))
            for time, mine, all_of_it, used, share, device_used in zip(
                times, process, machine, memory, load, device_memory, strict=True
            )
        ]
    )
    total = times[-1]
    close = {"rel": 1e-6, "abs": 1e-6}
    assert lap.duration_s == total
    assert lap.cpu_load_mean == pytest.approx(np.average(own[1:], weights=seconds[1:]), **close)
    assert lap.cpu_load_peak == pytest.approx(own[1:].max(), **close)
    assert lap.others_load_mean == pytest.approx(np.average(others[1:], weights=seconds[1:]), **close)
    assert lap.memory_peak_mb == memory.max()
    assert lap.device_load_mean == pytest.approx(np.average(load[1:], weights=seconds[1:]), **close)
    assert lap.device_load_peak == load[1:].max()
    assert lap.device_memory_peak_mb == device_memory.max()


def test_an_interval_too_short_to_be_judged_is_no_peak():
    """The last 10 ms look like 3 cores, which is what the reading itself may do."""
    lap = lap_of([Reading(t, p, p, 1.0, GpuReading()) for t, p in [(0.0, 0.0), (1.0, 1.0), (1.01, 1.03), (2.01, 1.53)]])
    assert lap.cpu_load_peak == 1.0
    assert lap.cpu_load_mean == pytest.approx(1.53 / 2.01)


def test_a_lap_shorter_than_any_interval_has_its_mean_for_a_peak():
    lap = lap_of([Reading(0.0, 0.0, 0.0, 1.0, GpuReading()), Reading(0.0625, 0.03125, 0.0625, 1.0, GpuReading())])
    assert (lap.cpu_load_mean, lap.cpu_load_peak, lap.others_load_mean) == (0.5, 0.5, 0.5)


def test_others_never_work_less_than_not_at_all():
    """The machine counts in ticks, the process exactly."""
    lap = lap_of([Reading(0.0, 0.0, 0.0, 1.0, GpuReading()), Reading(1.0, 1.0, 0.99, 1.0, GpuReading())])
    assert lap.others_load_mean == 0.0


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_gap_in_a_gpus_readings_is_not_glossed_over(missing):
    gpu = [GpuReading(0, 0.5, 8.0)] * 3
    gpu[missing] = GpuReading()
    lap = lap_of([Reading(float(i), 0.0, 0.0, 1.0, reading) for i, reading in enumerate(gpu)])
    assert (lap.device_load_mean, lap.device_load_peak, lap.device_memory_peak_mb) == (None, None, None)
