"""A network that OpenVINO runs."""

import functools
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sem_lightning.errors import UserError, missing_extra
from sem_lightning.runtime.graph_network import INPUT, OUTPUTS, GraphNetwork, check_names, thread_count
from sem_lightning.runtime.network import InferenceNetwork
from sem_lightning.synthesis.field import Float32

_FEW = 32  # images, for which the compilation for several streams does not pay
_MOST_STREAMS = 4


def import_openvino(asked_by: str) -> Any:
    """OpenVINO, which reports nothing to its maker.

    Its import otherwise forks a process that sends an event to a server. Without its package for that, it uses a stub.

    Args:
        asked_by: The file or setting that needs OpenVINO.

    Raises:
        UserError: The extra ``openvino`` is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: not to be found
    try:
        import openvino
    except ImportError:
        raise missing_extra("openvino", asked_by) from None
    return openvino


@functools.cache
def core_of_process(openvino: Any) -> Any:
    """The one ``openvino.Core``, which is never given up.

    OpenVINO's CPU plugin sets a stack for signals in the thread that loads it, and frees that stack when the last core
    is given up. If another thread does so, the next signal ends the process.

    Args:
        openvino: See `import_openvino`.
    """
    return openvino.Core()


class OpenVINONetwork(GraphNetwork):
    """A graph of OpenVINO, or an ONNX graph, on the CPU.

    All threads share the work on one image. After some images, the images of a batch are divided among streams, which
    need not wait for each other after every layer. OpenVINO sums in the same order in any batch, thread and stream.

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
        self.any_batch = True
        core = core_of_process(import_openvino(name))
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UserError(f"{name}: is in bf16, which this processor cannot; export it again with precision=fp32")
        options = {"INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"}
        if threads := thread_count():
            options["INFERENCE_NUM_THREADS"] = str(threads)
        try:
            model = core.read_model(graph) if weights is None else core.read_model(graph, weights)
            self._whole = core.compile_model(model, "CPU", options | {"PERFORMANCE_HINT": "LATENCY"})
        except RuntimeError as error:
            raise UserError(f"{name}: not a graph that OpenVINO runs ({type(error).__name__})") from None
        self._streams = min(int(self._whole.get_property("INFERENCE_NUM_THREADS")), _MOST_STREAMS)
        options["NUM_STREAMS"] = str(self._streams)
        self._compile_streams: Callable[[], Any] = lambda: core.compile_model(model, "CPU", options)
        self._requests: list[Any] = []  # one for each stream
        self._seen = 0  # images
        self._one_at_a_time = threading.Lock()
        check_names([each.get_any_name() for each in self._whole.outputs], name)

    def run(self, images: Float32) -> Mapping[str, Float32]:
        with self._one_at_a_time:  # a request refuses a second thread; it uses all cores by itself
            self._seen += len(images)
            if self._seen > _FEW and len(images) >= self._streams > 1:
                return self._run_in_streams(images)
            found = self._whole(images)
            return {name: found[name].copy() for name in OUTPUTS}

    def _run_in_streams(self, images: Float32) -> Mapping[str, Float32]:
        if not self._requests:
            compiled = self._compile_streams()
            self._requests = [compiled.create_infer_request() for _ in range(self._streams)]
        for request, part in zip(self._requests, np.array_split(images, self._streams), strict=True):
            request.start_async({INPUT: part})
        for request in self._requests:
            request.wait()
        return {name: np.concatenate([request.get_tensor(name).data for request in self._requests]) for name in OUTPUTS}
