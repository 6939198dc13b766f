"""Write docs/catalogue.md from the declarations: `make docs`, or python docs/build.py [FOLDER]."""

import sys
from pathlib import Path

from igdd.catalog import page


def main() -> None:
    """Write the page beside this script, or into the folder that is named."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    (folder / "catalogue.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
