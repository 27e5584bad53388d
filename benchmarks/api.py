"""The HTTP API on the embedded engine, against nsfwjs behind express: what people run on a CPU today.

Both get the same photographs as a form's file, in one process of their own that computes on one thread. The service
judges with two models, of which nsfwjs's is one, and decodes in a process apart.
"""

import io
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from benchmarks.api_server import modstream_api
from benchmarks.http_duel import Duel, Server
from benchmarks.peers.photo_server import PHOTOGRAPHS
from benchmarks.runner import Comparison, UnavailableError
from benchmarks.serving import served
from testing.kafka import free_port

REQUESTS = 96
ROUNDS = 3
CONNECTIONS = 16
"""More than either computes on at the same time."""
MIN_AGAINST_EXAMPLE = 2.0
MIN_AGAINST_TUNED = 1.0
"""Of the rates. Median latencies are promised to be at most their inverse."""
WIDTH = 1280
JPEG_QUALITY = 85
BOUNDARY = "photograph"
FORM = f"multipart/form-data; boundary={BOUNDARY}"

_INSTALLED = Path(__file__).parents[1] / ".tools/nsfwjs"
_EXAMPLE, _TUNED = "jpeg-js", "sharp"


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare with nsfwjs's example, and with the same after a look at its profile."""
    node = _node()
    numbers = count()

    def photographs(requests: int) -> Sequence[bytes]:
        return [photograph(number) for number in islice(numbers, requests)]

    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        ours = stack.enter_context(modstream_api({"engine": {"onnx": {"threads": 1}}})).verdicts(form, FORM)
        example = stack.enter_context(_nsfwjs(node, _EXAMPLE, folder))
        tuned = stack.enter_context(_nsfwjs(node, _TUNED, folder))
        title = f"{WIDTH} pixels, one thread"
        duel = partial(Duel, files=photographs, requests=REQUESTS, connections=CONNECTIONS, rounds=ROUNDS)
        yield (
            *duel(title, (example, ours)).comparisons(min_ratio=MIN_AGAINST_EXAMPLE),
            *duel(f"{title}, libvips", (tuned, ours)).comparisons(min_ratio=MIN_AGAINST_TUNED),
        )


@contextmanager
def _nsfwjs(node: str, decoder: str, folder: Path) -> Iterator[Server]:
    """Run nsfwjs behind express. Its modules lie apart from its source, where Node.js looks for them by the source."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [node, str(_INSTALLED / "server.mjs"), str(port), decoder]
    with served(command, f"{url}/health", folder / f"{decoder}.log", folder=_INSTALLED):
        name = f"nsfwjs behind express, {decoder}"
        yield Server(name, f"{url}/nsfw", form, answer_has=b'"className":', headers={"Content-Type": FORM})


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        raise UnavailableError("Node.js is not installed")
    if not (_INSTALLED / "node_modules/nsfwjs").exists():
        raise UnavailableError("nsfwjs is not installed: make .tools/nsfwjs/.installed")
    return node


def form(file: bytes) -> bytes:
    """Return a form with a JPEG as its field `image`."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="photograph.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + file + f"\r\n--{BOUNDARY}--\r\n".encode()


def photograph(number: int) -> bytes:
    """Return a photograph like no other: what follows a JPEG's end changes its hash, and so its name in all caches."""
    names = sorted(PHOTOGRAPHS.glob("*.jpg"))
    return _enlarged(names[number % len(names)]) + b"%08d" % number


@cache
def _enlarged(path: Path) -> bytes:
    """Return a demo photograph in the size of an upload."""
    file = io.BytesIO()
    with Image.open(path) as image:
        height = round(WIDTH * image.height / image.width)
        image.convert("RGB").resize((WIDTH, height), Image.Resampling.BICUBIC).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
