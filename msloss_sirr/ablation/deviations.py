"""In what an ablation is not the experiment of the paper."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msloss_sirr.ablation.arms import Equal
from msloss_sirr.ablation.missing import absent_sets
from msloss_sirr.ablation.studies import Study
from msloss_sirr.catalogue.layout import parse_source
from msloss_sirr.trainer.run_folder import flat_options
from msloss_sirr.training.config import TrainConfig
from msloss_sirr.training.option_files import changed
from msloss_sirr.training.presets import PRESETS

_UNSAID = frozenset(
    {
        "out",
        "val",
        "seed",
        "device",
        "workers",
        "save_every",
        "tensorboard",
        "samples",
        "bear",
        "preset",
        "config",
        "probe_every",
    }
    | {"data.pairs", "data.photos", "data.pair_weights", "data.damaged", "data.cache", "data.cache_gib"}
    | {"depth.weights", "loss.weights", "patience", "threshold", "checkpointing"}
    | {"epochs", "iterations", "budget", "applications"}
)
"""Options that change no result, those of which the paper says nothing, and those of length, told by themselves."""
_TRAINED_ON = ("flash", "nature")
"""The sets of the catalogue whose training pairs the paper takes."""


def unlike_paper(
    study: Study, base: TrainConfig, sets: Iterable[str], refgan: str | None, equal: Equal = "updates"
) -> tuple[str, ...]:
    """Return in what an ablation differs from the experiment of the paper, a few words each; empty if in nothing.

    Args:
        study: what is compared.
        base: what its arms differ from.
        sets: what it is evaluated on.
        refgan: pairs that RefGAN made, if it is trained on some.
        equal: what its arms have as much of as each other.
    """
    paper = dataclasses.replace(PRESETS["paper"], val=base.val, out=base.out)
    then, now = flat_options(changed(paper, study.base)), flat_options(base)
    told = _UNSAID.union(set.intersection(*(set(arm.changes) for arm in study.arms)))  # which every arm says for itself
    differ = [
        f"{name.removeprefix('data.').replace('_', '-')} {_written(now[name])}, not {_written(then[name])}"
        for name in then
        if name not in told and then[name] != now[name]
    ]
    shorter = [name for name in ("iterations", "budget") if now[name] is not None]
    if shorter or now["epochs"] != then["epochs"]:
        ends = shorter[0] if shorter else "epochs"
        differ.append(f"{ends} {now[ends]}, not {then['epochs']} epochs")
    if equal == "compute":
        differ.append("arms of fewer steps make more updates than those of the paper")
    if base.task == "reflections":
        differ += _other_data(study, base, sets, refgan)
    return tuple(differ if study.table else ["the paper has no such table", *differ])


def _other_data(study: Study, base: TrainConfig, sets: Iterable[str], refgan: str | None) -> Iterator[str]:
    """Yield in what a training is on other pairs than those of the paper, or is evaluated on others."""
    sources = {source.name if source.split == "train" else "" for source in map(parse_source, base.data.pairs)}
    names = sources.intersection(_TRAINED_ON)
    trained = [name for name in _TRAINED_ON if name not in names]
    if trained:
        yield f"not trained on the pairs of {' and '.join(trained)}"
    if sources - names:
        yield "trained on other pairs, too" if names else "trained on other pairs"
    if base.data.photos:
        yield "trained on photographs with reflections made by recipes, too"
    if refgan is None:
        yield "not trained on pairs of RefGAN"
    absent = absent_sets(study.table.sets, sets) if study.table else ()
    if absent:
        yield f"not evaluated on {', '.join(absent)}"


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_written(each)}" for name, each in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
