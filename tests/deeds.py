"""What processes of their own are asked to do in tests/study/test_workers.py; they import it by name."""

import os
import resource
import signal
import time

from mgu.errors import InputError


def count(tell):
    for i in range(3):
        tell(i)
    return "done"


def say_who(tell):
    return os.getpid()


def refuse(tell):
    raise InputError("no such thing; give another")


def fail(tell):
    raise ZeroDivisionError("by 0")


def kill_itself(tell):
    tell("about to")
    os.kill(os.getpid(), signal.SIGKILL)


def crash(tell):
    os.abort()


def leave(tell):
    os._exit(3)


def hang(tell):
    tell(os.getpid())
    time.sleep(600)


def stop_itself(tell):
    tell(os.getpid())
    os.kill(os.getpid(), signal.SIGSTOP)


def take_all_memory(tell):
    resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
    return len(bytearray(2**33))


def answer_nothing_that_can_be_sent(tell):
    return lambda: None
