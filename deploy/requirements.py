"""What the server needs but PyTorch, a requirement a line, from pyproject.toml, which is the argument."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
needed = project["dependencies"] + project["optional-dependencies"]["serve"]
print("\n".join(one for one in needed if not one.startswith("torch")))
