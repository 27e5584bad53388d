"""`python -m benchmarks.peers.photo_server PORT`: the demo's photographs by HTTP, on this machine alone."""

import sys
from pathlib import Path

from aiohttp import web

PHOTOGRAPHS = Path(__file__).parents[2] / "service/tools/demo/photographs"

if __name__ == "__main__":
    app = web.Application()
    app.router.add_static("/", PHOTOGRAPHS)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
