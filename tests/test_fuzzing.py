"""What is fuzzed for minutes by hand, for a second: whatever readers are given, they read it or say why not."""

import json
from contextlib import suppress
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import layouts
import ledger
import model_folder
from mgu.data import load_data
from mgu.errors import InputError
from mutation import changed, text

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
#: What reading a stranger's numbers may say beside; the command line does not show it.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")

LAYOUTS = list(layouts.seeds())
LEDGER = ledger.content()


@few
@given(st.randoms(use_true_random=False), st.sampled_from([seed for seed in LAYOUTS if seed[:1] in b"[{"]))
def test_any_change_of_a_space(random, seed):
    layouts.check(text(changed(json.loads(seed), random)))


@few
@given(st.binary() | st.text().map(str.encode))
@pytest.mark.parametrize("check", [layouts.check, ledger.check], ids=["layouts", "ledger"])
def test_any_bytes(check, content):
    check(content)


@few
@given(st.integers(0, 2**32))
def test_any_change_of_what_a_ledger_says(seed):
    ledger.check(text(changed(LEDGER, Random(seed))))


@few
@given(st.data())
def test_any_change_of_a_ledgers_bytes(data):
    ledger.check(flipped(data, list(ledger.seeds())[1]))


@pytest.fixture(scope="module")
def folder():
    """The bytes of a good folder's files, as the target takes them."""
    return list(model_folder.seeds())


@few
@given(st.integers(0, 2**32))
def test_any_change_of_a_models_card(folder, seed):
    model_folder.check(b"\0" + text(changed(json.loads(folder[0][1:]), Random(seed))))


@few
@given(st.data())
def test_any_change_of_a_models_bytes(folder, data):
    which = data.draw(st.integers(0, 2))
    model_folder.check(bytes([which]) + flipped(data, folder[which][1:]))


@few
@given(st.data())
def test_any_bytes_of_a_table(tmp_path, data):
    whole = "x,y,label\n" + "\n".join(f"{i},{'uv'[i % 3 % 2]},{'ab'[i % 2]}" for i in range(30))
    (tmp_path / "t.csv").write_bytes(
        data.draw(st.binary()) if data.draw(st.booleans()) else flipped(data, whole.encode())
    )
    with suppress(InputError):
        load_data(str(tmp_path / "t.csv"))


def flipped(data, content):
    """The content with some of its bytes others, more or fewer."""
    start, count = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 8))
    return content[:start] + data.draw(st.binary(max_size=8)) + content[start + count :]
