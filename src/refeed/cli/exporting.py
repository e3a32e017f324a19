"""The verb that takes a model elsewhere: export."""
# ruff: noqa: PLC0415 - torch takes seconds to import, `refeed --help` and a wrong option shouldn't

from pathlib import Path
from typing import Annotated

import typer

from refeed.cli.options import Run

__all__ = ["export"]


def export(
    run: Run,
    *,
    onnx: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write: model.onnx and items.json.")],
) -> None:
    """Write a model as an ONNX graph, for other languages and the browser, and check it under onnxruntime."""
    from refeed.export.write import export_onnx
    from refeed.trained_model import TrainedModel

    typer.echo(export_onnx(TrainedModel.load(run), onnx))
