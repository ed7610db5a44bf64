"""Whether a program prints what its documentation says: the same words, whatever the figures and the gates' choices."""

import doctest
import re

_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?")
#: What depends on the last bit of a sum, and so on the machine: how a gate is decided, and what that leaves of a layer.
_CHOICE = re.compile(r"(^ *(layer_\d+: layer\b.*|[\w.]+: \w+ -> \w+ \(.*\)|\(\w+\): \w+\(.*\))\n)+", re.MULTILINE)
_DURATION = re.compile(r"# (ms|s|min)\b")  # as fast as the machine is
_ENERGY = re.compile(r"energy [^;]*;")  # measured where the machine has a meter, else estimated
_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def prints(text: str, said: str) -> bool:
    """Whether a text is what was said, but for figures, spaces, choices of gates, and what ``...`` stands for."""
    return doctest.OutputChecker().check_output(_words(said), _words(text), _OPTIONS)


def _words(text: str) -> str:
    chosen = _CHOICE.sub("(chosen)\n", f"{text.rstrip()}\n")
    return _DURATION.sub("# s", _NUMBER.sub("#", _ENERGY.sub("energy;", chosen)))
