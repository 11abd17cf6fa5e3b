"""Simulate labelled SEM images of semiconductor patterns, train defect classifiers on them, and judge real images.

    >>> import sem_lightning as sl
    >>> simulator = sl.Simulator.compose("pattern=routing", "noise=high")
    >>> sample = simulator.sample(7, label="bridge")
    >>> predictions = sl.load("robust").predict("my_images/")

Every name below is imported when it is first used, so ``import sem_lightning`` stays fast.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

from sem_lightning.version import __version__ as __version__

# torch's threads spin while they wait for each other, and beside another busy process they wait for one that has no
# core. OpenMP reads this when torch is first imported; a choice of the user stays.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
    os.environ["OMP_WAIT_POLICY"] = "passive"

# These two libraries otherwise report their use to their makers; a choice of the user stays.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

_PUBLIC = {
    "Simulator": "synthesis.simulator",
    "Scene": "synthesis.simulator",
    "Sample": "synthesis.simulator",
    "Instance": "synthesis.simulator",
    "render": "synthesis.simulator",
    "PairSimulator": "synthesis.pairs",
    "Pair": "synthesis.pairs",
    "ReferenceScene": "synthesis.reference",
    "render_pair": "synthesis.pairs",
    "SimulatedDataset": "data.simulated",
    "SimulatedStream": "data.simulated",
    "FolderDataset": "data.folder_dataset",
    "SimulatedSource": "data.sources",
    "FolderSource": "data.sources",
    "SEMDataModule": "data.datamodule",
    "ModelSettings": "model.model_settings",
    "SEMClassifier": "model.classifier",
    "TrainedModel": "model.checkpoint",
    "load_model": "model.checkpoint",
    "load_classifier": "model.classifier",
    "register_network": "model.network",
    "compose_training": "config.training",
    "train": "training.train",
    "evaluate": "evaluation.evaluate",
    "calibrate": "evaluation.calibrate",
    "DecisionSettings": "decision.decision_settings",
    "Rule": "decision.rule",
    "compose_fit": "config.compose",
    "fit": "fitting.fit",
    "Predictor": "inference.predictor",
    "Prediction": "inference.prediction",
    "Region": "inference.prediction",
    "load": "inference.predictor",
    "Inspector": "inspection.inspector",
    "Inspection": "inspection.inspection",
    "Place": "inspection.inspection",
    "Registration": "inspection.inspection",
    "register": "inspection.registration",
    "label_inspections": "inspection.outcomes",
    "evaluate_inspections": "inspection.evaluation",
    "choose_limits": "inspection.limits_choice",
    "InspectionLimits": "inspection.limits",
    "KlarfFile": "klarf.read",
    "read_klarf": "klarf.read",
    "GrayImage": "io.gray_image",
    "open_image": "io.gray_image",
    "Polarity": "polarity",
    "UserError": "errors",
    "SettingError": "errors",
}

__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from sem_lightning.config.compose import compose_fit as compose_fit
    from sem_lightning.config.training import compose_training as compose_training
    from sem_lightning.data.datamodule import SEMDataModule as SEMDataModule
    from sem_lightning.data.folder_dataset import FolderDataset as FolderDataset
    from sem_lightning.data.simulated import SimulatedDataset as SimulatedDataset
    from sem_lightning.data.simulated import SimulatedStream as SimulatedStream
    from sem_lightning.data.sources import FolderSource as FolderSource
    from sem_lightning.data.sources import SimulatedSource as SimulatedSource
    from sem_lightning.decision.decision_settings import DecisionSettings as DecisionSettings
    from sem_lightning.decision.rule import Rule as Rule
    from sem_lightning.errors import SettingError as SettingError
    from sem_lightning.errors import UserError as UserError
    from sem_lightning.evaluation.calibrate import calibrate as calibrate
    from sem_lightning.evaluation.evaluate import evaluate as evaluate
    from sem_lightning.fitting.fit import fit as fit
    from sem_lightning.inference.prediction import Prediction as Prediction
    from sem_lightning.inference.prediction import Region as Region
    from sem_lightning.inference.predictor import Predictor as Predictor
    from sem_lightning.inference.predictor import load as load
    from sem_lightning.inspection.evaluation import evaluate_inspections as evaluate_inspections
    from sem_lightning.inspection.inspection import Inspection as Inspection
    from sem_lightning.inspection.inspection import Place as Place
    from sem_lightning.inspection.inspection import Registration as Registration
    from sem_lightning.inspection.inspector import Inspector as Inspector
    from sem_lightning.inspection.limits import InspectionLimits as InspectionLimits
    from sem_lightning.inspection.limits_choice import choose_limits as choose_limits
    from sem_lightning.inspection.outcomes import label_inspections as label_inspections
    from sem_lightning.inspection.registration import register as register
    from sem_lightning.io.gray_image import GrayImage as GrayImage
    from sem_lightning.io.gray_image import open_image as open_image
    from sem_lightning.klarf.read import KlarfFile as KlarfFile
    from sem_lightning.klarf.read import read_klarf as read_klarf
    from sem_lightning.model.checkpoint import TrainedModel as TrainedModel
    from sem_lightning.model.checkpoint import load_model as load_model
    from sem_lightning.model.classifier import SEMClassifier as SEMClassifier
    from sem_lightning.model.classifier import load_classifier as load_classifier
    from sem_lightning.model.model_settings import ModelSettings as ModelSettings
    from sem_lightning.model.network import register_network as register_network
    from sem_lightning.polarity import Polarity as Polarity
    from sem_lightning.synthesis.pairs import Pair as Pair
    from sem_lightning.synthesis.pairs import PairSimulator as PairSimulator
    from sem_lightning.synthesis.pairs import render_pair as render_pair
    from sem_lightning.synthesis.reference import ReferenceScene as ReferenceScene
    from sem_lightning.synthesis.simulator import Instance as Instance
    from sem_lightning.synthesis.simulator import Sample as Sample
    from sem_lightning.synthesis.simulator import Scene as Scene
    from sem_lightning.synthesis.simulator import Simulator as Simulator
    from sem_lightning.synthesis.simulator import render as render
    from sem_lightning.training.train import train as train


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
