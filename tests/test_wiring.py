"""The chain: what it computes, what deciding its gates leaves, and where its gates start."""

import math
import operator

import pytest

import reference
from mgu.errors import InputError
from mgu.wiring import (
    CELL_NORMS,
    FORMS,
    NORMS,
    PROCESSORS,
    Gate,
    Op,
    Processor,
    cell_chain,
    cell_decision,
    evaluate,
    form_chain,
    gates,
    harden,
    prior_logits,
)


def terms(chain):
    """What a chain without gates computes, as text."""
    symbols = {"layer": "L", "bypass": "t", "activation": "A", "batch_norm": "BN", "layer_norm": "LN"}
    symbols["switchable_norm"] = "SN"

    def apply(op, *inputs):
        return " + ".join(inputs) if op.kind == "add" else f"{symbols.get(op.kind, op.kind)}({inputs[0]})"

    return evaluate(chain, "x", apply, mix=None)


PLAIN = {
    ("bn_pre", False): "A(BN(L(x)))",
    ("bn_post", False): "BN(A(L(x)))",
    ("ln", False): "LN(A(L(x)))",
    ("no_norm", False): "A(L(x))",
}
PLAIN |= {(norm, True): f"{text} + t(x)" for (norm, _), text in PLAIN.items()}


@pytest.mark.parametrize("form", FORMS)
def test_the_32_decisions_give_the_8_cells_and_the_bypass(form):
    expected = {*PLAIN.values(), "t(x)"}
    if form == "equations":
        expected = {text.replace("LN(A(L(x)))", "A(LN(L(x)))") for text in expected}
    decisions = reference.decisions(gates(FORMS[form]))
    assert len(decisions) == 32
    assert {terms(harden(FORMS[form], decision)) for decision in decisions} == expected
    assert len({harden(FORMS[form], decision) for decision in decisions}) == 9


@pytest.mark.parametrize(("norm", "residual"), PLAIN)
def test_a_cell_is_what_the_grid_calls_it(norm, residual):
    assert terms(cell_chain(norm, residual)) == PLAIN[norm, residual]


def test_switchable_normalization_stands_where_batch_norm_stands_before_the_activation():
    assert terms(cell_chain("sn", False)) == "A(SN(L(x)))"
    assert terms(cell_chain("sn", True)) == "A(SN(L(x))) + t(x)"
    assert {norm for norm, _ in PLAIN} | {"sn"} == set(CELL_NORMS)


def test_the_code_form_is_the_listing_of_section_4_2():
    """On numbers, with an arithmetic that tells every operation and side apart."""
    g = {"bn_order": 0.1, "bn_ln": 0.2, "norm": 0.3, "residual": 0.4, "skip": 0.6}
    kinds = {"layer": lambda v: v + 1, "bypass": lambda v: v * 7, "activation": lambda v: v**2}
    kinds |= {"batch_norm": lambda v: v - 5, "layer_norm": lambda v: v / 3, "add": operator.add}
    value = evaluate(
        FORMS["code"],
        2.0,
        lambda op, *inputs: kinds[op.kind](*inputs),
        lambda gate, opened, closed: g[gate.name] * opened + (1 - g[gate.name]) * closed,
    )
    bypass, linear = 14.0, 3.0
    y1 = 0.1 * (linear - 5) ** 2 + 0.9 * (linear**2 - 5)
    y2 = 0.2 * y1 + 0.8 * (linear**2 / 3)
    y3 = 0.3 * y2 + 0.7 * linear**2
    y4 = 0.4 * y3 + 0.6 * (y3 + bypass)
    assert value == pytest.approx(0.6 * bypass + 0.4 * y4)


