"""The default model at work on numpy and safetensors alone: no PyTorch, no DuckDB, nothing that is compiled.

    from refeed.lite import Recommender

    recommender = Recommender.load("run")
    recommender.recommend({"Alien (1979)": 5, "Brazil (1985)": 4.5}, k=10)

It reads the model folder as `refeed train` wrote it, and has the methods of `refeed.Recommender`. Predictions
are those of the full model to 1e-6, and lists follow the same rules (`inference/ranking.py`). Models of kind
ridge, alone or as an ensemble, are known here; for all others there are `refeed.Recommender` and ONNX
(`refeed export`).
"""

from refeed.inference.explanation import Explanation
from refeed.inference.lines import Recommendation, SimilarItem
from refeed.lite.recommender import Recommender

__all__ = ["Explanation", "Recommendation", "Recommender", "SimilarItem"]
