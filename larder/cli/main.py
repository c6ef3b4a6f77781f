"""The command `larder`: finds the subcommands, and turns errors into a clear message and an exit code.

Exit codes: 0 done; 1 a defect, or a result that the command defines; 2 a mistake in the input; 3 something outside is
unavailable (no broker, no network, no disk space); 10 and above for findings (`doctor`). Each module of
`larder.cli.commands` is a subcommand with the module's name and its first line as help. It is imported only when it
runs, so that `larder --help` imports none of them.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import os
import pkgutil
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from larder.cli import commands
from larder.cli.terminal.output import JSON_FLAG, answer_failure
from larder.config.errors import AppError, MistakeError, UnavailableError
from larder.declaring.problems import DeclarationError, LarderError

if TYPE_CHECKING:
    from collections.abc import Iterator


_AS_JSON = f"{__name__}.as_json"


class Shown(click.ClickException):
    """An error as click shows it: the message alone, on standard error."""

    def __init__(self, message: str, exit_code: int) -> None:
        """Keep the message and the exit code."""
        super().__init__(message)
        self.exit_code = exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        """Print a line for each problem, prefixed with the program's name; print nothing if the disk is full."""
        with contextlib.suppress(OSError):
            click.echo(f"larder: {self.format_message()}", file=file, err=file is None)


class Commands(click.Group):
    """The subcommands, one for each module."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all subcommands."""
        return [name.replace("_", "-") for name, _ in _modules()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a subcommand and return its `command`."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{commands.__name__}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the subcommands, each with the first line of its module, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name.replace("_", "-"), _first_line(path)) for name, path in _modules()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note whether JSON is wanted, even if the arguments turn out to be invalid."""
        ctx.meta[_AS_JSON] = JSON_FLAG in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; print the user's errors without a traceback, and also as JSON if that is wanted."""
        try:
            return self._run(ctx)
        except click.ClickException as error:
            if ctx.meta[_AS_JSON]:
                answer_failure(error.format_message())
            raise

    def _run(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AppError as error:
            raise Shown(str(error), error.exit_code) from error
        except DeclarationError as error:
            raise Shown(str(error), MistakeError.exit_code) from error
        except LarderError as error:
            raise Shown(str(error), UnavailableError.exit_code) from error


def _modules() -> Iterator[tuple[str, Path]]:
    for module in pkgutil.iter_modules(commands.__path__):
        if not module.name.startswith("_"):
            yield module.name, Path(commands.__path__[0]) / f"{module.name}.py"


def _first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="larder-streams")
def larder() -> None:
    """Keep local read models of other services' data, and join streams with them."""


def main() -> None:
    """Run the command line."""
    try:
        larder(prog_name="larder")
    finally:
        _give_up_on_full_errors()


def _give_up_on_full_errors() -> None:
    """Drop standard error if it cannot be written: Python would exit with 120 instead of the command's code."""
    try:
        sys.stderr.flush()
    except OSError:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
