"""Jobs and a study on a real Ray cluster of three nodes, one of which is killed: all in one test, since a cluster takes
as long to start as all else here."""

import asyncio
import os
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timeless import timeless

import deeds
from inline import Inline
from mgu.errors import InputError
from mgu.progress import Silent
from mgu.study.ledger import Ledger
from mgu.study.runner import run, trial_folder
from mgu.study.stops import held
from mgu.study.workers import ENDS, Answer, Began, Death, Failure, Kept, Refusal, Stall, Waiting
from mgu.trial_job import Common, TrialJob
from samples import SETTINGS
from tiny import tiny_comparison

ray = pytest.importorskip("ray")
from mgu.study import on_ray  # noqa: E402
from mgu.study.on_ray import OnRay  # noqa: E402
from mgu.study.ray_node import Mailbox, Needs  # noqa: E402

LONG_S = 120.0


def node_id():
    return {"node": ray.get_runtime_context().get_node_id()}


@pytest.fixture
def cluster(monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))  # of the nodes: jobs are the tests' own
    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    started = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    try:
        for _ in range(2):
            started.add_node(wait=False, **small)
        started.wait_for_nodes()
        monkeypatch.setenv("RAY_ADDRESS", started.address)
        yield started
    finally:
        ray.shutdown()
        started.shutdown()


class Killing(OnRay):
    """Kills the node of the first job that has kept something and is not on the driver's node."""

    def __init__(self, cluster, *arguments):
        super().__init__(*arguments)
        self.cluster, self.nodes, self.kept, self.victim = cluster, {}, [], None

    def next(self):
        key, message = super().next()
        if isinstance(message, Began):
            self.nodes[key] = message.environment["node"]
        if isinstance(message, Kept):
            self.kept.append((key, message.seconds))
            node = next(n for n in self.cluster.list_all_nodes() if n.node_id == self.nodes[key])
            if message.seconds and not self.victim and node is not self.cluster.head_node:
                self.victim = key
                self.cluster.remove_node(node, allow_graceful=False)
        return key, message


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_cluster(cluster, tmp_path, monkeypatch):
    with (
        OnRay("common", Needs(gpus=1.0), LONG_S, node_id) as workers,
        pytest.raises(InputError, match=r"1 CPU and 1 GPU"),
    ):
        _ = workers.slots
    what_becomes_of_jobs(tmp_path, monkeypatch)
    jobs_may_keep_their_state_when_told_to_stop(tmp_path)
    a_study_whose_node_is_killed(cluster, tmp_path)


def what_becomes_of_jobs(folder, monkeypatch):
    (folder / "given").mkdir()
    (folder / "given" / "state").write_bytes(b"as it was")
    monkeypatch.setattr(on_ray, "WAIT_S", 0.0)
    jobs = {
        "writes": deeds.write,
        "fails": deeds.fail,
        "refuses": deeds.refuse,
        "dies": deeds.kill_itself,
        "hangs": deeds.hang,
        "cannot be sent": deeds.answer_with_a_lock,
        "is told to stop": deeds.interrupt_itself,
    }
    told, waits = {key: [] for key in jobs}, []
    handler = signal.getsignal(signal.SIGTERM)
    with OnRay("common", Needs(), 2.0, dict) as workers:
        assert signal.getsignal(signal.SIGTERM) is handler  # Ray would have its own
        assert workers.slots == 3
        for key, job in jobs.items():
            workers.start(key, job, folder / "given")
        while not all(messages and isinstance(messages[-1], ENDS) for messages in told.values()):
            key, message = workers.next()
            (waits if isinstance(message, Waiting) else told[key]).append(message)
    assert len(waits) >= 3  # there is room for three of them
    assert {wait.reason for wait in waits} == {"for 1 CPU of the Ray cluster; `ray status` says who has it"}
    assert all(messages[0].environment["trials at once"] == "3" for messages in told.values())
    ends = {key: messages[-1] for key, messages in told.items()}
    assert ends["writes"] == Answer(("common", b"as it was", {"cpu", "ram"}), {"new/file": b"new", "state": None})
    assert ends["fails"] == Failure("ZeroDivisionError: by 0")
    assert ends["refuses"] == Refusal("no such thing; give another")
    assert isinstance(ends["cannot be sent"], Failure)
    assert ends["is told to stop"] == Death("its worker was told to stop")
    assert isinstance(ends["dies"], Death)
    assert told["dies"][1] == "about to"
    assert isinstance(ends["hangs"], Stall)


class TerminatedError(KeyboardInterrupt):
    """Of which Ray, if it were interrupted itself, would make a plain one."""


