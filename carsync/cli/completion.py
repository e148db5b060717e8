"""`carsync completion`: the script that makes a shell complete carsync's words."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from carsync.cli import console

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options, choices, keys and files.

    To install it for all new shells:

    \b
    bash:
      mkdir -p ~/.local/share/bash-completion/completions
      carsync completion bash > ~/.local/share/bash-completion/completions/carsync

    \b
    zsh (into a folder of $fpath):
      carsync completion zsh > ~/.zfunc/_carsync

    \b
    fish:
      carsync completion fish > ~/.config/fish/completions/carsync.fish

    \b
    Example, for this session only:
      eval "$(carsync completion bash)"
    """
    cls = get_completion_class(shell)
    assert cls is not None
    # Not `cls.source`, which starts bash to ask for its version.
    script = ShellComplete.source(cls(ctx.find_root().command, {}, "carsync", "_CARSYNC_COMPLETE"))
    console.say(*script.strip().splitlines())
