"""What the models took, against pandas on results.csv and sums by hand; nothing is made up where nothing is known."""

from dataclasses import replace

import pandas as pd
import pytest

from mgu.history import Energy, Flops
from mgu.report.page import write_report
from mgu.report.plots import MGU_COLOUR
from mgu.report.spending import MeterUse, spending
from mgu.report.spending_plot import spending_figure
from mgu.report.spending_words import columns, disturbance, facts, missing, places
from mgu.report.tables import summarise


def spent(study):
    return spending(study, summarise(study))


def test_models_agree_with_pandas_on_the_csv(metered_study, tmp_path):
    write_report(metered_study, tmp_path)
    frame = pd.read_csv(tmp_path / "results.csv")
    by_model = frame.groupby("model_name")
    for row in spent(metered_study).rows:
        mean = by_model.mean(numeric_only=True).loc[row.name]
        highest = by_model.max(numeric_only=True).loc[row.name]
        assert (row.tts_s, row.train_s, row.compile_s) == pytest.approx((mean.tts_s, mean.train_s, mean.compile_s))
        assert row.run_flops == Flops(round(mean.run_flops_matrix), round(mean.run_flops_every))
        assert row.energy == pytest.approx(
            {("cpu", "measured"): mean.cpu_measured_kwh, ("ram", "estimated"): mean.ram_estimated_kwh}
        )
        assert row.carbon == pytest.approx(
            {"measured": mean.measured_carbon_kg, "estimated": mean.estimated_carbon_kg}, rel=1e-5
        )
        assert row.usage["others_load_mean"] == pytest.approx(mean.others_load_mean)
        assert row.usage["memory_peak_mb"] == highest.memory_peak_mb
        assert "device_load_mean" not in row.usage
        assert (row.metered, row.disturbed) == (2, by_model["disturbed"].sum()[row.name])
    assert frame["gpu_measured_kwh"].isna().all()
    assert set(frame["country"]) == {"CHE"}
    assert frame["energy_meters"][0].endswith("gpu absent: a run on the CPU")


def test_the_grid_is_the_sum_of_its_trials_by_seed(metered_study):
    grid = spent(metered_study).grid
    assert grid.name == "the whole grid of 2"
    assert grid.energy == pytest.approx(
        {("cpu", "measured"): (1 + 2 + 4 + 5) / 2 / 1000, ("ram", "estimated"): (1 + 2 + 4 + 5) / 2 / 4000}
    )
    assert grid.run_flops == Flops(600, 720)
    assert grid.tts_s == summarise(metered_study).grid_total_s
    assert (grid.metered, grid.disturbed) == (4, 1)


def test_what_one_cell_lacks_the_grid_lacks(metered_study):
    first = metered_study.records[0]
    usage = replace(first.result.usage, energy=(Energy("cpu", 1.0, "estimated", "a guess"),))
    changed = replace(first, result=replace(first.result, usage=usage, run_flops=None))
    study = replace(metered_study, records=(changed, *metered_study.records[1:]))
    found = spent(study)
    assert (found.grid.energy, found.grid.run_flops) == ({}, None)
    assert found.row("P1").energy == {
        ("cpu", "estimated"): 1.0,
        ("cpu", "measured"): 0.004,
        ("ram", "estimated"): 0.001,
    }
    assert "Energy, measured (cpu)" not in facts(found, summarise(study))


def test_measured_and_estimated_are_never_added(metered_study):
    said = facts(spent(metered_study), summarise(metered_study))
    assert said == {
        "Operations": "720 FLOP for the whole grid of 2, 270 FLOP for M1 hardened: 2.67 times as much",
        "Energy, measured (cpu)": "6.00 Wh for the whole grid of 2, 2.25 Wh for M1 hardened: 2.67 times as much",
        "Energy, estimated (ram)": "1.50 Wh for the whole grid of 2, 563 mWh for M1 hardened: 2.67 times as much",
    }


def test_energy_that_was_unread_for_a_stretch_is_no_figure_of_the_whole(metered_study, tmp_path):
    """The memory's meter gave nothing in a stretch of one hardened network."""
    records = list(metered_study.records)
    at = next(i for i, record in enumerate(records) if record.hardened)
    result = records[at].result
    usage = result.hardening.result.usage
    gap = replace(usage, energy=(*usage.energy, Energy("ram", None, "absent", "gave nothing")))
    hardening = replace(result.hardening, result=replace(result.hardening.result, usage=gap))
    records[at] = replace(records[at], result=replace(result, hardening=hardening))
    study = replace(metered_study, records=tuple(records))
    whole, found = spent(metered_study).row("M1 hardened"), spent(study).row("M1 hardened")
    other = next(record.hardened for record in records[at + 1 :] if record.hardened)
    assert found.energy["ram", "estimated"] == pytest.approx(other.result.usage.estimated_kwh)
    assert found.energy["cpu", "measured"] == whole.energy["cpu", "measured"]
    assert [name for name in facts(spent(study), summarise(study)) if "Energy" in name] == ["Energy, measured (cpu)"]
    write_report(study, tmp_path)
    frame = pd.read_csv(tmp_path / "results.csv").query("model_name == 'M1 hardened'")
    assert frame["ram_estimated_kwh"].isna().tolist() == frame["estimated_kwh"].isna().tolist() == [True, False]


