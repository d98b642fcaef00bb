"""`cnnrs completion`: what makes a shell complete commands and flags.

The scripts hold all words, so that a key press starts no Python.
"""

from __future__ import annotations

import argparse
from typing import Any

from cnnrs.cli.options import add_command

__all__ = ["add", "script"]


def add(commands: Any) -> None:
    """Describes the command."""
    completion = add_command(
        commands, "completion", _completion, "print what makes a shell complete commands",
        "Print a script that makes a shell complete commands, flags and names of networks.",
        """
cnnrs completion bash > ~/.local/share/bash-completion/completions/cnnrs
cnnrs completion zsh > ~/.zfunc/_cnnrs         (a folder of $fpath)
cnnrs completion fish > ~/.config/fish/completions/cnnrs.fish
""",
    )  # fmt: skip
    completion.add_argument("shell", choices=sorted(_SCRIPTS), help="the shell")


def _completion(options: argparse.Namespace) -> int:
    print(script(options.shell, options.program), end="")
    return 0


def _words(program: argparse.ArgumentParser) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """For each command its line of help, and its flags with theirs."""
    (group,) = (a for a in program._actions if isinstance(a, argparse._SubParsersAction))
    helps = {choice.dest: choice.help or "" for choice in group._choices_actions}
    found = {}
    for name, parser in group.choices.items():
        flags = [
            (flag, _line(action.help))
            for action in parser._actions
            for flag in action.option_strings
            if flag.startswith("--")
        ]
        found[name] = _line(helps[name]), flags
    return found


def _line(text: str | None) -> str:
    """A text without what shells would read."""
    return "".join(c for c in (text or "").replace("%%", "%") if c not in "'\"[]:$`\\").strip()


def _values() -> dict[str, list[str]]:
    """Flags whose values are words that are known."""
    from cnnrs import recipes
    from cnnrs.runs import networks, settings

    return {
        "--model": networks.names(),
        "--recipe": ["none", *recipes.names()],
        "--augment": list(settings.AUGMENTATIONS),
        "--optimizer": list(settings.OPTIMIZERS),
        "--precision": list(settings.PRECISIONS),
        "--device": ["cpu", "gpu"],
        "--weights": ["none", "imagenet"],
    }


def _bash(program: argparse.ArgumentParser) -> str:
    words = _words(program)
    cases = "\n".join(
        f"    {name}) words='{' '.join(flag for flag, _ in flags)}' ;;" for name, (_, flags) in words.items()
    )
    values = "\n".join(
        f"    {flag}) COMPREPLY=($(compgen -W '{' '.join(known)}' -- \"$current\")); return ;;"
        for flag, known in _values().items()
    )
    return f"""# Completion of cnnrs for bash.
_cnnrs() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" words=''
  case "$before" in
{values}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '{" ".join(words)} --help --version' -- "$current"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac
  if [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}}
complete -o filenames -F _cnnrs cnnrs
"""


def _zsh(program: argparse.ArgumentParser) -> str:
    words, values = _words(program), _values()
    commands = "\n".join(f"    '{name}:{help}'" for name, (help, _) in words.items())
    cases = []
    for name, (_, flags) in words.items():
        specs = []
        for flag, help in flags:
            known = f":value:({' '.join(values[flag])})" if flag in values else ""
            specs.append(f"'{flag}[{help}]{known}'")
        cases.append(f"    {name}) _arguments {' '.join(specs)} '*:file:_files' ;;")
    body = "\n".join(cases)
    return f"""#compdef cnnrs
# Completion of cnnrs for zsh.
_cnnrs() {{
  local -a commands
  commands=(
{commands}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local chosen=$words[2]
  shift words
  (( CURRENT-- ))
  case $chosen in
{body}
  esac
}}
compdef _cnnrs cnnrs
"""


def _fish(program: argparse.ArgumentParser) -> str:
    lines = ["# Completion of cnnrs for fish."]
    words, values = _words(program), _values()
    for name, (help, flags) in words.items():
        lines.append(f"complete -c cnnrs -n __fish_use_subcommand -f -a {name} -d '{help}'")
        for flag, text in flags:
            known = f" -x -a '{' '.join(values[flag])}'" if flag in values else ""
            lines.append(
                f"complete -c cnnrs -n '__fish_seen_subcommand_from {name}' -l {flag[2:]} -d '{text}'{known}"
            )
    return "\n".join(lines) + "\n"


_SCRIPTS = {"bash": _bash, "fish": _fish, "zsh": _zsh}


def script(shell: str, program: argparse.ArgumentParser) -> str:
    """The script of a shell: "bash", "fish" or "zsh", for a program."""
    return _SCRIPTS[shell](program)
