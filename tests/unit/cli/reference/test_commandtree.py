"""A command's help, taken apart; sub-commands follow their group."""

from __future__ import annotations

import click

from carsync.cli.reference.commandtree import Block, entries, split_help


@click.group()
def tool() -> None:
    """Do things."""


@tool.command()
@click.argument("name")
@click.option("--all", "-a", "every", is_flag=True, help="Every  one\n of them.")
@click.option("--hidden", hidden=True, help="Not for you.")
def show(name: str, every: bool, hidden: bool) -> None:
    """Show one.

    \b
    Examples:
      tool show x
        --all
    """


def test_the_group_comes_first_and_its_commands_have_their_full_names() -> None:
    group, command = entries(tool, "tool")
    assert (group.name, group.usage, group.blocks) == (
        "tool",
        "[OPTIONS] COMMAND [ARGS]...",
        (Block("Do things."),),
    )
    assert (command.name, command.usage) == ("tool show", "[OPTIONS] NAME")


def test_help_and_options_are_those_of_the_command() -> None:
    _, command = entries(tool, "tool")
    assert command.blocks == (Block("Show one."), Block("Examples:", ("tool show x", "  --all")))
    options = dict(command.options)
    assert options["-a, --all"] == "Every one of them."
    assert not any("--hidden" in names for names in options)


def test_a_marked_paragraph_without_lines_to_type_is_text() -> None:
    assert split_help("\b\nExit codes: 0 fine ·\n1 not") == [Block("Exit codes: 0 fine · 1 not")]
    assert split_help("One.\fnot shown") == [Block("One.")]
