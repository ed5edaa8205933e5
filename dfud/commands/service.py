"""``dfud service``: uploads as services of systemd."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Sequence
from typing import Any

import click

from dfud.commands.command import CONTEXT, Command, Example, Group, complete_folders, version_option
from dfud.commands.main import load
from dfud.commands.options import option
from dfud.core.text import escaped
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED, EXIT_USAGE, UsageError
from dfud.service.installing import install_files, remove_files
from dfud.service.instance import Instance, check_name
from dfud.service.mounts import find_mount
from dfud.service.owned_file import OwnedFile, Present
from dfud.service.place import Place, find_place
from dfud.service.program import own_program
from dfud.service.state import service_state, show_command
from dfud.service.unit import environment_text, unit_text
from dfud.service.upload_arguments import parse_instance
from dfud.service.variables import missing_variables

_EXAMPLES = (
    Example(
        "Upload a directory as a service of yours",
        "install --user --now run42 /data/run42 --config kafka.config --topic_name run42",
    ),
    Example("See how all of them are", "status --user"),
)
_EXAMPLES_OF_INSTALL = (
    Example(
        "Upload a directory as a service of yours, from now on",
        "--user --now run42 /data/run42 --config kafka.config --topic_name run42",
    ),
    Example(
        "Install a service of the system, as root, to be started later",
        "--system run42 /data/run42 --config /etc/dfud/kafka.config --topic_name run42 --upload_existing",
    ),
    Example(
        "Show what would be written", "--user --dry_run run42 /data/run42 --config kafka.config --topic_name run42"
    ),
)
_PUBLIC, _PRIVATE = 0o644, 0o600  # an environment file may get a password


def _scope_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for decorate in (
        option("--dry_run", is_flag=True, help="Print what would be written and started, and do nothing."),
        click.option("--user", "scope", flag_value="user", help="For you alone: below ~/.config."),
        click.option("--system", "scope", flag_value="system", help="For all, as root: below /etc."),
    ):
        command = decorate(command)
    return command


# Without a command the group itself is invoked: versions of click differ in what they do otherwise.
@click.group(cls=Group, invoke_without_command=True, context_settings=CONTEXT, examples=_EXAMPLES)
@version_option()
@click.pass_context
def service(context: click.Context) -> int:
    """Run uploads as services of systemd.

    Each is an instance of one unit, dfud@.service; docs/service.md has all of it.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
    return EXIT_USAGE


@service.command(
    cls=Command,
    context_settings={**CONTEXT, "ignore_unknown_options": True, "allow_interspersed_args": False},
    examples=_EXAMPLES_OF_INSTALL,
)
@_scope_options
@option("--run_as", metavar="USER", help="User that uploads, with --system. [default: the owner of DIR]")
@option("--now", is_flag=True, help="Enable and start the instance, too, or restart it.")
@option("--overwrite", is_flag=True, help="Replace files that you have changed, and keep yours as .bak.")
@option(
    "--root",
    metavar="FOLDER",
    shell_complete=complete_folders,
    help="Install into the image of a machine in this folder.",
)
@click.argument("instance", required=False)
@click.argument(
    "arguments", metavar="[DIR --config FILE --topic_name TOPIC ...]", nargs=-1, type=click.UNPROCESSED
)
def install(
    scope: str | None,
    dry_run: bool,
    run_as: str | None,
    now: bool,
    overwrite: bool,
    root: str | None,
    instance: str | None,
    arguments: tuple[str, ...],
) -> int:
    """Install the unit, and an INSTANCE of it, which uploads DIR.

    Its name is yours to choose. What follows it is what follows "dfud upload". Without an INSTANCE, the unit alone
    is installed: after an upgrade of dfud, say. Options of "dfud service install" come before INSTANCE.
    """
    place = find_place(scope, root, dry_run)
    program = own_program()
    if place.scope == "system":
        program.check_reachable()
    elif run_as is not None:
        raise UsageError("--run_as is for --system: a service of --user runs as you")
    text = unit_text(place.scope, program)
    unit = OwnedFile(place.unit, text, _PUBLIC)
    files = [unit]
    packaged = place.packaged_unit(text)
    if packaged is not None:
        click.echo(f"{escaped(packaged)}: as it is to be")
        files.clear()
    commands = [place.systemctl("daemon-reload")]
    if instance is not None:
        what = _parse(instance, arguments)
        if place.is_live:
            what = what._replace(mount=find_mount(what.directory))
        if not overwrite and unit.present() is Present.OTHER:
            click.echo(f"{escaped(unit.path)}: you have changed it, so it stays as it is")
            files.clear()
        files.append(OwnedFile(place.environment(what.name), environment_text(what), _PRIVATE))
        if place.scope == "system":
            files.append(OwnedFile(place.drop_in(what.name), what.drop_in(_user(run_as, what)), _PUBLIC))
        _say_missing_variables(place, what)
        start = _start(place, _unit(instance), files, dry_run)
        if now:
            commands += start
    elif now or run_as is not None:
        raise UsageError("--now and --run_as are about an instance: say which")
    install_files(place, files, commands, dry_run, overwrite, click.echo)
    if instance is not None and not now and not dry_run and place.is_live:
        click.echo(f"next: {'; '.join(' '.join(command) for command in start)}")
    return EXIT_OK