def test_a_partial_study_compares_no_energy(metered_study, record):
    study = replace(metered_study, records=(*metered_study.records, record("P3", status="pending")))
    assert facts(spent(study), summarise(study)) == {}


def test_meters_are_named_with_what_they_are(metered_study):
    assert spent(metered_study).meters == (
        MeterUse("cpu", "measured", "RAPL <package-0>", 8),
        MeterUse("ram", "estimated", "taken as 10 W", 8),
        MeterUse("gpu", "absent", "a run on the CPU", 8),
    )
    assert places(spent(metered_study)) == "Carbon is that of the electricity of CHE (35 g CO2-equivalent per kWh)."


def test_disturbed_trials_are_told(metered_study, tmp_path):
    said = "1 of 6 trials was not alone on its machine: other processes kept more than 0.1 cores busy"
    assert disturbance(spent(metered_study)).startswith(said)
    write_report(metered_study, tmp_path)
    for name in ("report.html", "report.md"):
        text = (tmp_path / name).read_text()
        assert text.index(said) < text.index("Accuracy and cost")
        assert "<package-0>" not in text


def test_undisturbed_and_unknown_are_not_the_same(record, view, with_usage):
    alone = view(with_usage(record("P1", 0.9), 1.0))
    unknown = view(with_usage(record("P1", 0.9), 1.0, others=None))
    assert (
        disturbance(spent(alone))
        == "None of the 1 trials of which it is on record had other work beside it on the machine."
    )
    assert disturbance(spent(unknown)) == "Whether the trials were alone on their machine is not on record."


def test_only_what_is_known_has_a_column(metered_study, whole_study):
    assert [column.header for column in columns(spent(whole_study))] == [
        "model_name", "tts", "training", "compilation, apart",
    ]  # fmt: skip
    assert [column.header for column in columns(spent(metered_study))] == [
        "model_name", "tts", "training", "compilation, apart", "a step, matrix / all", "the run, matrix / all",
        "cpu, measured", "ram, estimated", "CO2e, measured", "CO2e, estimated", "CPU load, cores", "CPU load, peak",
        "others' load, cores", "memory, peak", "not alone",
    ]  # fmt: skip
    assert missing(spent(metered_study)) == ""
    assert missing(spent(whole_study)) == (
        "Not on record of any trial: floating-point operations, energy, loads and memory."
    )


def test_no_country_no_carbon(record, view, with_usage):
    found = spent(view(with_usage(record("P1", 0.9), 1.0, country=None)))
    assert (found.rows[0].carbon, places(found)) == ({}, "")


def drawn(axes):
    return sorted(
        (round(line.get_xdata()[0], 9), line.get_ydata()[0]) for line in axes.get_lines() if line.get_marker() != "x"
    )


def test_the_picture_has_each_trial_at_its_energy(metered_study):
    figure = spending_figure(metered_study, summarise(metered_study))
    measured, estimated = figure.axes
    assert (measured.get_xlabel(), estimated.get_xlabel()) == ("energy, measured, Wh", "energy, estimated, Wh")
    assert [text.get_text() for text in measured.get_yticklabels()] == ["M1 hardened", "M1", "P1", "P2"]
    wh = [(1.5, 0), (3, 0), (3, 1), (6, 1), (1, 2), (4, 2), (2, 3), (5, 3)]
    assert drawn(measured) == sorted(wh)
    assert drawn(estimated) == sorted((x / 4, y) for x, y in wh)
    crosses = [line for line in measured.get_lines() if line.get_marker() == "x"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in crosses] == [(2, 3)]
    assert "not alone" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert "Crosses: 1 not alone" in figure.get_label()


def test_the_picture_has_times_where_no_energy_is_known(whole_study):
    figure = spending_figure(whole_study, summarise(whole_study))
    (axes,) = figure.axes
    assert axes.get_xlabel() == "time to solution, s"
    assert drawn(axes) == sorted([(40, 0), (60, 0), (100, 1), (110, 1), (30, 2), (70, 2)])
    assert {line.get_ydata()[0] for line in axes.get_lines() if line.get_color() == MGU_COLOUR} == {0}


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_a_study_without_results_is_drawn_too(record, view, status):
    study = view(record("P1", status=status))
    assert spending_figure(study, summarise(study)).get_label()
    assert spending_figure(view(), summarise(view())).get_label()
