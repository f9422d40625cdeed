"""``python -m kmclcheck``."""

from kmclcheck.cli.main import main

if __name__ == "__main__":
    main()
