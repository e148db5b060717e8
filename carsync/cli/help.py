"""`carsync help`: what `--help` shows, for those who type it first."""

from __future__ import annotations

import click

from carsync.cli import console


@click.command("help")
@click.argument("names", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def help_(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Show the help of carsync, or of one of its commands.

    \b
    Examples:
      carsync help
      carsync help sync
      carsync help rejects replay
    """
    shown = ctx.find_root()
    for name in names:
        command = shown.command
        if not isinstance(command, click.Group):
            raise click.UsageError(f"`{shown.command_path}` has no sub-commands", shown)
        found = command.get_command(shown, name)
        if found is None:
            raise click.UsageError(f"No such command '{name}'.", shown)
        shown = click.Context(found, info_name=name, parent=shown, **found.context_settings)
    console.say(*shown.get_help().splitlines())
