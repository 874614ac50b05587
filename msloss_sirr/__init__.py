"""Single image reflection removal, built on msloss."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from msloss_sirr.errors import wanting

if TYPE_CHECKING:
    from msloss_sirr.data.config import DataConfig
    from msloss_sirr.depth.config import DepthConfig
    from msloss_sirr.depth.midas import load_midas
    from msloss_sirr.errors import InputError
    from msloss_sirr.evaluation.config import LpipsConfig
    from msloss_sirr.evaluation.evaluating import evaluate_sets
    from msloss_sirr.evaluation.results import EvaluationReport
    from msloss_sirr.evaluation.scores import Evaluation, Scores, evaluate, score
    from msloss_sirr.layers import Layers
    from msloss_sirr.losses.config import LossConfig
    from msloss_sirr.losses.criterion import LayersCriterion
    from msloss_sirr.models.checkpoint import save_remover
    from msloss_sirr.models.config import RemoverConfig
    from msloss_sirr.models.remover import Remover, load_remover
    from msloss_sirr.photo.options import RemovalOptions
    from msloss_sirr.photo.removal import Removal, remove
    from msloss_sirr.synthesis.config import GlassConfig, SynthesisConfig
    from msloss_sirr.training.config import TrainConfig
    from msloss_sirr.training.presets import preset
    from msloss_sirr.training.removers import train

__all__ = [
    "DataConfig",
    "DepthConfig",
    "Evaluation",
    "EvaluationReport",
    "GlassConfig",
    "InputError",
    "Layers",
    "LayersCriterion",
    "LossConfig",
    "LpipsConfig",
    "Removal",
    "RemovalOptions",
    "Remover",
    "RemoverConfig",
    "Scores",
    "SynthesisConfig",
    "TrainConfig",
    "evaluate",
    "evaluate_sets",
    "load_midas",
    "load_remover",
    "preset",
    "remove",
    "save_remover",
    "score",
    "train",
]

_HOME = {
    "DataConfig": "data.config",
    "DepthConfig": "depth.config",
    "Evaluation": "evaluation.scores",
    "EvaluationReport": "evaluation.results",
    "GlassConfig": "synthesis.config",
    "InputError": "errors",
    "Layers": "layers",
    "LayersCriterion": "losses.criterion",
    "LossConfig": "losses.config",
    "LpipsConfig": "evaluation.config",
    "Removal": "photo.removal",
    "RemovalOptions": "photo.options",
    "Remover": "models.remover",
    "RemoverConfig": "models.config",
    "Scores": "evaluation.scores",
    "SynthesisConfig": "synthesis.config",
    "TrainConfig": "training.config",
    "evaluate": "evaluation.scores",
    "evaluate_sets": "evaluation.evaluating",
    "load_midas": "depth.midas",
    "load_remover": "models.remover",
    "preset": "training.presets",
    "remove": "photo.removal",
    "save_remover": "models.checkpoint",
    "score": "evaluation.scores",
    "train": "training.removers",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that ``msloss-sirr --help`` need not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        if (told := wanting(error)) is None:
            raise
        raise ImportError(f"{__name__}.{name} cannot be imported: {told}") from error