@service.command(
    cls=Command,
    context_settings=CONTEXT,
    examples=[
        Example("Stop an upload and remove its instance", "--user run42"),
        Example("Show what would be removed", "--user run42 --dry_run"),
    ],
)
@_scope_options
@click.argument("instance", required=False)
def remove(scope: str | None, dry_run: bool, instance: str | None) -> int:
    """Stop and remove an INSTANCE, or the unit.

    Without an INSTANCE, the unit is removed, once no instance is left. DIR and its LOGS stay. A file that you have
    changed is kept as .bak.
    """
    place = find_place(scope, None, dry_run)
    if instance is None:
        left = place.instances()
        if left:
            raise UsageError(f"remove the instances first: {', '.join(map(escaped, left))}")
        paths, before = [place.unit], []
    else:
        _check_installed(place, instance)
        paths = [place.environment(instance), place.drop_in(instance)]
        before = [
            place.systemctl("disable", "--now", _unit(instance)),
            # What has failed would be listed until the next boot; a pattern need not match anything.
            place.systemctl("reset-failed", f"{_unit(instance)}*"),
        ]
    remove_files(paths, before, [place.systemctl("daemon-reload")], dry_run, click.echo)
    return EXIT_OK


@service.command(
    cls=Command,
    context_settings=CONTEXT,
    examples=[
        Example("Show all uploads of yours", "--user"),
        Example("Show one of the system's", "--system run42"),
    ],
)
@_scope_options
@click.argument("instance", required=False)
def status(scope: str | None, dry_run: bool, instance: str | None) -> int:
    """Show how all instances are, or one INSTANCE. Exit status: 0 all of them run; 1 some do not."""
    place = find_place(scope, None, is_dry=True)
    if instance is not None:
        _check_installed(place, instance)
    names = [instance] if instance is not None else place.instances()
    if not names:
        raise UsageError(f"no instance is installed in {place.environments}; see dfud service install --help")
    if dry_run:
        for name in names:
            click.echo(" ".join(show_command(place, _unit(name))))
        return EXIT_OK
    shown = [service_state(place, _unit(name)) for name in names]
    for name, state in zip(names, shown):
        hint = f": {place.journalctl(_unit(name))} says why" if state.is_failed and not state.text else ""
        click.echo(escaped(f"{name}: {state}{hint}"))
    return EXIT_OK if all(state.is_active for state in shown) else EXIT_UNDELIVERED


def _parse(name: str, arguments: tuple[str, ...]) -> Instance:
    try:
        return parse_instance(check_name(name), load("upload"), arguments)
    except click.NoSuchOption as error:
        if any(error.option_name in parameter.opts for parameter in install.params):
            raise UsageError(f"{error.option_name} is no option of the upload: put it before {name}") from None
        raise


def _say_missing_variables(place: Place, what: Instance) -> None:
    """Say what the configuration file takes from the environment and the service would not find there."""
    common, own = place.common_environment(), place.environment(what.name)
    for name in missing_variables(what.config, (common, own)):
        click.echo(
            f'missing: {escaped(what.config)} takes {name} from the environment: put a line {name}="..." into '
            f"{escaped(common)}, which counts for all instances"
        )


def _start(place: Place, unit: str, files: Sequence[OwnedFile], is_dry: bool) -> list[list[str]]:
    """Return the commands that start `unit` as its `files` are to be: anew, if it runs as they were."""
    is_changed = any(file.present() is not Present.SAME for file in files)
    if is_changed and place.is_live and not is_dry and service_state(place, unit).is_active:
        return [place.systemctl("enable", unit), place.systemctl("restart", unit)]
    return [place.systemctl("enable", "--now", unit)]


def _user(run_as: str | None, what: Instance) -> str:
    """Return the name of the user that uploads; UsageError if there is none."""
    try:
        if run_as is not None:
            return pwd.getpwnam(run_as).pw_name
        owner = os.stat(what.directory).st_uid
        if owner == 0:
            raise UsageError(f"{escaped(what.directory)} belongs to root: say with --run_as who uploads it")
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        who = run_as if run_as is not None else f"the owner of {what.directory}"
        raise UsageError(f"{escaped(who)} is no user of this machine; see --run_as") from None


def _check_installed(place: Place, instance: str) -> None:
    names = place.instances()
    if instance not in names:
        known = ", ".join(map(escaped, names)) or "none"
        raise UsageError(f"{instance!r} is not installed in {place.environments}: there is {known}")


def _unit(instance: str) -> str:
    return f"dfud@{instance}.service"
