"""`python -m refeed` is `refeed`."""

import sys

from refeed.cli import main

sys.exit(main())
