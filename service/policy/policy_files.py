"""The files of policies as they are at one moment, so that what was compared is what is used."""

import errno
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path
from typing import Self

from service.core.documents import read_bounded
from service.policy.errors import PolicySettingsError
from service.policy.policy_file import ATTRIBUTES_SUFFIX

SUFFIXES = (".yaml", ".yml")

_Fault = tuple[int, str]
"""Number and text of the error with which a file cannot be read."""

MAX_FILES = 1_000
"""Reading one takes some 30 ms. A folder with more is another one."""


def policy_paths(path: Path | None, *, setting: str = "policy.path") -> list[Path]:
    """Return the files that hold policies: the bundled one's, a file, or all of a folder but attribute schemas.

    Raises `PolicySettingsError` for a folder with none or too many, and `OSError` for one that cannot be listed.
    """
    if path is None:
        return [Path(str(files("service.policy").joinpath("policies", "default.yaml")))]
    if not path.is_dir():
        return [path]
    paths = sorted(
        file for file in path.iterdir() if file.suffix in SUFFIXES and ATTRIBUTES_SUFFIX not in file.suffixes
    )
    if not paths:
        raise PolicySettingsError(setting=setting, detail=f"{path} holds no {' or '.join(SUFFIXES)} file")
    if len(paths) > MAX_FILES:
        detail = f"{path} holds {len(paths):,} policy files, and {MAX_FILES:,} are the most"
        raise PolicySettingsError(setting=setting, detail=detail)
    return paths


class PolicyFiles:
    """The content of a policy file, or of all policy files of a folder, and of the files that these name.

    Two of them are equal while nothing has changed that policies are made of. Modification times do not count: they
    stay the same when a file is written twice within a tick of the clock, and Kubernetes swaps the folder that the
    files of a ConfigMap lie in.
    """

    def __init__(self, path: Path | None, *, setting: str = "policy.path", named: Collection[Path] = ()) -> None:
        """Read the files of `path`, None for the bundled policy, and those that the policies are known to name.

        A file or folder that cannot be read is kept as such. `setting` is what errors name. May block, as a network's
        file system does.
        """
        self._path = path
        self._setting = setting
        self._contents: dict[Path, bytes | _Fault] = {}
        self._listed = self._list()
        for each in (*(() if isinstance(self._listed, str) else self._listed), *named):
            self._load(each)

    def paths(self) -> tuple[Path, ...]:
        """Return the files that hold policies; raises `PolicySettingsError` if there are none."""
        if isinstance(self._listed, str):
            raise PolicySettingsError(setting=self._setting, detail=self._listed)
        return self._listed

    def read(self, path: Path) -> bytes:
        """Return the content of a file as it was when it was first read; raises `OSError`."""
        if path not in self._contents:
            self._load(path)
        content = self._contents[path]
        if isinstance(content, bytes):
            return content
        raise OSError(*content)

    def reread(self) -> Self:
        """Return the files as they are now, those that policies have named included."""
        return type(self)(self._path, setting=self._setting, named=self._contents.keys())

    def __eq__(self, other: object) -> bool:
        """Return whether all that was read is the same."""
        if not isinstance(other, PolicyFiles):
            return NotImplemented
        return (self._listed, self._contents) == (other._listed, other._contents)

    __hash__ = None  # type: ignore[assignment]  # reading further files changes it

    def _list(self) -> tuple[Path, ...] | str:
        """Return the policy files, or why there are none."""
        try:
            return tuple(policy_paths(self._path, setting=self._setting))
        except PolicySettingsError as error:
            return str(error.facts["detail"])
        except OSError as error:
            return f"{self._path} cannot be listed: {error.strerror}"

    def _load(self, path: Path) -> None:
        try:
            # A pipe or a device may have no end.
            is_other = path.exists() and not path.is_file() and not path.is_dir()
            self._contents[path] = (errno.EINVAL, "it is no regular file") if is_other else read_bounded(path)
        except OSError as error:
            self._contents[path] = (error.errno or 0, error.strerror or str(error))
        except ValueError:  # a zero byte, or half of a pair of surrogates
            self._contents[path] = (errno.ENOENT, "no name of a file")
