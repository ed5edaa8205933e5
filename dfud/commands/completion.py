"""``dfud completion``: the script that makes a shell complete the names of commands, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from dfud.commands.command import CONTEXT, Command, Example, version_option
from dfud.errors import EXIT_OK

PROGRAMS = ("dfud", "DataFileUploadDirectory", "DataFileDownloadDirectory")
SHELLS = ("bash", "zsh", "fish")
_EXAMPLES = (
    Example(
        "bash, from the next shell on (mkdir -p the folder first)",
        "bash > ~/.local/share/bash-completion/completions/dfud",
    ),
    Example(
        "zsh, if .zshrc has called compinit",
        "zsh > ~/.dfud-completion && echo '. ~/.dfud-completion' >> ~/.zshrc",
    ),
    Example("fish (mkdir -p the folder first)", "fish > ~/.config/fish/conf.d/dfud.fish"),
)


@click.command(cls=Command, context_settings=CONTEXT, examples=_EXAMPLES)
@click.argument("shell", metavar="{bash|zsh|fish}", type=click.Choice(SHELLS))
@version_option()
def completion(shell: str) -> int:
    """Print the script that makes a shell complete dfud.

    It completes the names of commands and options, values, files and directories, for dfud,
    DataFileUploadDirectory and DataFileDownloadDirectory. To try it in bash: eval "$(dfud completion bash)".
    """
    click.echo("\n".join(_script(shell, program) for program in PROGRAMS), nl=False)
    return EXIT_OK


def _script(shell: str, program: str) -> str:
    """Return the part of the script that is for one of the programs."""
    kind = get_completion_class(shell)
    assert kind is not None
    completer = kind(click.Command(program), {}, program, f"_{program.upper()}_COMPLETE")
    return completer.source_template % completer.source_vars()
