"""The numbers that the paper published."""

from collections.abc import Mapping

from refeed.paper.windows import Counts

__all__ = ["DEPTH", "DROPOUT", "REFEEDING", "SYSTEMS", "WINDOWS"]

WINDOWS: Mapping[str, Counts] = {
    "full": Counts(477_412, 17_768, 98_074_901, 173_482, 17_305, 2_250_481),
    "3m": Counts(311_315, 17_736, 13_675_402, 160_906, 17_261, 2_082_559),
    "6m": Counts(390_795, 17_757, 29_179_009, 169_541, 17_290, 2_175_535),
    "1y": Counts(345_855, 16_907, 41_451_832, 197_951, 16_506, 3_888_684),
}
"""Table 1; the items are not in it, but come from the published software's splits of the same counts."""

DEPTH: Mapping[int, tuple[float, int]] = {
    2: (1.146, 4_566_504),
    4: (0.9615, 4_599_528),
    6: (0.9378, 4_632_552),
    8: (0.9364, 4_665_576),
    10: (0.9340, 4_698_600),
    12: (0.9328, 4_731_624),
}
"""Table 2: layers → evaluation RMSE and parameters."""

DROPOUT: Mapping[float, float] = {0.65: 0.9192, 0.8: 0.9183}
"""Figure 4: drop probability → evaluation RMSE."""

REFEEDING: Mapping[str, float] = {"Baseline": 0.9167, "Baseline LR 0.005 RF": 0.9100}
"""Section 3.6: the evaluation RMSE of two lines of figure 5; the other two are only drawn."""

SYSTEMS: Mapping[str, Mapping[str, float]] = {
    "3m": {"PMF": 0.9584, "T-SVD": 0.9589, "U-AR": 0.9836, "I-AR": 0.9778, "RRN": 0.9427, "DeepRec": 0.9373},
    "6m": {"DeepRec": 0.9207},
    "1y": {"DeepRec": 0.9225},
    "full": {"U-AR": 0.9647, "I-AR": 0.9364, "RRN": 0.9224, "DeepRec": 0.9099},
}
"""Tables 3 and 4: window → system → test RMSE; those of PMF and T-SVD are Wu et al.'s (2017)."""
