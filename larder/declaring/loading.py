"""Loads services from the project in the working directory, or from modules that the user names.

Only this module imports declarations. It tries all modules, then reports every failure with its cause. It starts
nothing, and checks only that there is something to run.
"""

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Final

from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.service import Service
from larder.declaring.topics import EventTopic, OwnerTopic

FOLDERS: Final = ("tables", "agents")
"""The folders in which a project declares its topics and its services."""

PACKAGES: Final = (*FOLDERS, "app")
"""The packages of a project. Other installed packages may have these names too."""


def load_services(modules: Sequence[str] = ()) -> dict[str, Service]:
    """Import modules and return the services that they declare, by name.

    Without names, import all modules in the folders `tables` and `agents` of the working directory. The working
    directory is on the path. A module without a service may declare topics for others; a module with neither is
    rejected, unless it is in `tables`.

    Raise DeclarationError with all problems: no module at all, a failed import (with file, line and exception), a
    module that another file of the same name hides, two services with one name.
    """
    names = modules or project_modules()
    problems = [] if names else [_no_modules()]
    services: dict[str, Service] = {}
    for name in names:
        try:
            module = import_from_project(name)
        except DeclarationError as error:
            problems += error.problems
            continue
        problems += _empty(name, module)
        problems += _add(services, name, module)
    if problems:
        raise DeclarationError(problems)
    return services


def import_from_project(name: str) -> ModuleType:
    """Import a module; the working directory is on the path.

    Raise DeclarationError if the import fails (with file, line and exception), or if the module is found elsewhere
    although the working directory has it.
    """
    here = str(Path.cwd())
    if not {"", here} & set(sys.path):
        # At the end: a user's file must not hide a library that Larder uses.
        sys.path.append(here)
    if not any(isinstance(each, _ProjectFinder) for each in sys.meta_path):
        sys.meta_path.insert(0, _ProjectFinder())
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise DeclarationError([_import_problem(name, error)]) from error
    if hidden := list(_hidden(name)):
        raise DeclarationError(hidden)
    return module


def topics_in(modules: Sequence[str]) -> list[EventTopic | OwnerTopic]:
    """Return the topics that imported modules declare, without duplicates."""
    values = [value for name in modules for value in vars(sys.modules[name]).values()]
    return list({id(value): value for value in values if isinstance(value, EventTopic | OwnerTopic)}.values())


def project_modules() -> list[str]:
    """Return the names of the modules in the folders `tables` and `agents` of the working directory."""
    return [
        f"{folder}.{module.name}"
        for folder in FOLDERS
        for module in pkgutil.iter_modules([str(Path.cwd() / folder)])
        if not module.ispkg
    ]


class _ProjectFinder(MetaPathFinder):
    """Finds the packages of a project in the working directory first."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        here = Path.cwd()
        if path is not None or fullname not in PACKAGES or not any((here / fullname).glob("*.py")):
            return None
        return PathFinder.find_spec(fullname, [str(here)], target)


def _no_modules() -> Problem:
    return Problem(
        f"directory {Path.cwd()}",
        "larder requires modules that declare services",
        "none in the folders tables and agents, and no setting modules",
        "change into the directory of your project, or name the modules in LARDER_MODULES",
    )


def _import_problem(name: str, error: BaseException) -> Problem:
    return Problem(
        f"module {name}",
        "a module of a project requires to be imported without error",
        f"{type(error).__name__}: {error} ({_place(error)})",
        "fix it, or leave it out of the settings",
    )


def _place(error: BaseException) -> str:
    """Return the file and line of a failed import: the last one outside Python itself."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    if not frames:
        return f"looked for in {', '.join(dict.fromkeys(entry or '.' for entry in sys.path))}"
    return f"{frames[-1].filename}, line {frames[-1].lineno}"


def _hidden(name: str) -> Iterator[Problem]:
    """Report a module of the working directory if another module of the same name hides it."""
    top = name.partition(".")[0]
    found = Path(sys.modules[top].__file__ or "").resolve()
    here = Path.cwd()
    wanted_files = [here / top / "__init__.py"] if "." in name else [here / f"{top}.py", here / top / "__init__.py"]
    for wanted in wanted_files:
        if wanted.is_file() and wanted.resolve() != found:
            yield Problem(
                f"module {name}",
                "a module requires a name that nothing else on the path has",
                f"{found}, which hides {wanted}",
                "rename the file",
            )


def _empty(name: str, module: ModuleType) -> Iterator[Problem]:
    declares = any(isinstance(value, Service | EventTopic | OwnerTopic) for value in vars(module).values())
    if not declares and name.partition(".")[0] != "tables":
        yield Problem(
            f"module {name}",
            "a module of services requires a Service",
            f"none in {module.__file__}",
            'declare one: shipping = Service("shipping")',
        )


def _add(services: dict[str, Service], name: str, module: ModuleType) -> Iterator[Problem]:
    """Add the services of a module; several modules may have the same service."""
    for service in vars(module).values():
        if not isinstance(service, Service):
            continue
        known = services.setdefault(service.name, service)
        if known is not service:
            yield Problem(
                f"service {service.name}",
                "a service name requires one declaration",
                f"another one in {name}",
                "rename one of them",
            )
