"""Scoring script of an endpoint: an image comes in as JSON, what the classifier says of it goes out.

Request: ``{"image": BASE64, "name": "scan.tif", "polarity": "dark"}``, the bytes of an image file as
`sem_lightning.io.images.read_gray` takes them; ``name`` and ``polarity`` (``bright`` or ``dark`` lines, as in
sem-predict) may be left out. Answer, 200: ``decision`` (a class, or ``unsure``), ``label`` (the most probable class),
``probabilities``, ``ood_score``, ``regions``; 400: ``{"error": {"message": ...}}``, for what is not one.

Azure calls `init` once and `run` for each request, with the classifier's folder in ``AZUREML_MODEL_DIR``.
"""

import base64
import binascii
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from sem_lightning.errors import UserError
from sem_lightning.inference.prediction import UnreadableImage
from sem_lightning.inference.predictor import Predictor
from sem_lightning.io.pixel_size import TAGGED
from sem_lightning.model.checkpoint import load_model
from sem_lightning.polarity import POLARITIES

MAX_BYTES = 64 << 20  # of a request
_SUFFIXES = (".safetensors", ".ckpt")
_predictors: dict[str | None, Predictor] = {}  # by the polarity that a request tells


def init() -> None:
    """Load the classifier.

    Raises:
        UserError: There is none, or several.
    """
    folder = Path(os.environ["AZUREML_MODEL_DIR"])
    found = sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES)
    if len(found) != 1:
        raise UserError(f"{folder}: found {len(found)} classifiers, expected one {' or '.join(_SUFFIXES)}")
    model = load_model(found[0])
    _predictors.clear()
    for polarity in (None, *POLARITIES) if model.settings.polarity is not None else (None,):
        _predictors[polarity] = Predictor(model, polarity=polarity)


def score(body: bytes) -> tuple[int, dict[str, Any]]:
    """Status and answer for a request's body."""
    if len(body) > MAX_BYTES:
        return _refuse(f"found {len(body)} bytes, expected at most {MAX_BYTES}")
    try:
        request = json.loads(body)
        data = base64.b64decode(request["image"], validate=True)
        name, polarity = str(request.get("name", "image")), request.get("polarity")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        return _refuse('expected {"image": "<base64 of a file>", "name": "scan.tif", "polarity": "dark"} as JSON')
    if polarity not in (None, *POLARITIES):
        return _refuse(f"polarity: found {polarity!r}, expected {' or '.join(POLARITIES)}")
    if polarity not in _predictors:
        return _refuse("polarity: the classifier does not know that of its training images; leave it out")
    with tempfile.TemporaryDirectory() as folder:
        suffix = name[name.rfind(".") :].lower()
        path = Path(folder) / f"image{suffix if suffix in TAGGED else ''}"
        path.write_bytes(data)
        found = next(_predictors[polarity].stream([path]))
        if isinstance(found, UnreadableImage):
            return _refuse(str(found.error).replace(str(path), name))
    return 200, {
        "decision": found.decision,
        "label": found.label,
        "probabilities": {label: round(p, 6) for label, p in found.probabilities.items()},
        "ood_score": found.ood_score,
        "regions": [vars(region) for region in found.regions],
    }


def _refuse(reason: str) -> tuple[int, dict[str, Any]]:
    return 400, {"error": {"message": reason}}  # where clients of Azure look for it


try:
    from azureml_inference_server_http.api.aml_request import rawhttp  # the server has it, nobody else needs it
    from azureml_inference_server_http.api.aml_response import AMLResponse
except ImportError:
    pass
else:

    @rawhttp  # type: ignore[untyped-decorator]
    def run(request: Any) -> Any:
        """What the server calls: a request of Flask's."""
        status, answer = score(request.get_data())
        return AMLResponse(json.dumps(answer), status)
