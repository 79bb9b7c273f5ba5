"""Signals that ask the program to stop, remembered: what a handler raises can get lost.

Python runs a handler between any two steps of the main thread. Where that is a callback of the
garbage collector or a `__del__`, the exception is printed and dropped, and the work would go on.
"""

_signals: list[int] = []


def interrupt(number: int, frame: object) -> None:
    """Handle a signal: raise a `KeyboardInterrupt`, and remember it."""
    del frame
    _signals.append(number)
    raise KeyboardInterrupt


def was_interrupted() -> bool:
    """Say whether a signal has come, whatever became of its exception."""
    return bool(_signals)


def raise_if_interrupted() -> None:
    """Raise what a handler has raised and nobody got.

    Raises:
        KeyboardInterrupt: a signal has come.
    """
    if _signals:
        raise KeyboardInterrupt
