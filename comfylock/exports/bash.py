r"""A bash script that downloads, verifies and places models; it needs bash, curl and no Python.

What it promises is what `install` promises, as far as a shell can: a file appears under its name
only when size and hash are right, nothing that is there is touched, a broken download goes on
where it ended. The spellings with ``\\`` that workflows use become symbolic links. Keys come from
the environment, reach curl over its standard input, and go to the exact host that they belong to.
Every foreign text is quoted and stands in a command, never in a comment, where a line break would
end it.

`fetch.sh` is the part that is the same in every script.
"""

import shlex
from collections.abc import Sequence

from comfylock.exports.entries import Entry
from comfylock.hubs import Hub
from comfylock.names import alias_key, split_key
from comfylock.settings import Aliases

_HEAD = """\
#!/usr/bin/env bash
# shellcheck disable=SC2016 # a $ in a name is no variable
# Written by comfylock. Downloads models, verifies them and puts them where ComfyUI looks.
#   bash THIS_FILE [MODELS_FOLDER]
# Without a folder it works in the current one. CIVITAI_TOKEN and HF_TOKEN hold your keys, where a
# file needs one. Running it again goes on where it ended. Exit status 1: a model is not there.
"""
_TAIL = """\
if ((failed)); then
  complain "$failed of $total models are not there"
  exit 1
fi
if ((spellings)); then exit 1; fi
if ((total == 1)); then say 'The model is there'; else say "All $total models are there"; fi
"""


def bash_script(
    entries: Sequence[Entry], hub: Hub, *, aliases: Aliases = Aliases.LINK, stall_s: int = 30
) -> str:
    """Return the script.

    Args:
        entries: what it fetches.
        hub: whose keys go where.
        aliases: whether it links them.
        stall_s: a connection that is slower than 1 kB/s for so long is given up.
    """
    settings = {
        "civitai": hub.civitai_url,
        "huggingface": hub.huggingface_url,
        "protocols": _protocols(entries),
        "stall": str(stall_s),
        "total": str(len(entries)),
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    links = _links(entries) if aliases is Aliases.LINK else []
    commands = [*_models(entries), *links]
    return "\n".join([_HEAD + "\n".join(lines), _functions(), *commands, "", _TAIL])


def _protocols(entries: Sequence[Entry]) -> str:
    """Return what curl may speak: plain http only where the lock itself names this machine."""
    plain = any(address.startswith("http:") for entry in entries for address in entry.addresses)
    return "http,https" if plain else "https"


def _functions() -> str:
    from importlib.resources import files

    return files("comfylock.exports").joinpath("fetch.sh").read_text("utf-8")


def _models(entries: Sequence[Entry]) -> list[str]:
    """Return a command for each model; of one content only the first is downloaded."""
    first: dict[str, str] = {}
    commands: list[str] = []
    for entry in entries:
        target, digests = f"./{entry.pin.key}", entry.pin.digests
        labels = [label for label in (digests.sha256, digests.blake3) if label is not None]
        twin = [first[label] for label in labels if label in first][:1]
        for label in labels:
            first.setdefault(label, target)
        words = ["model", target, *_wanted(entry), *twin, *entry.addresses]
        commands.append(" ".join(map(shlex.quote, words)))
    return commands


def _links(entries: Sequence[Entry]) -> list[str]:
    """Return a command for each alias: where it lies, and its model as seen from there."""
    commands: list[str] = []
    for entry in entries:
        folder, name = split_key(entry.pin.key)
        for alias in entry.pin.aliases:
            words = ["spelling", f"./{alias_key(entry.pin.key, alias)}", name, f"./{folder}"]
            commands.append(" ".join(map(shlex.quote, words)))
    return commands


def _wanted(entry: Entry) -> tuple[str, str, str]:
    size = "" if entry.pin.size is None else str(entry.pin.size)
    digests = entry.pin.digests
    if digests.sha256 is not None:
        return size, "sha256", digests.sha256
    return size, "blake3", digests.label
