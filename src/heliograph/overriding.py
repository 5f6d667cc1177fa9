"""Settings that code gives, above those of the environment and of the project's file."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

from heliograph.given import PREFIX, Given, SettingError, as_text
from heliograph.settings import Options, Settings, environment, exit_on_error, load, names


def with_given(
    values: Mapping[str, object],
    groups: Iterable[type[Options]],
    required: Iterable[type[Options]] | None = None,
) -> Settings:
    """The settings of this process with `values` above them. Raises SettingError for one of these that is not allowed.

    `required`: the groups whose folders and packages have to be there, by default all.
    An environment that is wrong by itself ends the process, as `from_environment` does.
    """
    groups = tuple(groups)
    with exit_on_error():
        below = environment()
    settings = load(_over(below, values, names(groups)), groups, os.cpu_count() or 2)
    for needed in groups if required is None else required:
        settings[needed].require()
    return settings


def with_group(settings: Settings, group: Options) -> Settings:
    """The same with another value of one group."""
    return Settings([*(one for one in settings if type(one) is not type(group)), group])


def _over(
    below: Given, values: Mapping[str, object], known: Collection[str], place: str = "settings"
) -> Given:
    """What was given, and above it what code sets: by the keys of the file, or by the names of the variables.

    Raises SettingError, also for a name that is not known: an error in a program is no news of an operator.
    """
    named = {key: key if key.startswith(PREFIX) or key in known else PREFIX + key.upper() for key in values}
    for key, name in named.items():
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f", the nearest is {near[0].removeprefix(PREFIX).lower()}" if near else ""
            raise SettingError(f"{place}: {key}", "", f"there is no setting of this name{hint}")
    found = {named[key]: as_text(f"{place}: {key}", value) for key, value in values.items()}
    origins = {named[key]: f"{place}: {key}" for key in values}
    return Given({**below, **found}, {**below.origins, **origins})
