"""Clocks, meters, and what a number was measured on."""

from mgu.measure.carbon import carbon_intensity
from mgu.measure.clock import Clock
from mgu.measure.combining import combined
from mgu.measure.environment import environment
from mgu.measure.meter import Meter

__all__ = ["Clock", "Meter", "carbon_intensity", "combined", "environment"]
