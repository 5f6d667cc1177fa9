"""`heliograph completion bash|zsh`: what completes this command in a shell; `eval "$(heliograph completion bash)"` loads it."""

from __future__ import annotations

from collections.abc import Sequence

from heliograph.cli import COMMANDS, KINDS, VERBS
from heliograph.cli.arguments import CommandParser

SHELLS = ("bash", "zsh")

#: What each command takes beside --help. Where a word may be a file, the shell completes those by itself.
WORDS = {
    "status": ("--state", "--json"),
    "stop": ("--state", "--json"),
    "logs": ("--state", "--json", "--follow", "stack", "proxy", "nginx", "web1"),
    "reload": ("--state", "--json"),
    "rolling": ("--state", "--drain-first", "--json"),
    "channels": ("backup", "vacuum", "copy", "--json"),
    "settings": ("--json", "--markdown", "--json-schema"),
    "doctor": ("--json",),
    "proxy": ("--state", *VERBS, "--json"),
    "export": (*KINDS, "--output", "--json"),
    "completion": SHELLS,
}

#: zsh has a module that runs completions of bash.
ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"

BASH = """\
_heliograph() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='{commands}'
  else
    case ${{COMP_WORDS[1]}} in
{cases}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _heliograph heliograph
"""


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("completion", 'To load it in bash: eval "$(heliograph completion bash)"')
    parser.add_argument("shell", choices=SHELLS)
    given = parser.parse_args(arguments)
    print(script(given.shell), end="")
    return 0


def script(shell: str) -> str:
    cases = [f"      {name}) words='{' '.join((*words, '--help'))}' ;;" for name, words in WORDS.items()]
    cases.append("      *) words='--help' ;;")
    text = BASH.format(commands=" ".join((*COMMANDS, "--help", "--version")), cases="\n".join(cases))
    return ZSH + text if shell == "zsh" else text
