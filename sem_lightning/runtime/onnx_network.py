"""A network that ONNX Runtime runs."""

from collections.abc import Callable, Mapping
from pathlib import Path

from sem_lightning.errors import UserError, missing_extra
from sem_lightning.runtime.graph_network import INPUT, OUTPUTS, GraphNetwork, check_names, thread_count
from sem_lightning.runtime.network import InferenceNetwork
from sem_lightning.synthesis.field import Float32


class OnnxNetwork(GraphNetwork):
    """An ONNX graph on the CPU.

    Args:
        graph: Its bytes, or a file whose weights lie in another file of its folder.
        name: What errors call it.
        with_torch: See `GraphNetwork`.

    Raises:
        UserError: The extra ``onnx`` is not installed, or this is no such graph.
    """

    def __init__(
        self, graph: bytes | Path, name: str, with_torch: Callable[[], InferenceNetwork] | None = None
    ) -> None:
        super().__init__(with_torch)
        try:
            import onnxruntime
        except ImportError:
            raise missing_extra("onnx", name) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = thread_count() or 0
        options.log_severity_level = 3  # its warnings are about the speed of single nodes
        try:
            self._session = onnxruntime.InferenceSession(
                graph if isinstance(graph, bytes) else str(graph), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # it has many types of errors for foreign graphs, without a common base
            raise UserError(f"{name}: not a graph that ONNX Runtime runs ({type(error).__name__})") from None
        check_names([each.name for each in self._session.get_outputs()], name)

    def run(self, images: Float32) -> Mapping[str, Float32]:
        return dict(zip(OUTPUTS, self._session.run(list(OUTPUTS), {INPUT: images}), strict=True))
