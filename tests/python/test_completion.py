"""What shells complete: words of the scripts, and real shells where they are installed."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import time

import pytest

from cnnrs import recipes
from cnnrs.cli import program
from cnnrs.cli.completion import script
from cnnrs.runs import settings

# What is typed, and what is among the answers.
WORDS = [
    (["cnnrs", "tr"], "train"),
    (["cnnrs", "train", "--epo"], "--epochs"),
    (["cnnrs", "train", "--model", "resnet1"], "resnet18"),
    (["cnnrs", "train", "--optimizer", "ada"], "adamw"),
    (["cnnrs", "train", "--schedule", "one"], "one_cycle"),
    (["cnnrs", "train", "--recipe", "imagenet-s"], "imagenet-small"),
    (["cnnrs", "train", "--augment", "li"], "light"),
    (["cnnrs", "search", "--monitor", "l"], "loss"),
    (["cnnrs", "lr-find", "--fit", "cr"], "crop"),
    (["cnnrs", "train", "--broken", "s"], "skip"),
    (["cnnrs", "evaluate", "--broken", "s"], "skip"),
    (["cnnrs", "predict", "--device", "g"], "gpu"),
    (["cnnrs", "serve", "--max-b"], "--max-batch"),
    (["cnnrs", "train", "fashion"], "fashion_mnist"),
    (["cnnrs", "bench", "resnet18-c"], "resnet18-cifar"),
    (["cnnrs", "summary", "lenet"], "lenet5"),
    (["cnnrs", "completion", "z"], "zsh"),
]
FILES = [
    (["cnnrs", "train", "pho"], "photos"),
    (["cnnrs", "evaluate", "pho"], "photos"),
    (["cnnrs", "train", "--out", "pho"], "photos"),
    (["cnnrs", "report", "--output", "pho"], "photos"),
]


@pytest.fixture
def folder(tmp_path):
    for shell in ("bash", "zsh", "fish"):
        (tmp_path / f"{shell}.script").write_text(script(shell, program.make_parser()))
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "photos").mkdir()
    return tmp_path


def test_scripts_know_commands_flags_and_all_words_of_settings():
    parser = program.make_parser()
    commands = re.findall(r"^    ([a-z-]+) ", parser.format_help(), re.MULTILINE)
    expected = [*commands, "resnet18", "overfit-one-batch", *recipes.names(), *settings.OPTIMIZERS]
    expected += [*settings.AUGMENTATIONS, *settings.PRECISIONS, "one_cycle", "grayscale", "balanced"]
    for shell in ("bash", "zsh", "fish"):
        text = script(shell, parser)
        assert [word for word in expected if not re.search(rf"(?<!\w){word}(?![\w-])", text)] == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(("words", "expected"), WORDS + FILES)
def test_bash_completes(folder, words, expected):
    code = (
        f"source {folder}/bash.script; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _cnnrs; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, cwd=folder / "here")
    assert done.stderr == "" and expected in done.stdout.split()


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
def test_fish_completes(folder):
    """All in one process, which takes its time to start."""
    asked = WORDS + FILES
    lines = [f"source {folder}/fish.script"]
    lines += [f"complete -C '{' '.join(words)}'; echo =" for words, _ in asked]
    environment = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    done = subprocess.run(
        ["fish", "--no-config", "-c", "; ".join(lines)], capture_output=True, text=True, cwd=folder / "here",
        env=environment,
    )  # fmt: skip
    assert done.stderr == ""
    answers = done.stdout.split("=\n")
    for (words, expected), answer in zip(asked, answers, strict=False):
        found = [line.split("\t")[0].rstrip("/") for line in answer.splitlines()]
        assert expected in found, (words, answer)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh")
@pytest.mark.parametrize("how", ["sourced", "in fpath"])
def test_zsh_completes(folder, how):
    """In a pseudo-terminal, for completion belongs to the line editor."""
    import pty

    functions = folder / "functions"
    functions.mkdir()
    (functions / "_cnnrs").write_text((folder / "zsh.script").read_text())
    begin = f"fpath=({functions} $fpath); " if how == "in fpath" else ""
    begin += "autoload -U compinit; compinit -u -D; "
    begin += "" if how == "in fpath" else f"source {folder}/zsh.script; "
    begin += "LISTMAX=10000; setopt no_beep no_prompt_cr; PROMPT='ready> '"
    mine, its = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "HOME": str(folder), "ZDOTDIR": str(folder)}
    process = subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=its, stdout=its, stderr=its, cwd=folder / "here", env=environment
    )
    os.close(its)

    def said(until: str) -> str:
        text, end = "", time.monotonic() + 20
        while until not in text and time.monotonic() < end:
            if select.select([mine], [], [], 0.1)[0]:
                text += os.read(mine, 65536).decode(errors="replace")
        assert until in text, text
        return text

    try:
        os.write(mine, f"{begin}\n".encode())
        said("\nready> ")
        for words, expected in WORDS + FILES:
            # The rest of the word is put in where there is one way on; several are listed the second time.
            typed = " ".join(words)
            os.write(mine, typed.encode() + b"\t\t")
            said(expected)
            # Control-U takes the line away.
            os.write(mine, b"\x15\n")
            said("ready> ")
    finally:
        process.kill()
        process.wait()
        os.close(mine)
