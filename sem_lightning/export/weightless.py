"""Graphs of packaged classifiers, whose weights stay in the classifier's own file.

``python -m sem_lightning.export.weightless robust`` writes ``weights/robust.onnx``: each of its weights names a place
in ``robust.safetensors``, half precision as there, and a cast to float32. Runtimes fold batch norms when they load it.
"""

import json
import sys
from pathlib import Path

import numpy as np

from sem_lightning.export.graph import onnx_graph
from sem_lightning.io.atomic import write_atomically
from sem_lightning.model.checkpoint import load_model
from sem_lightning.model.packaged import PACKAGED

_SMALLEST = 64  # numbers; shorter constants stay in the graph


def weightless_graph(path: Path) -> bytes:
    """An ONNX graph for a small classifier file, to lie beside it.

    Args:
        path: A file of `sem_lightning.model.safetensors_io.write_safetensors`.

    Raises:
        ValueError: A weight is not in the file.
    """
    import onnx
    from onnx import TensorProto, external_data_helper, helper, numpy_helper

    model = load_model(path)
    graph = onnx.load_from_string(onnx_graph(model.net, model.settings.image_size, folded=False))
    places = _places(path)
    casts = []
    for tensor in graph.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.size < _SMALLEST:
            continue
        stored = array.astype(np.float16)
        place = places.get(stored.tobytes())
        if place is None or not np.array_equal(stored.astype(np.float32), array):
            raise ValueError(f"{tensor.name} is not in {path}")
        casts.append(helper.make_node("Cast", [f"{tensor.name}.half"], [tensor.name], to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(stored, f"{tensor.name}.half"))
        external_data_helper.set_external_data(tensor, path.name, offset=place, length=stored.nbytes)
        tensor.ClearField("raw_data")
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return bytes(graph.SerializeToString(deterministic=True))


def _places(path: Path) -> dict[bytes, int]:
    """The offset of each stored array in the file, by its bytes."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    spans = [entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"]
    return {data[start + first : start + last]: start + first for first, last in spans}


def main() -> None:
    """Write the graph of a packaged classifier beside it."""
    path = PACKAGED[sys.argv[1]]
    content = weightless_graph(path)
    write_atomically(path.with_suffix(".onnx"), lambda temporary: temporary.write_bytes(content))


if __name__ == "__main__":
    main()
