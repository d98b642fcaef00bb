"""`cnnrs completion`: what makes a shell complete commands and flags.

The scripts hold all words, so that a key press starts no Python.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

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


class _Flag(NamedTuple):
    """A flag of a command.

    Attributes:
        name: With its dashes.
        help: A line about it.
        takes: Whether a value follows.
        words: Values that are known; none where any text may follow, or a file.
    """

    name: str
    help: str
    takes: bool
    words: list[str]


class _Command(NamedTuple):
    """A command.

    Attributes:
        name: Its name.
        help: A line about it.
        flags: Its flags.
        words: What may stand for its arguments besides files.
    """

    name: str
    help: str
    flags: list[_Flag]
    words: list[str]


def _commands(program: argparse.ArgumentParser) -> list[_Command]:
    """All commands, as their parsers describe them."""
    (group,) = (a for a in program._actions if isinstance(a, argparse._SubParsersAction))
    helps = {choice.dest: choice.help or "" for choice in group._choices_actions}
    found = []
    for name, parser in group.choices.items():
        flags, words = [], []
        for action in parser._actions:
            known = [word for word in _known(action) if not set(word) & set(_UNSAFE)]
            if not action.option_strings:
                words += known
            for flag in action.option_strings:
                if flag.startswith("--"):
                    flags.append(_Flag(flag, _line(action.help), action.nargs not in (0, "?"), known))
        found.append(_Command(name, _line(helps[name]), flags, words))
    return found


def _known(action: argparse.Action) -> list[str]:
    words: Any = action.choices or getattr(action, "words", ())
    return [str(word) for word in (words() if callable(words) else words)]


# What shells would read in a text.
_UNSAFE = "'\"[]:$`\\"


def _line(text: str | None) -> str:
    """A text without what shells would read."""
    return "".join(c for c in (text or "").replace("%%", "%") if c not in _UNSAFE).strip()


def _bash(program: argparse.ArgumentParser) -> str:
    commands = _commands(program)
    values, cases = [], []
    for command in commands:
        for flag in command.flags:
            if flag.takes:
                answer = (
                    f"compgen -W '{' '.join(flag.words)}' -- \"$current\""
                    if flag.words
                    else 'compgen -f -- "$current"'
                )
                values.append(f"    '{command.name} {flag.name}') COMPREPLY=($({answer})); return ;;")
        flags = " ".join(flag.name for flag in command.flags)
        cases.append(f"    {command.name}) flags='{flags}' words='{' '.join(command.words)}' ;;")
    known, cased = "\n".join(values), "\n".join(cases)
    names = " ".join(command.name for command in commands)
    return f"""# Completion of cnnrs for bash.
_cnnrs() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" flags='' words=''
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '{names} --help --version' -- "$current"))
    return
  fi
  case "${{COMP_WORDS[1]}} $before" in
{known}
  esac
  case "${{COMP_WORDS[1]}}" in
{cased}
  esac
  if [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current"))
  fi
}}
complete -o filenames -F _cnnrs cnnrs
"""


def _zsh(program: argparse.ArgumentParser) -> str:
    commands = _commands(program)
    described = "\n".join(f"    '{command.name}:{command.help}'" for command in commands)
    cases = []
    for command in commands:
        specs = []
        for flag in command.flags:
            value = f":value:({' '.join(flag.words)})" if flag.words else ":value:_files"
            specs.append(f"'{flag.name}[{flag.help}]{value if flag.takes else ''}'")
        rest = f"{{compadd -- {' '.join(command.words)}; _files}}" if command.words else "_files"
        cases.append(f"    {command.name}) _arguments {' '.join(specs)} '*:argument:{rest}' ;;")
    body = "\n".join(cases)
    # A file of $fpath is the body of the function when it is called first; sourced it defines it.
    return f"""#compdef cnnrs
# Completion of cnnrs for zsh.
_cnnrs() {{
  local -a commands
  commands=(
{described}
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
if [ "$funcstack[1]" = _cnnrs ]; then
  _cnnrs "$@"
else
  compdef _cnnrs cnnrs
fi
"""


def _fish(program: argparse.ArgumentParser) -> str:
    lines = ["# Completion of cnnrs for fish."]
    for command in _commands(program):
        lines.append(f"complete -c cnnrs -n __fish_use_subcommand -f -a {command.name} -d '{command.help}'")
        chosen = f"complete -c cnnrs -n '__fish_seen_subcommand_from {command.name}'"
        if command.words:
            lines.append(f"{chosen} -a '{' '.join(command.words)}'")
        for flag in command.flags:
            value = f" -x -a '{' '.join(flag.words)}'" if flag.words else " -r"
            lines.append(f"{chosen} -l {flag.name[2:]} -d '{flag.help}'{value if flag.takes else ''}")
    return "\n".join(lines) + "\n"


_SCRIPTS = {"bash": _bash, "fish": _fish, "zsh": _zsh}


def script(shell: str, program: argparse.ArgumentParser) -> str:
    """The script of a shell: "bash", "fish" or "zsh", for a program."""
    return _SCRIPTS[shell](program)
