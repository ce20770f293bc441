"""Print the completion script for a shell. It completes names of connections, too.

Write it to where your shell looks for it:

  nexoctl completion bash > ~/.local/share/bash-completion/completions/nexoctl
  nexoctl completion zsh > "${fpath[1]}/_nexoctl"
  nexoctl completion fish > ~/.config/fish/completions/nexoctl.fish
"""

import argparse

from nexo_cli.errors import Exit
from nexo_cli.session import Session

_BASH = r"""# bash completion of nexoctl; made by `nexoctl completion bash`
_nexoctl() {
    local IFS=$'\n' candidate
    COMPREPLY=()
    while read -r candidate; do
        if [[ $candidate == ':files' ]]; then
            compopt -o filenames 2>/dev/null
            COMPREPLY+=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
        else
            COMPREPLY+=("$(printf '%q' "$candidate")")
        fi
    done < <("${COMP_WORDS[0]}" _complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _nexoctl nexoctl
"""

_ZSH = r"""#compdef nexoctl
# zsh completion of nexoctl; made by `nexoctl completion zsh`
_nexoctl() {
    local -a found
    found=("${(@f)$("${words[1]}" _complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if (( ${found[(I):files]} )); then
        found=("${(@)found:#:files}")
        _files
    fi
    found=("${(@)found:#}")
    (( ${#found} )) && compadd -a found
}
if [ "$funcstack[1]" = "_nexoctl" ]; then
    _nexoctl "$@"
else
    compdef _nexoctl nexoctl
fi
"""

_FISH = r"""# fish completion of nexoctl; made by `nexoctl completion fish`
function __nexoctl_complete
    set -l words (commandline -opc) (commandline -ct)
    for candidate in (command $words[1] _complete -- $words[2..-1] 2>/dev/null)
        if test "$candidate" = ':files'
            __fish_complete_path (commandline -ct)
        else
            echo $candidate
        end
    end
end
complete -c nexoctl -f -a '(__nexoctl_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def configure(parser: argparse.ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", choices=sorted(SCRIPTS), metavar="SHELL", help="bash, zsh or fish")


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print the script."""
    if session.json:
        session.printer.json({"shell": arguments.shell, "script": SCRIPTS[arguments.shell]})
    else:
        session.printer.raw(SCRIPTS[arguments.shell])
    return Exit.OK
