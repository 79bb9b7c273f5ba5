"""What shells complete: the script for each shell, and the words that are not options.

Shells run `comfylock` again to ask for words (click's protocol, by variables); completing must
be quick and silent, so whatever goes wrong completes nothing.
"""

import os
from pathlib import Path
from typing import Any

import click

from comfylock.cli.options import global_options, kept_options

#: Enough for a list on a terminal.
_MOST_REFS = 500

_VARIABLE = "_COMFYLOCK_COMPLETE"

# Click has no script for PowerShell; its answer to zsh holds what is needed, three lines a word.
_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName comfylock -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $line = $commandAst.ToString()
    if ($cursorPosition -lt $line.Length) { $line = $line.Substring(0, $cursorPosition) }
    $words = @($commandAst.CommandElements |
        Where-Object { $_.Extent.StartOffset -lt $cursorPosition } |
        ForEach-Object { $_.ToString() })
    $index = $words.Count
    if ($wordToComplete) { $index = $words.Count - 1 }
    try {
        $env:COMP_WORDS = $line
        $env:COMP_CWORD = $index
        $env:_COMFYLOCK_COMPLETE = 'zsh_complete'
        $answer = @(& comfylock)
    } finally {
        Remove-Item Env:_COMFYLOCK_COMPLETE, Env:COMP_WORDS, Env:COMP_CWORD
    }
    for ($i = 0; $i + 2 -lt $answer.Count; $i += 3) {
        $type, $value, $help = $answer[$i..($i + 2)]
        if ($type -ne 'plain') { continue }
        if ($help -eq '_') { $help = $value } else { $value = $value.Replace('\\:', ':') }
        $text = $value
        if ($value -match "[\\s']") { $text = "'" + $value.Replace("'", "''") + "'" }
        [System.Management.Automation.CompletionResult]::new($text, $value, 'ParameterValue', $help)
    }
}
"""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish", "powershell"]))
@global_options(with_variables=False)
def completions(shell: str) -> int:
    """Print the script that makes a shell complete commands, options and references.

    \b
    bash:        comfylock completions bash > ~/.local/share/bash-completion/completions/comfylock
    zsh:         comfylock completions zsh > "${fpath[1]}/_comfylock"
    fish:        comfylock completions fish > ~/.config/fish/completions/comfylock.fish
    powershell:  comfylock completions powershell >> $PROFILE
    """  # noqa: D301 - click leaves the block after \b as it is
    if shell == "powershell":
        click.echo(_POWERSHELL, nl=False)
        return 0
    from click.shell_completion import get_completion_class

    from comfylock.errors import UsageError

    completer = get_completion_class(shell)
    if completer is None:
        raise UsageError(f"click knows no completion for {shell}")
    context = click.get_current_context().find_root()
    click.echo(completer(context.command, {}, "comfylock", _VARIABLE).source())
    return 0


def complete_sites(context: click.Context, parameter: click.Parameter, text: str) -> list[str]:
    """Return the sites that keys are for."""
    from comfylock.hubs import Site

    del context, parameter
    return [str(site) for site in Site if site.startswith(text)]


def complete_refs(context: click.Context, parameter: click.Parameter, text: str) -> list[str]:
    """Return the keys of comfy.lock that begin with a text; none where there is no lock."""
    from comfylock.errors import CannotWorkError

    del parameter
    try:
        refs = _refs(kept_options(context))
    except (CannotWorkError, OSError):
        return []
    return [ref for ref in refs if ref.startswith(text)][:_MOST_REFS]


def _refs(given: dict[str, Any]) -> list[str]:
    """Return the keys of comfy.lock, pinned or not."""
    from comfylock.lockfile.file import read_lock
    from comfylock.places import find_lock

    directory = Path(os.path.abspath(given.get("directory", Path())))  # noqa: PTH100 - keeps links
    lock = read_lock(find_lock(directory, given.get("lockfile")))
    unresolved = (ref for entry in lock.workflows.values() for ref in entry.unresolved)
    return sorted({*lock.models, *unresolved})
