"""A network that OpenVINO runs."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from sem_lightning.errors import UserError, missing_extra
from sem_lightning.runtime.graph_network import OUTPUTS, GraphNetwork, check_names, thread_count
from sem_lightning.runtime.network import InferenceNetwork
from sem_lightning.synthesis.field import Float32


class OpenVINONetwork(GraphNetwork):
    """A graph of OpenVINO, or an ONNX graph, on the CPU.

    Args:
        graph: The bytes of the graph, or a file whose weights lie in another file of its folder.
        weights: The bytes of the weights, for a graph of OpenVINO without them.
        name: What errors call it.
        precision: ``fp32``, ``bf16``, or ``int8`` for a graph whose quantised part is in the graph itself. Otherwise
            OpenVINO would take bf16 on processors that can, and scores would depend on the processor.
        with_torch: See `GraphNetwork`.

    Raises:
        UserError: The extra ``openvino`` is not installed, this is no such graph, or the processor cannot run bf16.
    """

    def __init__(
        self,
        graph: bytes | Path,
        weights: bytes | None,
        name: str,
        precision: str = "fp32",
        with_torch: Callable[[], InferenceNetwork] | None = None,
    ) -> None:
        super().__init__(with_torch)
        try:
            import openvino
        except ImportError:
            raise missing_extra("openvino", name) from None
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UserError(f"{name}: is in bf16, which this processor cannot; export it again with precision=fp32")
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        }
        if threads := thread_count():
            options["INFERENCE_NUM_THREADS"] = str(threads)
        try:
            model = core.read_model(graph) if weights is None else core.read_model(graph, weights)
            self._compiled = core.compile_model(model, "CPU", options)
        except RuntimeError as error:
            raise UserError(f"{name}: not a graph that OpenVINO runs ({type(error).__name__})") from None
        self._one_at_a_time = threading.Lock()
        check_names([each.get_any_name() for each in self._compiled.outputs], name)

    def run(self, images: Float32) -> Mapping[str, Float32]:
        with self._one_at_a_time:  # a compiled model refuses a second thread; it uses all cores by itself
            found = self._compiled(images)
            return {name: found[name].copy() for name in OUTPUTS}
