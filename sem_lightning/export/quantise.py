"""Quantises a graph to 8-bit integers."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sem_lightning.errors import missing_extra
from sem_lightning.runtime.graph_network import INPUT
from sem_lightning.synthesis.field import Float32

CALIBRATED_ON = 128  # images
_AT_ONCE = 16
# OpenVINO runs the sums of residual blocks in integers, too, and is more exact then; ONNX Runtime is less.
_LAYERS = {"onnx": ["Conv"], "openvino": ["Conv", "Add"]}


def quantise(graph: bytes, images: Sequence[Float32], form: str) -> bytes:
    """An ONNX graph whose convolutions run in 8-bit integers, weights with a scale for each channel.

    Args:
        graph: An ONNX graph with all its weights.
        images: float32 [H, W], all of one shape, from which the ranges of activations are measured.
        form: ``onnx`` or ``openvino``, which will run it.

    Raises:
        UserError: The extra ``onnx`` is not installed.
    """
    try:
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError:
        raise missing_extra("onnx", "precision=int8") from None
    batches = iter([np.stack(images[i : i + _AT_ONCE])[:, None] for i in range(0, len(images), _AT_ONCE)])

    class Batches:
        """The images, as `onnxruntime.quantization.CalibrationDataReader` gives them."""

        def get_next(self) -> dict[str, Any] | None:
            batch = next(batches, None)
            return None if batch is None else {INPUT: batch}

    with tempfile.TemporaryDirectory() as folder:
        whole, merged, found = (Path(folder) / f"{name}.onnx" for name in ("whole", "merged", "found"))
        whole.write_bytes(graph)
        logging.disable(logging.INFO)  # it names each bias that it copies
        quant_pre_process(str(whole), str(merged), skip_symbolic_shape=True)
        quantize_static(
            str(merged),
            str(found),
            Batches(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=_LAYERS[form],
        )
        logging.disable(logging.NOTSET)
        return found.read_bytes()
