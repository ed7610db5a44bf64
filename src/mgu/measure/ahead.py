"""Importing this finds out what each process's meter would ask a helper process of a second: those that are forked from
this one know it."""

from contextlib import suppress

from mgu.measure.carbon import silence_codecarbon

silence_codecarbon()
with suppress(ImportError, AttributeError):  # not installed, or another version
    from codecarbon.core import cpu, hardware_cache

    hardware_cache.get_cached_tdp(cpu)
