"""What processes of their own are asked to do in tests/study; they import it by name."""

import os
import resource
import signal
import struct
import threading
import time

from mgu.errors import InputError
from mgu.study.runner import Trained
from mgu.study.workers import Stopped


def count(common, place):
    for i in range(3):
        place.tell(i)
    return "done"


def train(result, place):
    return Trained(result)


def say_who(common, place):
    return os.getpid()


def say_environment(common, place):
    return os.environ.get("MGU_TEST")


def say_where(common, place):
    return common, place.folder, dict(place.shared)


def keep_saying(common, place):
    for i in range(8):
        place.tell(i)
        time.sleep(0.25)


def refuse(common, place):
    raise InputError("no such thing; give another")


def fail(common, place):
    raise ZeroDivisionError("by 0")


def kill_itself(common, place):
    place.tell("about to")
    os.kill(os.getpid(), signal.SIGKILL)


def break_off(common, place):
    os.write(place.tell.__self__.fileno(), struct.pack("!i", 1000) + b"of these there is one")
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt_itself(common, place):
    raise KeyboardInterrupt


def crash(common, place):
    os.abort()


def leave(common, place):
    os._exit(3)


def hang(common, place):
    place.tell(os.getpid())
    time.sleep(600)


def leave_when_told(common, place):
    place.tell("at work")
    while not place.stopping():
        time.sleep(0.01)
    place.tell("kept")
    raise Stopped


def stop_itself(common, place):
    place.tell(os.getpid())
    os.kill(os.getpid(), signal.SIGSTOP)


def take_all_memory(common, place):
    resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
    return len(bytearray(2**33))


def answer_nothing_that_can_be_sent(common, place):
    return lambda: None


def answer_with_a_lock(common, place):
    return threading.Lock()


def write(common, place):
    found = (place.folder / "state").read_bytes()
    (place.folder / "state").unlink()
    (place.folder / "new").mkdir()
    (place.folder / "new" / "file").write_bytes(b"new")
    return common, found, set(place.shared)
