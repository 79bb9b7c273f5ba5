r"""Names with ``\`` that workflows use: on POSIX each is a second name of its model's file.

ComfyUI compares the name in a workflow with the names that it lists, so on Linux and macOS a
workflow that says ``SDXL\foo.safetensors`` is refused although ``SDXL/foo.safetensors`` is there,
and accepted where a file of just that literal name lies in the folder's own directory (seen with
ComfyUI 0.25.0). On Windows the same spelling is the path itself.
"""

import os
from collections.abc import Iterable
from dataclasses import replace

from comfylock.lockfile.model import Pin
from comfylock.names import alias_key
from comfylock.settings import Aliases


def with_aliases(pins: Iterable[Pin], setting: Aliases, system: str = os.name) -> tuple[Pin, ...]:
    """Return pins, and behind them each of their aliases as a pin of its own.

    Args:
        pins: models.
        setting: whether aliases are wanted.
        system: ``posix``, or else there are no aliases.
    """
    models = tuple(pins)
    if setting is Aliases.OFF or system != "posix":
        return models
    return (*models, *(alias for pin in models for alias in _aliases(pin)))


def _aliases(pin: Pin) -> Iterable[Pin]:
    for alias in pin.aliases:
        yield replace(pin, key=alias_key(pin.key, alias), aliases=())
