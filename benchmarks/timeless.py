"""What of a result does not depend on how fast the machine was."""

TIMES = ("tts_s", "train_s", "compile_s", "latency_s", "usage", "soft_latency_s", "soft_usage", "elapsed_s")


def timeless(value):
    """The value without anything that is a time, or was measured over one."""
    if isinstance(value, dict):
        return {name: timeless(entry) for name, entry in value.items() if name not in TIMES}
    if isinstance(value, list | tuple):
        return [timeless(entry) for entry in value]
    return value
