"""Trainings by name."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import tyro

from msloss_sirr.data.config import DataConfig
from msloss_sirr.errors import InputError
from msloss_sirr.losses.config import LossConfig
from msloss_sirr.models.config import RemoverConfig
from msloss_sirr.synthesis.config import GlassConfig, SynthesisConfig
from msloss_sirr.trainer.config import OF_A_START
from msloss_sirr.training.config import TrainConfig
from msloss_sirr.training.option_files import changed, read_options, with_options

PresetName = Literal["compact", "paper", "shipped", "small"]
PRESETS: dict[str, TrainConfig] = {
    "compact": TrainConfig(val=tyro.MISSING, out=tyro.MISSING),
    "paper": TrainConfig(
        val=tyro.MISSING,
        out=tyro.MISSING,
        data=DataConfig(crop=336),
        steps=3,
        start_steps=2,
        epochs=100,
        batch=1,
        lr=1e-4,
        model=RemoverConfig(
            architecture="unet",
            depth="ranged",
            ranges=4,
            channels=(64, 128, 256, 512, 1024),
            patch=1,
            residual=False,
            norm="none",
            upsampling="transposed",
        ),
        loss=LossConfig(transmission=1.0, reflection=1.0, gradient=1.0, feature=1.0, backbone="vgg19"),
    ),
    "shipped": TrainConfig(
        val=tyro.MISSING,
        out=tyro.MISSING,
        data=DataConfig(
            real_share=0.12,
            clean_share=0.12,
            crop=224,
            synthesis=SynthesisConfig(
                linear=1.0,
                clip=1.0,
                screen=1.0,
                transplant=1.0,
                sharp=0.1,
                exposure=0.7,
                strength=0.7,
                glass=GlassConfig(lighting=0.3, ghosting=0.15, local=0.2),
            ),
        ),
        steps=2,
        start_steps=1,
        patience=4,
        epochs=30,
        epoch_images=3000,
        lr=5e-4,
        average=0.999,
        clip=1.0,
        model=RemoverConfig(architecture="squeezenet", networks="transmission", channels=(32, 64, 128), view=224),
        loss=LossConfig(measure="l1", gradient=5.0),
    ),
    "small": TrainConfig(
        val=tyro.MISSING,
        out=tyro.MISSING,
        data=DataConfig(crop=96),
        steps=3,
        start_steps=2,
        patience=2,
        epochs=8,
        epoch_images=1200,
        batch=4,
        lr=1e-3,
        model=RemoverConfig(
            architecture="unet",
            channels=(16, 32, 64, 128),
            patch=1,
            upsampling="transposed",
        ),
        loss=LossConfig(),
    ),
}
"""The defaults of a training, with the folders it needs left open."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions(TrainConfig):
    """Train a remover with the multi-step loss, on real pairs, photos on which reflections are made, or both."""

    preset: PresetName = "compact"
    """What the defaults of all other options are: compact trains networks for little time and memory; paper is the
    training of the paper, as it says; shipped that of the remover in the package, which needs pairs and photos; small
    the paper's with narrow U-Nets that add to the photograph, without depth and features, on small crops: for
    comparisons on a processor."""
    config: Path | None = None
    """YAML file of options by their names; those given on the command line go before it. The config.json of another
    run's folder is one, too."""


def preset(name: str, *, val: Path, out: Path, **changes: Any) -> TrainConfig:
    """Return a training by its name.

    Args:
        name: ``"paper"``, the training of the paper, as it says; ``"compact"``, for little time and memory;
            ``"shipped"``, that of the remover in the package; or ``"small"``, for comparisons on a processor.
        val: folder of real pairs that the best checkpoint is chosen by.
        out: folder of the run.
        **changes: other fields of `TrainConfig` or of its `DataConfig`: the folders to train on, and what is to differ.
            With ``weights`` and no ``model``, the networks are those of the checkpoint.

    Raises:
        InputError: if there is none of that name, or no such checkpoint.
    """
    if name not in PRESETS:
        raise InputError(f"there is no preset {name!r}; give one of {', '.join(sorted(PRESETS))}")
    of_data = {field.name for field in dataclasses.fields(DataConfig)}
    data = {field: changes.pop(field) for field in of_data & changes.keys()}
    changes["data"] = dataclasses.replace(changes.get("data", PRESETS[name].data), **data)
    if changes.get("weights") is not None:
        changes.setdefault("model", _networks_of(str(changes["weights"])))
    return dataclasses.replace(PRESETS[name], val=val, out=out, **changes)


def defaults(
    words: Sequence[str], *, usual: PresetName = "compact", changes: Mapping[str, Any] | None = None
) -> TrainOptions:
    """Return the defaults that the words of a command line ask for, by ``--preset``, ``--config`` and ``--weights``.

    With ``--resume`` the networks are those of the run, which needs no file that it began with any more.

    Args:
        words: of the command line.
        usual: the preset, if they name none.
        changes: options in which the presets are to be others, by their dotted names.

    Raises:
        InputError: if a file cannot be used.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", nargs="?")
    parser.add_argument("--config", nargs="?", type=Path)
    parser.add_argument("--weights", nargs="?")
    parser.add_argument("--out", nargs="?", type=Path)
    parser.add_argument("--resume", nargs="?", const=True)
    asked = parser.parse_known_args(words)[0]
    told = {} if asked.config is None else read_options(asked.config)
    wanted = asked.preset or told.get("preset")
    name: PresetName = next((known for known in get_args(PresetName) if known == wanted), usual)  # or refused later
    chosen = PRESETS[name]
    known = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(chosen)}
    options = changed(TrainOptions(**known, preset=name), changes or {})
    weights = asked.weights or told.get("weights")
    weights = None if weights == "None" else weights  # which the parser takes for none, in place of a file's
    out = asked.out or told.get("out")
    begun = Path(str(out)) / "config.json"
    if weights is not None and asked.resume and out is not None and begun.exists():
        model = {"model": read_options(begun).get("model", {})}
        options = with_options(options, model, begun)
    elif weights is not None:
        options = dataclasses.replace(options, model=_networks_of(str(weights)))
    if asked.config is None:
        return options
    for field in sorted(OF_A_START & told.keys()):
        raise InputError(f"{asked.config}: {field} is for the command line alone; take it out of the file")
    return with_options(options, told, asked.config, flat="data")


def _networks_of(weights: str) -> RemoverConfig:
    from msloss_sirr.training.initial_weights import networks_of  # torch is not needed for anything else here

    return networks_of(weights).config