def test_a_chain_may_be_decided_in_part():
    without = form_chain("code", residual_gate=False)
    assert [gate.name for gate in gates(without)] == ["bn_order", "bn_ln", "norm", "skip"]
    assert gates(without)[-1] == Gate("skip", open="bypass", closed="norm")
    in_steps = harden(harden(FORMS["code"], {"bn_order": "bn_post"}), {"bn_ln": "bn_post"})
    assert in_steps == harden(FORMS["code"], {"bn_order": "bn_post", "bn_ln": "bn_order"})


def test_what_nobody_reads_is_dropped():
    assert harden(FORMS["code"], cell_decision("no_norm", False)) == (
        Op("linear", "layer", ("x",)),
        Op("no_norm", "activation", ("linear",)),
    )
    assert harden(FORMS["code"], {"skip": "bypass"}) == (Op("bypass", "bypass", ("x",)),)


@pytest.mark.parametrize("form", FORMS)
def test_a_form_without_processors_is_the_published_one(form):
    assert form_chain(form) == FORMS[form]
    assert len(FORMS[form]) == {"code": 13, "equations": 14}[form]


ALL = ("rms_norm", "group_norm", "instance_norm", "squeeze_excite")


@pytest.mark.parametrize("form", FORMS)
def test_processors_add_their_norms_and_a_recalibration_to_every_network_of_the_unit(form):
    """The networks written down: any of the six norms or none, recalibrated or not, with the bypass or not."""
    norms = ["A(BN(L(x)))", "BN(A(L(x)))", "LN(A(L(x)))" if form == "code" else "A(LN(L(x)))", "A(L(x))"]
    norms += [f"{name}(A(L(x)))" for name in ALL[:3]]
    processed = [text for norm in norms for text in (norm, f"squeeze_excite({norm})")]
    expected = {text for value in processed for text in (value, f"{value} + t(x)")} | {"t(x)"}
    chain = form_chain(form, processors=ALL)
    assert {terms(harden(chain, decision)) for decision in reference.decisions(gates(chain))} == expected


