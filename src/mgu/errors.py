"""The one exception that means: the input was wrong, and here is what to do."""


class InputError(ValueError):
    """Raised at a public door for bad input.

    The message says what was wrong, what arrived, what is allowed and what to do. The command line prints it
    without a traceback and exits with code 2.
    """
