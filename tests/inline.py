"""Workers that do a job where they are, at once, and tell of it afterwards: for what the runner makes of it."""

from collections import deque

from mgu.study.workers import Began, Place, outcome


class Inline:
    slots = 1

    def __init__(self, common=None):
        self.common, self.told = common, deque()

    def start(self, key, job, folder):
        self.told.append((key, Began({})))
        place = Place(folder, lambda message: self.told.append((key, message)))
        try:
            self.told.append((key, outcome(job, self.common, place)))
        except KeyboardInterrupt as stop:
            self.told.append((key, stop))

    def stop(self, within_s):
        return iter(())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def next(self):
        key, message = self.told.popleft()
        if isinstance(message, KeyboardInterrupt):
            raise message
        return key, message
