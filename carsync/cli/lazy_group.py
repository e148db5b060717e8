"""The group of commands: imported when called, errors become exit codes, options go anywhere."""

from __future__ import annotations

import difflib
import gc
import importlib
import logging
import os
import platform
import signal
import traceback
from types import ModuleType
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from carsync import __version__, logging_setup, stdio
from carsync.cli import console
from carsync.errors import CarsyncError
from carsync.exit_codes import ExitCode, advise

_SHARED = {"worker": "cluster", "scheduler": "cluster"}
"""Commands that share a module, which has another name."""


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is called.

    `help_by_name` gives each command its line in the help; `carsync.cli.NAME` defines the
    command `NAME`. The group's own options may also stand behind the command's name; the
    group's function is called again with them then.
    """

    def __init__(self, *args: Any, help_by_name: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.help_by_name = help_by_name

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of `help_by_name`."""
        return list(self.help_by_name)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import and return one command, which takes the group's options too."""
        if name not in self.help_by_name:
            return None
        module = _import_quickly(f"carsync.cli.{_SHARED.get(name, name)}")
        # `help` and the like are the names of builtins.
        command = getattr(module, name, None) or getattr(module, f"{name}_")
        assert isinstance(command, click.Command)
        _hand_down(self, command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.help_by_name.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands without importing them, and the options."""
        names = [
            CompletionItem(name, help=words)
            for name, words in self.help_by_name.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what stands before the command's name."""
        console.note_arguments(ctx, args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as exc:
            ctx.exit(_show_click_error(exc, ctx))

    def invoke(self, ctx: click.Context) -> None:
        """Run the command; an error is shown and becomes its exit code."""
        try:
            super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except click.ClickException as exc:
            ctx.exit(_show_click_error(exc, ctx))
        except (click.Abort, KeyboardInterrupt):
            console.answer_error(advise(ExitCode.SIGINT).meaning, exit_code=ExitCode.SIGINT)
            ctx.exit(ExitCode.SIGINT)
        except Exception as exc:
            if isinstance(exc, BrokenPipeError) and stdio.is_reader_gone():
                ctx.exit(128 + signal.SIGPIPE)
            if isinstance(exc, OSError) and stdio.is_full(exc):
                problem = f"standard output cannot be written: {exc.strerror}"
                console.tell_error(problem, exit_code=ExitCode.BUG)
                ctx.exit(ExitCode.BUG)
            if ctx.params["debug"] and not logging_setup.is_json():
                traceback.print_exc()
            ctx.exit(_show_error(exc))


def _import_quickly(name: str) -> ModuleType:
    """Import a module while the garbage collector rests: imports make hardly any garbage."""
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.enable()


class InheritedOption(click.Option):
    """An option of the group that may stand behind a command's name; the group gets its value."""

    def __init__(self, option: click.Option) -> None:
        """Take the names, the type and the help of the group's `option`."""
        super().__init__(
            [*option.opts, str(option.name)],
            type=option.type,
            is_flag=option.is_flag,
            help=option.help,
            expose_value=False,
            callback=_give_to_the_group,
        )

    def get_help_record(self, ctx: click.Context) -> None:
        """Leave the option out of the command's list: the last line of the help names it."""


def _hand_down(group: click.Group, command: click.Command) -> None:
    """Let `command` and its sub-commands take the options of `group`, once."""
    taken = {name for param in command.params for name in (*param.opts, param.name)}
    for option in group.params:
        if not isinstance(option, click.Option) or not option.expose_value:
            continue
        if taken.isdisjoint((*option.opts, option.name)):
            command.params.append(InheritedOption(option))
    if command.epilog is None:
        inherited = [param for param in command.params if isinstance(param, InheritedOption)]
        names = ", ".join("/".join(option.opts) for option in inherited)
        command.epilog = f"Also {names}, as for every command." if names else None
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _hand_down(group, each)


def _give_to_the_group(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    root = ctx.find_root()
    assert param.name is not None
    given = ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
    if given and isinstance(root.command, LazyGroup) and root.command.callback is not None:
        root.params[param.name] = value
        root.invoke(root.command.callback, **root.params)


def _show_error(exc: Exception) -> ExitCode:
    """Show problem, detail and hint on standard error and return the exit code."""
    if isinstance(exc, CarsyncError):
        console.tell_error(exc.problem, exc.detail, exc.hint, exit_code=exc.exit_code)
        return exc.exit_code
    console.tell_error(
        f"a bug: {type(exc).__name__}: {exc}",
        f"carsync {__version__}, Python {platform.python_version()}, {platform.platform()}",
        "run the command again with --debug; report the traceback, these lines and the command "
        "(first remove secrets from them)",
        exit_code=ExitCode.BUG,
        bug=exc,
    )
    return ExitCode.BUG


def _show_click_error(exc: click.ClickException, ctx: click.Context) -> int:
    """Show an error of usage as all errors are shown, and return the exit code."""
    if type(exc).__name__ == "NoArgsIsHelpError":  # a group alone: its help is the answer
        exc.show()
        return exc.exit_code
    where = getattr(exc, "ctx", None) or ctx
    message, detail, hint = exc.format_message(), "", f"see `{where.command_path} --help`"
    if isinstance(exc, click.NoSuchOption):
        message = f"no such option: {exc.option_name}"
        names = [name for param in where.command.get_params(where) for name in param.opts]
        if close := _nearest(exc.option_name, [name for name in names if name.startswith("--")]):
            hint = f"did you mean {close}?"
        elif where.parent is None:
            hint += "; the options of a command follow its name"
        elif isinstance(where.command, click.Group):
            which = " or ".join(where.command.list_commands(where))
            hint = f"first say what to do: {where.command_path} {which}; its options follow"
    elif (typed := _unknown_command(exc)) is not None:
        message = f"no such command: {typed}"
        known = where.command.list_commands(where) if isinstance(where.command, click.Group) else []
        if close := _nearest(typed, known):
            hint = f"did you mean `{where.command_path} {close}`?"
        else:
            detail = f"there are {', '.join(known)}"
    elif isinstance(exc, click.MissingParameter) or type(exc) is click.UsageError:
        detail = where.get_usage().replace("Usage:", "usage:")
    problem = f"{message[:1].lower()}{message[1:]}".rstrip(".")
    asked = ctx.find_root().params.get("log_format") or os.environ.get(logging_setup.VARIABLE)
    if asked == "json" and not logging_setup.is_json():  # the group was not called yet
        logging_setup.set_up("json", logging.WARNING)
    console.tell_error(problem, detail, hint, exit_code=exc.exit_code)
    return exc.exit_code


def _nearest(typed: str, known: list[str]) -> str | None:
    """Return the word of `known` nearest to `typed`; leading dashes do not count."""
    bare = {name.lstrip("-"): name for name in known}
    close = difflib.get_close_matches(typed.lstrip("-"), bare, n=1)
    return bare[close[0]] if close else None


def _unknown_command(exc: click.ClickException) -> str | None:
    """Return the unknown command's name, if that is the error."""
    command = getattr(getattr(exc, "ctx", None), "command", None)
    if not isinstance(command, click.Group) or isinstance(exc, click.BadParameter):
        return None
    # click 8.4 gives the name itself; before it stood in the message alone.
    name = getattr(exc, "command_name", None)
    if name is None and exc.message.count("'") == 2 and "command" in exc.message:
        name = exc.message.split("'")[1]
    return name
