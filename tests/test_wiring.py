"""The chain: what it computes, what deciding its gates leaves, and where its gates start."""

import operator

import pytest

import reference
from mgu.errors import InputError
from mgu.wiring import (
    FORMS,
    NORMS,
    Gate,
    Op,
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

    def apply(op, *inputs):
        return " + ".join(inputs) if op.kind == "add" else f"{symbols[op.kind]}({inputs[0]})"

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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: harden(FORMS["code"], {"no": "x"}), "no gate 'no'; its gates: bn_order, bn_ln, norm, residual, skip"),
        (lambda: harden(FORMS["code"], {"norm": "ln"}), "'norm' cannot pass on 'ln'; allowed: bn_ln or no_norm"),
        (lambda: cell_chain("batch", False), f"unknown norm 'batch'; allowed: {', '.join(NORMS)}"),
        (lambda: form_chain("prose"), "unknown form 'prose'; allowed: code, equations"),
        (lambda: prior_logits("odd", "code"), "unknown prior 'odd'; allowed: plain, neutral"),
        (lambda: prior_logits([1, 2, 3, 4], "code"), "prior has 4 numbers; it needs 5"),
    ],
)
def test_what_is_wrong_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize(
    ("form", "residual_gate", "expected"),
    [
        ("code", True, (2, 2, 2, 2, -2)),
        ("equations", True, (-2, 2, 2, 2, 2)),
        ("code", False, (2, 2, 2, -2)),
    ],
)
def test_the_plain_prior_leans_to_batch_norm_before_the_activation(form, residual_gate, expected):
    assert prior_logits("plain", form, residual_gate=residual_gate) == expected
    assert set(prior_logits("neutral", form)) == {0}
