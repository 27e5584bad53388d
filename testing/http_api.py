"""The HTTP API in this process, on a port of its own, with a key that may do everything."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from service.api.callers.api_keys import KeyEntry, new_key
from service.app.data_plane import DataPlane, build_data_plane
from service.app.http import ApiRun, open_api
from service.monitoring.sources import Sources
from service.runtime.nvml import Gpus
from service.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class RunningApi:
    """The API while it runs."""

    url: str
    key: str
    run: ApiRun
    plane: DataPlane

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a caller who may do everything."""
        return {"Authorization": f"Bearer {self.key}"}


@asynccontextmanager
async def running_api(settings: Settings | None = None, *, beside_stream: bool = False) -> AsyncIterator[RunningApi]:
    """Run the API with what the settings name, the embedded engine by default.

    With `beside_stream` it shares the engine as beside a stream, of which there is none.
    """
    settings = settings or Settings()
    key = new_key()
    async with AsyncExitStack() as stack:
        sources = Sources(has_stream=beside_stream)
        plane = await build_data_plane(settings, stack, sources)
        accepted: KeyEntry | None = key.entry if settings.api.keys_file is None else None
        run = await stack.enter_async_context(
            open_api(settings, plane, sources, Gpus(), None, key_of_this_run=accepted)
        )
        yield RunningApi(f"http://127.0.0.1:{run.port}", key.text, run, plane)
