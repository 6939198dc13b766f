"""`python -m igdd` is the command line."""

from igdd.cli import main

if __name__ == "__main__":
    main()
