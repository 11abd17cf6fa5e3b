"""Scoring script of an endpoint: an image comes in as JSON, what the classifier says of it goes out.

Request: ``{"image": BASE64, "name": "scan.tif", "polarity": "dark"}``, the bytes of an image file as
`sem_lightning.data.images.read_gray` takes them; ``name`` and ``polarity`` (``bright`` or ``dark`` lines, as in
sem-predict) may be left out. Answer, 200: ``decision`` (a class, or ``unsure``), ``label`` (the most probable class),
``probabilities``, ``distance``, ``regions``; 400: ``{"error": {"message": ...}}``, for what is not one.

Azure calls `init` once and `run` for each request, with the classifier's folder in ``AZUREML_MODEL_DIR``.
"""

import base64
import binascii
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from sem_lightning.data.images import ImageError
from sem_lightning.errors import UserError
from sem_lightning.inspection.inspector import Inspector, Preparation, Unreadable, prepare
from sem_lightning.inspection.pixel_size import TAGGED
from sem_lightning.model.classifier import load_classifier
from sem_lightning.synthesis.patterns.pattern import POLARITIES

MAX_BYTES = 64 << 20  # of a request
_SUFFIXES = (".safetensors", ".ckpt")
_inspector: Inspector | None = None


def init() -> None:
    """Load the classifier.

    Raises:
        UserError: There is none, or several.
    """
    global _inspector
    folder = Path(os.environ["AZUREML_MODEL_DIR"])
    found = sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES)
    if len(found) != 1:
        raise UserError(f"{folder}: found {len(found)} classifiers, expected one {' or '.join(_SUFFIXES)}")
    classifier = load_classifier(found[0])
    classifier.net.fold_batch_norm()
    _inspector = Inspector(classifier, batch_size=1)


def score(body: bytes) -> tuple[int, dict[str, Any]]:
    """Status and answer for a request's body."""
    assert _inspector is not None
    if len(body) > MAX_BYTES:
        return _refuse(f"found {len(body)} bytes, expected at most {MAX_BYTES}")
    try:
        request = json.loads(body)
        data = base64.b64decode(request["image"], validate=True)
        name, polarity = str(request.get("name", "image")), request.get("polarity")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        return _refuse('expected {"image": "<base64 of a file>", "name": "scan.tif", "polarity": "dark"} as JSON')
    trained = _inspector.classifier.hparams["polarity"]
    if polarity not in (None, *POLARITIES):
        return _refuse(f"polarity: found {polarity!r}, expected {' or '.join(POLARITIES)}")
    if polarity is not None and trained is None:
        return _refuse("polarity: the classifier does not know that of its training images; leave it out")
    how = Preparation.for_classifier(_inspector.classifier)
    if polarity is not None:
        how = how.told(polarity, trained)
    with tempfile.TemporaryDirectory() as folder:
        suffix = name[name.rfind(".") :].lower()
        path = Path(folder) / f"image{suffix if suffix in TAGGED else ''}"
        path.write_bytes(data)
        try:
            finding = next(_inspector.judge([prepare(path, how)]))
        except ImageError as error:
            return _refuse(str(error).replace(str(path), name))
    assert not isinstance(finding, Unreadable)
    probabilities = zip(_inspector.classifier.classes, finding.probabilities, strict=True)
    return 200, {
        "decision": finding.decision,
        "label": finding.label,
        "probabilities": {label: round(float(p), 6) for label, p in probabilities},
        "distance": finding.distance,
        "regions": [vars(region) for region in finding.regions],
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
