"""The diagnosis' words against the paper's, and each alarm on gates that deserve it and on gates that do not."""

import json
from dataclasses import replace

import pytest

from mgu.diagnosis import SIDES, TITLES, Diagnosis, GateReport, UnitReport, side_words
from mgu.wiring import FORMS, form_chain, gates


def gate(name, mean=0.9, certainty=0.8, saturated=0.0, **numbers):
    found = next(gate for gate in gates(FORMS["code"]) if gate.name == name)
    numbers = {"median": mean, "minimum": 0.01, "maximum": 1.0, **numbers}
    return GateReport(
        name, found.open, found.closed, mean, certainty=certainty, saturated=saturated, histogram=(1,), **numbers
    )


def network(*units):
    return Diagnosis(tuple(UnitReport(f"layer_{i}", (3, 8, 8), unit, FORMS["code"]) for i, unit in enumerate(units, 1)))


def kinds(diagnosis):
    return [alarm.kind for alarm in diagnosis.alarms()]


def test_the_papers_lines_word_for_word():
    """Paper, section 6.2, with the gates it shows."""
    shown = UnitReport(
        "MGU_conv2d_1",
        (12, 12, 16),
        (
            gate("bn_order"),
            gate("bn_ln"),
            gate("norm", 0.75, median=0.87, minimum=0.01, maximum=1.0),
            gate("residual"),
            gate("skip", 0.32, median=0.20, minimum=0.0, maximum=0.99),
        ),
        FORMS["code"],
    )
    published = """\
Analysing 'Gate3 - any norm or no norming at all'
Gate rule: `gate * Norming + (1 - gate) * No-norming`
Gate mean: 0.75, median: 0.87, min/max: 0.01/1.00
Gate opened for: Norming
Analysing 'Gate5 - direct linear bypass or processed'
Gate rule: `gate * Bypass + (1 - gate) * Processed`
Gate mean: 0.32, median: 0.20, min/max: 0.00/0.99
Gate opened for: Processed"""
    lines = list(shown.lines())
    assert lines[0] == "Layer: MGU_conv2d_1 self-explainability analysis based on (12, 12, 16) input"
    assert "\n".join(lines[9:13] + lines[17:21]) == published


def test_every_gate_and_side_of_both_forms_has_words():
    for chain in FORMS.values():
        for found in gates(chain):
            assert found.name in TITLES
            assert {found.open, found.closed} <= SIDES.keys()


@pytest.mark.parametrize("form", FORMS)
def test_a_skip_gate_says_the_same_without_the_residual_gate(form):
    found = {
        residual_gate: [
            (side_words("skip", gate.open), side_words("skip", gate.closed))
            for gate in gates(form_chain(form, residual_gate=residual_gate))
            if gate.name == "skip"
        ]
        for residual_gate in (True, False)
    }
    assert found[True] == found[False]
    assert set(found[True][0]) == {"Bypass", "Processed"}


#: Losses that confirm an open gate.
MATTERS = {"loss_open": 1.0, "loss_closed": 1.5}
HEALTHY = network(
    (gate("bn_order", 0.9), gate("norm", 0.8), gate("skip", 0.1)),
    (gate("bn_order", 0.2), gate("norm", 0.1), gate("skip", 0.8)),
)


def test_a_network_that_decided_differently_by_layer_raises_no_alarm():
    assert kinds(HEALTHY) == []
    assert "Alarm" not in HEALTHY.text()


@pytest.mark.parametrize(
    ("kind", "diagnosis", "named"),
    [
        ("all-skip", network((gate("skip", 0.9),), (gate("skip", 0.6),)), "all 2 units"),
        ("undecided", network((gate("norm", 0.6, certainty=0.3),)), "layer_1.norm"),
        ("saturated", network((gate("bn_ln", 0.999, certainty=1.0, saturated=0.995),)), "layer_1.bn_ln"),
        ("uniform", network((gate("norm", 0.9, **MATTERS),), (gate("norm", 0.8, **MATTERS),)), "Norming in all 2"),
    ],
)
def test_each_alarm_names_what_deserves_it(kind, diagnosis, named):
    (alarm,) = [alarm for alarm in diagnosis.alarms() if alarm.kind == kind]
    assert named in alarm.message
    assert alarm.advice
    assert f"Alarm, {kind}: " in diagnosis.text()


def test_alarms_stay_away_just_short_of_their_reason():
    one_processes = network((gate("skip", 0.9),), (gate("skip", 0.4),))
    assert "all-skip" not in kinds(one_processes)
    assert "undecided" not in kinds(network((gate("norm", 0.7, certainty=0.41),)))
    assert "saturated" not in kinds(network((gate("norm", saturated=0.98),)))
    assert "uniform" not in kinds(network((gate("norm"),)))
    undecided_in_one = network((gate("norm", 0.9, **MATTERS),), (gate("norm", 0.6, certainty=0.2, **MATTERS),))
    assert "uniform" not in kinds(undecided_in_one)
    for losses in ({}, {"loss_open": 1.0, "loss_closed": 1.005}, {"loss_open": 1.5, "loss_closed": 1.0}):
        assert "uniform" not in kinds(network((gate("norm", 0.9, **MATTERS),), (gate("norm", 0.8, **losses),)))


def test_json_holds_the_numbers_and_the_alarms():
    found = replace(network((gate("norm", 0.6, certainty=0.3, loss_open=0.5, loss_closed=0.7),)), loss=0.4)
    read = json.loads(json.dumps(found.to_json()))
    assert (read["loss"], read["units"][0]["gates"][0]["loss_closed"]) == (0.4, 0.7)
    assert [alarm["kind"] for alarm in read["alarms"]] == ["undecided"]
