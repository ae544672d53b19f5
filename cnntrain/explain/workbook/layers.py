"""Which layers have a sheet of formulas; another is a line here and its sheet in a file."""

from __future__ import annotations

from collections.abc import Mapping

from cnntrain.explain.workbook.convolution import ConvolutionSheet
from cnntrain.explain.workbook.dense import DenseSheet
from cnntrain.explain.workbook.elementwise import CURVES, ActivationSheet, DropoutSheet, PassedOnSheet
from cnntrain.explain.workbook.layer_sheet import LayerSheet
from cnntrain.explain.workbook.pooling import AveragePoolingSheet, MaxPoolingSheet

SHEETS: Mapping[str, type[LayerSheet]] = {
    "conv2d": ConvolutionSheet,
    "dense": DenseSheet,
    "max_pool2d": MaxPoolingSheet,
    "avg_pool2d": AveragePoolingSheet,
    "global_avg_pool2d": AveragePoolingSheet,
    "flatten": PassedOnSheet,
    "dropout": DropoutSheet,
    **dict.fromkeys(CURVES, ActivationSheet),
}