@pytest.mark.parametrize("names", [*[(name,) for name in ALL], ALL, ALL[::-1], ("squeeze_excite", "group_norm")])
@pytest.mark.parametrize("residual_gate", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_with_every_further_gate_open_the_published_form_is_left(form, residual_gate, names):
    chain = form_chain(form, residual_gate=residual_gate, processors=names)
    opened = {gate.name: gate.open for gate in gates(chain) if gate.name.startswith("with_")}
    assert len(opened) == len(names)
    assert harden(chain, opened) == form_chain(form, residual_gate=residual_gate)


def test_gates_stand_where_the_chain_evaluates_them_norms_in_the_order_given():
    chain = form_chain("code", processors=("squeeze_excite", "group_norm", "rms_norm"))
    assert gates(chain) == (
        Gate("bn_order", open="bn_pre", closed="bn_post"),
        Gate("bn_ln", open="bn_order", closed="ln"),
        Gate("with_group_norm", open="bn_ln", closed="group_norm"),
        Gate("with_rms_norm", open="with_group_norm", closed="rms_norm"),
        Gate("norm", open="with_rms_norm", closed="no_norm"),
        Gate("with_squeeze_excite", open="norm", closed="squeeze_excite"),
        Gate("residual", open="with_squeeze_excite", closed="sum"),
        Gate("skip", open="bypass", closed="residual"),
    )
    assert Op("sum", "add", ("with_squeeze_excite", "bypass")) in chain


def test_a_processor_of_ones_own_stands_anywhere_also_behind_the_last_value(monkeypatch):
    monkeypatch.setitem(PROCESSORS, "scale", Processor(reads="no_norm", beside="no_norm"))
    monkeypatch.setitem(PROCESSORS, "clip", Processor(reads="skip", beside="skip"))
    chain = form_chain("code", processors=("rms_norm", "clip", "scale"))
    closed = {"with_scale": "scale", "with_rms_norm": "rms_norm", "norm": "with_rms_norm", "residual": "norm"}
    closed |= {"skip": "residual", "with_clip": "clip"}
    assert terms(harden(chain, closed)) == "clip(rms_norm(scale(A(L(x)))))"


@pytest.mark.parametrize(
    ("reads", "beside"), [("ln_linear", "bn_ln"), ("no_norm", "mean"), ("skip", "norm"), ("rms_norm", "bn_ln")]
)
def test_a_processor_that_does_not_fit_the_form_is_named(monkeypatch, reads, beside):
    monkeypatch.setitem(PROCESSORS, "own", Processor(reads, beside))
    with pytest.raises(
        InputError, match=f"'own' reads '{reads}' and stands beside '{beside}'; .* linear, bypass, no_n"
    ):
        form_chain("code", processors=("rms_norm", "own"))


def test_a_processor_with_the_name_of_a_value_is_named(monkeypatch):
    monkeypatch.setitem(PROCESSORS, "ln", Processor("no_norm", "bn_ln"))
    with pytest.raises(InputError, match="processor 'ln' has the name of one of the form's own values"):
        form_chain("code", processors=["ln"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: harden(FORMS["code"], {"no": "x"}), "no gate 'no'; its gates: bn_order, bn_ln, norm, residual, skip"),
        (lambda: harden(FORMS["code"], {"norm": "ln"}), "'norm' cannot pass on 'ln'; allowed: bn_ln or no_norm"),
        (lambda: cell_chain("batch", False), f"unknown norm 'batch'; allowed: {', '.join(CELL_NORMS)}"),
        (lambda: cell_decision("sn", False), f"unknown norm 'sn'; allowed: {', '.join(NORMS)}"),
        (lambda: form_chain("prose"), "unknown form 'prose'; allowed: code, equations"),
        (lambda: prior_logits("odd", "code"), "unknown prior 'odd'; allowed: plain, neutral"),
        (lambda: prior_logits([1, 2, 3, 4], "code"), "prior has 4 numbers; it needs 5"),
        (lambda: prior_logits([1, -math.inf, 3, 4, 5], "code"), "prior has -inf for the gate bn_ln; it must be a fin"),
        (lambda: prior_logits([1, 2, math.nan, 4, 5], "code"), "prior has nan for the gate norm; it must be a finite"),
        (
            lambda: prior_logits([1, 2, 3, 4, 5], "code", processors=("rms_norm",)),
            "prior has 5 numbers; it needs 6, one for each of bn_order, bn_ln, with_rms_norm, norm, residual, skip",
        ),
        (lambda: form_chain("code", processors=["rms"]), f"unknown processor 'rms'; allowed: {', '.join(ALL)}"),
        (lambda: form_chain("code", processors="rms_norm"), "a sequence of names, such as .'rms_norm'.; the text"),
        (lambda: form_chain("code", processors=["rms_norm"] * 2), "'rms_norm' is named more than once"),
    ],
)
def test_what_is_wrong_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize(
    ("form", "residual_gate", "expected"),
    [
        ("code", True, (0, 4, 4, 4, -4)),
        ("equations", True, (0, 4, 4, 4, 4)),
        ("code", False, (0, 4, 4, -4)),
    ],
)
def test_the_plain_prior_leans_to_batch_norm_and_leaves_its_order_open(form, residual_gate, expected):
    assert prior_logits("plain", form, residual_gate=residual_gate) == expected
    assert set(prior_logits("neutral", form)) == {0}


def test_the_plain_prior_leans_away_from_processors():
    processors = ("rms_norm", "squeeze_excite")
    assert prior_logits("plain", "code", processors=processors) == (0, 4, 4, 4, 4, 4, -4)
    assert prior_logits("plain", "equations", processors=processors) == (0, 4, 4, 4, 4, 4, 4)
    without = prior_logits("plain", "code", residual_gate=False, processors=processors)
    assert without == (0, 4, 4, 4, 4, -4)
    assert prior_logits([1, 2, 3, 4, 5, 6, 7], "code", processors=processors) == (1, 2, 3, 4, 5, 6, 7)