@contextmanager
def terminated_soon():
    def terminate(number, frame):
        raise TerminatedError

    handler = signal.signal(signal.SIGTERM, terminate)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(signal.SIGTERM, handler)


def jobs_may_keep_their_state_when_told_to_stop(folder):
    with OnRay("common", Needs(), LONG_S, dict) as workers:
        for key in "abcd":  # there is room for three of them
            workers.start(key, deeds.leave_when_told, folder / "given")
        at_work = set()
        while len(at_work) < 3:
            key, message = workers.next()
            at_work |= {key} if message == "at work" else set()
        with terminated_soon(), held(), pytest.raises(TerminatedError):
            for _ in iter(workers.next, None):
                pass
        told = list(workers.stop(LONG_S))
    for key in at_work:  # the fourth may begin in another's room, and is told then
        assert [message for told_of, message in told if told_of == key][:1] == ["kept"]
    assert {key: type(message) for key, message in told if isinstance(message, ENDS)} == dict.fromkeys("abcd", Death)


def a_study_whose_node_is_killed(cluster, folder):
    comparison = tiny_comparison(100, epochs=400, patience=400)
    common = Common(comparison.data, comparison.recipe, {}, "cpu", None, "torch")
    trials = comparison.trials([0], ["TINY_00?"])

    def train(study, workers):
        with workers, Ledger.open(study, SETTINGS) as ledger:
            keys = ledger.add(trials, SETTINGS)
            run(ledger, keys, lambda trial: TrialJob(trial, trial.key(SETTINGS)), workers, Silent())
            return {key: ledger.record(key) for key in keys}

    alone = train(folder / "alone", Inline(common))
    workers = Killing(cluster, common, Needs(), LONG_S, node_id)
    found = train(folder / "ray", workers)
    assert {key: record.attempts for key, record in found.items()} == {
        key: 1 + (key == workers.victim) for key in found
    }
    resumed = [seconds for key, seconds in workers.kept if key == workers.victim]
    assert min(resumed[1:]) > 0  # its second attempt went on from what the first had kept on the lost node
    for key, record in found.items():
        assert timeless(asdict(record.result)) == timeless(asdict(alone[key].result))
        files = trial_folder(folder / "ray", record.trial), trial_folder(folder / "alone", record.trial)
        ours, others = ({p.name: p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in files)
        assert ours == others


def test_those_who_put_a_letter_into_a_full_mailbox_wait():
    letters = [b"%d" % i for i in range(Mailbox.ROOM + 2)]

    async def taken():
        mailbox = Mailbox()
        putting = asyncio.create_task(mailbox.put(7, *letters))
        await asyncio.sleep(0)
        assert not putting.done()
        first = await mailbox.take()
        await putting
        return first, await mailbox.take()

    first, second = asyncio.run(taken())
    assert len(first) == Mailbox.ROOM
    assert first + second == [(7, letter) for letter in letters]


def test_without_a_cluster_it_is_said_how_to_start_one(monkeypatch):
    def init(**options):
        raise ConnectionError("Could not find any running Ray instance.\nmore")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(on_ray.ray, "init", init)
    said = r"no Ray cluster can be joined from here \(Could not find any running Ray instance\.\): .*`ray start --head`"
    with pytest.raises(InputError, match=said):
        OnRay(None, Needs(), LONG_S, dict)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1", "nonsense:x"])
def test_a_cluster_that_is_not_there_is_told_of_at_once(monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InputError, match=rf"no Ray cluster can be joined .* \(now {address}\)"):
        OnRay(None, Needs(), LONG_S, dict)


@pytest.mark.parametrize("address", ["local", "ray://head:10001"])
def test_no_cluster_is_started_and_none_joined_from_outside(monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InputError, match=f"RAY_ADDRESS is '{address}': give HOST:PORT"):
        OnRay(None, Needs(), LONG_S, dict)


@given(st.integers(0, 9), st.integers(0, 4), st.integers(1, 4), st.sampled_from([0.0, 0.1, 0.25, 0.3, 1.0, 2.0]))
def test_as_many_fit_on_a_node_as_its_resources_give(cpus, gpus, of_cpus, of_gpus):
    node = {"Alive": True, "Resources": {"CPU": float(cpus), "GPU": float(gpus)}}
    fit = Needs(of_cpus, of_gpus).fit(node)
    assert fit * of_cpus <= cpus
    assert fit * of_gpus <= gpus + 1e-9
    assert (fit + 1) * of_cpus > cpus or (fit + 1) * of_gpus > gpus + 1e-9
    assert Needs(of_cpus, of_gpus).fit({**node, "Alive": False}) == 0
