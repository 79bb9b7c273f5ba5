"""What shells complete: the script for each shell, and the words that are not options.

Shells run `comfylock` again to ask for words (click's protocol, by variables); completing must
be quick and silent, so whatever goes wrong completes nothing.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from comfylock.cli.options import global_options, kept_options

if TYPE_CHECKING:
    from comfylock.lockfile.model import Lock

#: Enough for a list on a terminal.
_MOST_REFS = 500

_VARIABLE = "_COMFYLOCK_COMPLETE"

# Click's own script inserts names as they are, and bash then runs what stands in `$(…)`. Here they
# are quoted, in the quotes that are open. Bash divides words at = : and @ too, which names may
# hold, and replaces what stands behind = and :, but @ with what stands behind it.
_BASH = r"""
_comfylock_completion() {
    local IFS=$'\n' line=${COMP_LINE:0:COMP_POINT} type value word
    local words=() last=-1 current=${COMP_WORDS[COMP_CWORD]}
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if ((last >= 0)) && [[ $line != [[:blank:]]* ]]; then
            words[last]+=$word
        else
            words[++last]=$word
        fi
        line=${line#*"$word"}
    done
    local before=${words[last]}
    [[ $current == [=:] ]] || before=${before%"$current"}
    before=${before%@}
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                case ${words[last]} in
                    \'*) value=${value//\'/\'\\\'\'} ;;
                    \"*)
                        for word in \\ \" \$ \`; do value=${value//"$word"/\\$word}; done ;;
                    *) printf -v value %q "$value" ;;
                esac
                COMPREPLY+=("${value#"$before"}")
                ;;
        esac
    done < <(COMP_WORDS="${words[*]}" COMP_CWORD=$last \
        _COMFYLOCK_COMPLETE=bash_complete comfylock 2>/dev/null)
}
complete -o nosort -F _comfylock_completion comfylock 2>/dev/null ||
    complete -F _comfylock_completion comfylock
""".lstrip()

# Click's own script cuts names and descriptions at their first comma.
_FISH = """\
function _comfylock_completion
    set -l words (commandline -cp)
    set -l answer (env _COMFYLOCK_COMPLETE=fish_complete COMP_WORDS=$words \\
        COMP_CWORD=(commandline -t) comfylock 2>/dev/null)
    for line in $answer
        set -l parts (string split -m 1 , -- $line)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                string join \\n -- $parts[2]
        end
    end
end
complete --no-files --command comfylock --arguments "(_comfylock_completion)"
"""

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


@click.command(short_help="Print the script for your shell's completion.")
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish", "powershell"]))
@global_options(with_variables=False)
def completions(shell: str) -> int:
    """Print the script that makes a shell complete commands, options and references.

    \b
    bash:        comfylock completions bash > ~/.local/share/bash-completion/completions/comfylock
    zsh:         comfylock completions zsh > "${fpath[1]}/_comfylock"
    fish:        comfylock completions fish > ~/.config/fish/completions/comfylock.fish
    powershell:  comfylock completions powershell >> $PROFILE
    """  # noqa: D301 - click leaves the block after \b as it is
    own = {"bash": _BASH, "fish": _FISH, "powershell": _POWERSHELL}
    if shell in own:
        click.echo(own[shell], nl=False)
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


def complete_files(
    context: click.Context, parameter: click.Parameter, text: str
) -> list[CompletionItem]:
    """Return the word by which shells offer files; an argument of any text offers nothing."""
    del context, parameter
    return [CompletionItem(text, type="file")]


def complete_workflows(
    context: click.Context, parameter: click.Parameter, text: str
) -> list[CompletionItem]:
    """Return the workflows of comfy.lock that begin with a text; files where there is no lock."""
    lock = _lock(context)
    if lock is None:
        return complete_files(context, parameter, text)
    return [CompletionItem(path) for path in sorted(lock.workflows) if path.startswith(text)]


def complete_refs(context: click.Context, parameter: click.Parameter, text: str) -> list[str]:
    """Return the keys of comfy.lock, pinned or not, that begin with a text."""
    del parameter
    lock = _lock(context)
    if lock is None:
        return []
    unresolved = (ref for entry in lock.workflows.values() for ref in entry.unresolved)
    refs = sorted({*lock.models, *unresolved})
    return [ref for ref in refs if ref.startswith(text)][:_MOST_REFS]


def _lock(context: click.Context) -> "Lock | None":
    """Return the lock that the options so far name; ``None`` where none can be read."""
    from comfylock.errors import CannotWorkError
    from comfylock.lockfile.file import read_lock
    from comfylock.places import find_lock

    given = kept_options(context)
    directory = Path(os.path.abspath(given.get("directory", Path())))  # noqa: PTH100 - keeps links
    try:
        return read_lock(find_lock(directory, given.get("lockfile")))
    except (CannotWorkError, OSError):
        return None
