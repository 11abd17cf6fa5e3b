"""Runs tiles and views of several images through the network in batches of one shape."""

from dataclasses import dataclass, field

import numpy as np

from sem_lightning.decision.scores import Floats, log_odds_good
from sem_lightning.inference.preprocessing import PreparedImage
from sem_lightning.inference.tiling import Stitcher
from sem_lightning.model.model_settings import ModelSettings
from sem_lightning.runtime.network import InferenceNetwork
from sem_lightning.synthesis.field import Float32

# A batch of larger images has about as many pixels as one of images of the training size. The last digits of a
# convolution depend on the batch size, unless the network says `any_batch`. So every batch of one shape has the same
# size and is padded if necessary: the scores of an image do not depend on the other images. (With a timm network whose
# activations are not ReLU the last digit may still differ, because these activations round differently at the end of a
# vector register.)
_SMALLEST_BATCH = 2


@dataclass
class Job:
    """An image and the results of its tiles and views so far.

    Attributes:
        prepared: The image.
        stitcher: Joins the maps of its tiles.
        saliency: Joins captum's saliency maps, if requested.
        waiting: Number of tiles and views that have not been run.
        lowest: Log odds of good of the deciding tile at temperature 1. ``logits`` and ``features`` come from that
            tile.
        deciding: Its number.
        views: Logits of each further view.
        view_features: Features of each further view.
    """

    prepared: PreparedImage
    stitcher: Stitcher
    saliency: Stitcher | None
    waiting: int
    lowest: float = np.inf
    deciding: int = 0
    logits: Floats = field(default_factory=lambda: np.empty(0))
    features: Floats = field(default_factory=lambda: np.empty(0))
    views: dict[int, Floats] = field(default_factory=dict)
    view_features: dict[int, Floats] = field(default_factory=dict)


@dataclass(frozen=True)
class _Input:
    """One network input: a tile, or, for numbers from ``len(tiling)``, a further view."""

    job: Job
    number: int
    image: Float32


@dataclass
class NetworkRunner:
    """Collects inputs by shape and runs a batch when it is full.

    Attributes:
        network: The network.
        settings: Settings of the classifier.
        temperature: Temperature of the rule; it weights the saliency of tiles.
        explain: Whether captum's saliency is computed.
    """

    network: InferenceNetwork
    settings: ModelSettings
    temperature: float
    explain: bool
    _groups: dict[tuple[int, ...], list[_Input]] = field(default_factory=dict)

    def submit(self, prepared: PreparedImage) -> Job:
        """Queue an image. Its job is done once ``waiting`` is 0, after `flush` at the latest."""
        tiling, channels = prepared.tiling, len(self.settings.classes)
        salient = Stitcher(tiling, 1) if self.explain else None
        maps = Stitcher(tiling, channels, doubtful=self.settings.knows_good)
        job = Job(prepared, maps, salient, len(tiling) + len(prepared.more_views))
        inputs = [_Input(job, number, tiling.cut(prepared.image, number)) for number in range(len(tiling))]
        inputs += [_Input(job, len(tiling) + i, view.image) for i, view in enumerate(prepared.more_views)]
        for each in inputs:
            group = self._groups.setdefault(each.image.shape, [])
            group.append(each)
            if len(group) == self._size_of_batch(each.image):
                self._run(self._groups.pop(each.image.shape))
        return job

    def flush(self) -> None:
        """Run all collected inputs."""
        for group in self._groups.values():
            self._run(group)
        self._groups.clear()

    def _size_of_batch(self, image: Float32) -> int:
        return max(_SMALLEST_BATCH, self.network.batch_size * self.settings.image_size**2 // image.size)

    def _run(self, batch: list[_Input]) -> None:
        arrays = [each.image for each in batch]
        if not self.network.any_batch:
            arrays += arrays[:1] * (self._size_of_batch(arrays[0]) - len(arrays))
        images = np.stack(arrays)[:, None]
        found = self.network(images)
        logits = found.logits
        # temperature 1 makes the deciding tile independent of the rule
        odds = log_odds_good(logits, 1.0)
        salience = None
        if self.explain:
            calibrated = log_odds_good(logits, self.temperature)
            # the most probable defect, independent of the decision
            first = int(self.settings.knows_good)
            targets = np.asarray(first + logits[:, first:].argmax(axis=1), np.int64)
            salience = self.network.saliency(images, targets)  # includes padding images
        for i, each in enumerate(batch):
            job = each.job
            job.waiting -= 1
            if each.number >= len(job.prepared.tiling):
                view = each.number - len(job.prepared.tiling)
                job.views[view], job.view_features[view] = logits[i], found.features[i]
                continue
            job.stitcher.add(each.number, found.maps[i])
            if salience is not None and job.saliency is not None:
                # a tile that is probably good gets little saliency
                doubt = np.float32(1 / (1 + np.exp(min(calibrated[i], 500.0))))
                job.saliency.add(each.number, salience[i][None] * doubt)
            # NaN counts as the lowest odds, so a later tile cannot replace it
            doubtful = -np.inf if np.isnan(odds[i]) else odds[i]
            if not job.logits.size or doubtful < job.lowest:
                job.lowest, job.logits, job.features = doubtful, logits[i], found.features[i]
                job.deciding = each.number
