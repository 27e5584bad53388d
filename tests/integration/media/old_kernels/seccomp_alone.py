"""A taken-over decoder process on a kernel without Landlock."""

from service.media import sandbox
from service.media.decode_worker import serve
from tests.integration.media.taken_over_worker import decode

if __name__ == "__main__":
    vars(sandbox)["_deny_files"] = lambda: 0
    serve(decode)
