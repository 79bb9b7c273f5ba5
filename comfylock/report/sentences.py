"""Sentences that more than one command says, without a result to look at."""


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: ``1 model``, ``2 models``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def all_are(count: int, what: str) -> str:
    """Return that all models of a lock are so: ``All 3 models are present``."""
    if count == 0:
        return "comfy.lock holds no models"
    return f"All {count} models are {what}" if count > 1 else f"The only model is {what}"


def took(seconds: float) -> str:
    """Return a duration for people."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def checked_sentence(models: int, seconds: float) -> str:
    """Return the one line of a command that finds nothing to do."""
    return f"Checked {counted(models, 'model')} in {took(seconds)}"
