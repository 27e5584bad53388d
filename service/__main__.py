"""`python -m service` is the `modstream` command."""

from service.cli.main import run

if __name__ == "__main__":
    run()
