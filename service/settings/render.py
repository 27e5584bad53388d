"""Settings as text for people: the effective ones as YAML, and the reference of all."""

from collections.abc import Iterator, Mapping
from pathlib import PurePath

import yaml
from pydantic import BaseModel, SecretStr

from service.settings.catalogue import SettingGroup, group_model, groups
from service.settings.load import LoadedSettings
from service.settings.problems import HIDDEN, hide_credentials
from service.settings.settings import Settings


def effective_yaml(loaded: LoadedSettings) -> str:
    """Return the effective settings without secrets; a comment names the source of each that is not a default."""
    lines = list(_settings_lines(loaded.settings, loaded.sources, ""))
    width = max((len(line) for line, remark in lines if remark), default=0)
    return "".join(f"{line.ljust(width)}  # {remark}\n" if remark else f"{line}\n" for line, remark in lines)


def _settings_lines(group: BaseModel, sources: Mapping[str, str], path: str) -> Iterator[tuple[str, str]]:
    """Yield each line with its remark."""
    indent = "  " * (path.count(".") + 1 if path else 0)
    for name in type(group).model_fields:
        inner, dotted = getattr(group, name), f"{path}.{name}" if path else name
        if isinstance(inner, BaseModel):
            yield f"{indent}{name}:", ""
            yield from _settings_lines(inner, sources, dotted)
        else:
            yield f"{indent}{name}: {_scalar(inner)}", sources.get(dotted, "")


def defaults_yaml() -> str:
    """Return a settings file with all defaults and their descriptions, to start from."""
    return "".join(f"{line}\n" for line in _documented_lines(Settings, ""))


def _documented_lines(model: type[BaseModel], path: str) -> Iterator[str]:
    settings = {setting.path: setting for setting in next(groups(model, path)).settings}
    indent = "  " * (path.count(".") + 1 if path else 0)
    for name, field in model.model_fields.items():
        dotted = f"{path}.{name}" if path else name
        if (inner := group_model(field)) is not None:
            yield from ("", f"{indent}# {inner.__doc__}", f"{indent}{name}:")
            yield from _documented_lines(inner, dotted)
        else:
            setting = settings[dotted]
            yield f"{indent}# {setting.description} ({setting.allowed})"
            yield f"{indent}{name}: {_scalar(setting.default)}"


def reference_markdown() -> str:
    """Return the text of docs/settings.md."""
    return _INTRODUCTION + "".join(_group_markdown(group) for group in groups() if group.settings)


_INTRODUCTION = """# Settings

<!-- Written by `modstream config --markdown`; the tests compare. Change service/settings/*.py instead. -->

Settings come from a YAML file (`--config FILE`, or `MODSTREAM_CONFIG`) and from the environment, which wins.
`kafka.group_id` is `MODSTREAM_KAFKA__GROUP_ID` there: two underscores for each step inwards. Lists are written with
commas in the environment, maps as JSON. An empty variable counts as not set; a misspelt one is an error, as in the
file. `modstream config` shows what is in force and where it came from; `modstream config --defaults` writes a file to
start from; `modstream config --schema` a JSON Schema for editors.
"""


def _group_markdown(group: SettingGroup) -> str:
    heading = f"## `{group.path}`" if group.path else "## On top"
    rows = "".join(
        f"| `{setting.path}` | `{_scalar(setting.default)}` | {setting.allowed} | {setting.description} |\n"
        for setting in group.settings
    )
    return f"\n{heading}\n\n{group.description}\n\n| setting | default | allowed | meaning |\n|---|---|---|---|\n{rows}"


def _scalar(value: object) -> str:
    """Write one value as YAML on one line."""
    if isinstance(value, SecretStr):
        return f"'{HIDDEN}'"
    plain: object = str(value) if isinstance(value, PurePath) else hide_credentials(value)
    return yaml.safe_dump(plain, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")
