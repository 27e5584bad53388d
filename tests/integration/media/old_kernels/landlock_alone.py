"""A taken-over decoder process on a machine without seccomp filters."""

from service.media import sandbox
from service.media.decode_worker import serve
from tests.integration.media.taken_over_worker import decode

if __name__ == "__main__":
    vars(sandbox)["install_filter"] = lambda: False
    serve(decode)
