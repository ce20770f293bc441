"""Print the completion script for a shell. It completes names of connections, too.

Write it to where your shell looks for it:

  nexoctl completion bash > ~/.local/share/bash-completion/completions/nexoctl
  nexoctl completion zsh > "${fpath[1]}/_nexoctl"
  nexoctl completion fish > ~/.config/fish/completions/nexoctl.fish
"""

import argparse

from nexo.connections import python
from nexo_cli.errors import CommandFailed, Exit
from nexo_cli.session import Session

# With the script of argcomplete 3.7, zsh makes \~/ of ~/, which names no file (its issue 503). This one calls
# nexoctl in the same way.
_ZSH = r"""#compdef nexoctl
_nexoctl() {
    local line="${(j: :)words[1,CURRENT-1]} $QIPREFIX$PREFIX" IFS=$'\v'
    local -a found
    found=($(_ARGCOMPLETE=1 _ARGCOMPLETE_SUPPRESS_SPACE=1 COMP_LINE=$line COMP_POINT=${#line} \
        ${(Q)words[1]} 8>&1 9>/dev/null >/dev/null 2>&1 </dev/null))
    compadd -Q -S '' -- ${(M)found:#*[/=]}
    compadd -Q -- ${found:#*[/=]}
}
if [[ $funcstack[1] == _nexoctl ]]; then
    _nexoctl "$@"
else
    compdef _nexoctl nexoctl
fi
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", choices=["bash", "fish", "zsh"], metavar="SHELL", help="bash, zsh or fish")


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print the script."""
    if python.missing(("argcomplete",)):
        raise CommandFailed(
            "completion needs a package that is not installed (argcomplete)",
            hint="install it with: pip install 'nexo-connections[cli]'",
            reason="COMPLETION_UNAVAILABLE",
        )
    from argcomplete.shell_integration import shellcode

    script = _ZSH if arguments.shell == "zsh" else shellcode(["nexoctl"], False, arguments.shell)
    if session.json:
        session.printer.json({"shell": arguments.shell, "script": script})
    else:
        session.printer.raw(script)
    return Exit.OK
