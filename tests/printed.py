"""Whether a program prints what its documentation says: the same words, whatever the figures."""

import doctest
import re

_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?")
_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def prints(text: str, said: str) -> bool:
    """Whether a text is what was said, but for figures, spaces, and whatever ``...`` stands for."""
    got, want = (_NUMBER.sub("#", words.strip()) + "\n" for words in (text, said))
    return doctest.OutputChecker().check_output(want, got, _OPTIONS)
