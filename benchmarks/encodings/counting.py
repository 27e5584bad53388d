"""vLLM's scheduler, which writes down which request encodes an image; it runs in the engine's own process."""

import os
from pathlib import Path
from typing import Any

from vllm.v1.core.sched.async_scheduler import AsyncScheduler

COUNTS = "MODSTREAM_ENCODINGS"
"""The environment variable that names the file: a line for each image that is encoded."""


class CountingScheduler(AsyncScheduler):  # type: ignore[misc]  # vLLM has no types here
    """Appends the request's id to the file, once for each image that it has the encoder work on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cache, file = self.encoder_cache_manager, Path(os.environ[COUNTS])
        allocate = cache.allocate

        def counted(request: Any, input_id: int) -> None:
            with file.open("a", encoding="utf-8") as lines:
                lines.write(f"{request.request_id}\n")
            allocate(request, input_id)

        cache.allocate = counted
