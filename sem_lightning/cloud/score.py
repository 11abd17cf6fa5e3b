"""Scoring script of an endpoint: receives an image as JSON and returns its prediction.

Request: ``{"image": BASE64, "name": "scan.tif", "polarity": "dark"}``. ``image`` holds the bytes of an image file for
`sem_lightning.io.images.read_gray`; ``name`` and ``polarity`` (``bright`` or ``dark`` lines, as in sem-predict) are
optional. Response 200: ``decision`` (a class, or ``unsure``), ``reason`` (why it is
``unsure``, else null), ``label`` (the most probable class), ``probabilities``,
``ood_score``, ``regions``. Response 400, for an invalid request: ``{"error": {"message": ...}}``.

The classifier is a file or a folder of sem-export, which needs no torch.

Azure calls `init` once and `run` for each request. ``AZUREML_MODEL_DIR`` names the classifier's folder.
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
from sem_lightning.polarity import POLARITIES
from sem_lightning.runtime.exported_folder import DESCRIPTION
from sem_lightning.runtime.open_model import open_model

MAX_BYTES = 64 << 20  # limit of a request
_SUFFIXES = (".safetensors", ".ckpt")
_predictors: dict[str | None, Predictor] = {}  # by the polarity in the request


def init() -> None:
    """Load the classifier.

    Raises:
        UserError: There is no classifier, or several.
    """
    folder = Path(os.environ["AZUREML_MODEL_DIR"])
    exported = [path.parent for path in folder.rglob(DESCRIPTION)]
    files = [path for path in folder.rglob("*") if path.suffix in _SUFFIXES and path.parent not in exported]
    found = [*exported, *files]
    if len(found) != 1:
        allowed = ", ".join((*_SUFFIXES, "folder of sem-export"))
        raise UserError(f"{folder}: found {len(found)} classifiers, expected one of {allowed}")
    model = open_model(found[0])
    _predictors.clear()
    for polarity in (None, *POLARITIES) if model.settings.polarity is not None else (None,):
        _predictors[polarity] = Predictor(model, polarity=polarity)


def score(body: bytes) -> tuple[int, dict[str, Any]]:
    """Status and response for the body of a request."""
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
        path = Path(folder) / "image"
        path.write_bytes(data)
        found = next(_predictors[polarity].stream([path]))
        if isinstance(found, UnreadableImage):
            return _refuse(str(found.error).replace(str(path), name))
    return 200, {
        "decision": found.decision,
        "reason": found.reason,
        "label": found.label,
        "probabilities": {label: round(p, 6) for label, p in found.probabilities.items()},
        "ood_score": found.ood_score,
        "regions": [vars(region) for region in found.regions],
    }


def _refuse(reason: str) -> tuple[int, dict[str, Any]]:
    return 400, {"error": {"message": reason}}  # the format of Azure's clients


try:
    from azureml_inference_server_http.api.aml_request import rawhttp  # installed only on the server
    from azureml_inference_server_http.api.aml_response import AMLResponse
except ImportError:
    pass
else:

    @rawhttp  # type: ignore[untyped-decorator]
    def run(request: Any) -> Any:
        """Handle a Flask request; called by the server."""
        status, answer = score(request.get_data())
        return AMLResponse(json.dumps(answer), status)
