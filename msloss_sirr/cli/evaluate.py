"""``msloss-sirr eval``; everything heavy is imported only when it runs."""

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from msloss_sirr.cli.terminal import progress_bar, say
from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.config import EvalConfig

if TYPE_CHECKING:
    from msloss_sirr.evaluation.pictures import Viewer


def run_eval(config: EvalConfig) -> None:
    """Score a remover or saved outputs on sets of pairs, print the tables, and write the files that are asked for."""
    from msloss_sirr.devices import find_device
    from msloss_sirr.evaluation.evaluating import evaluate_sets
    from msloss_sirr.evaluation.pictures import Extremes
    from msloss_sirr.evaluation.report_files import write_csv, write_json
    from msloss_sirr.evaluation.table import table
    from msloss_sirr.images.writing import write_pixels
    from msloss_sirr.photo.loading import load_on

    _check_targets(config)
    device = find_device(config.device)
    of_remover = config.outputs is None
    remover, source = load_on(device, config.checkpoint, config.depth, flip=config.flip) if of_remover else (None, None)
    evaluated = _evaluated(config)  # now: a training that still runs may replace the checkpoint
    extremes = Extremes(config.sheet_rows, config.protocol[0], None if config.outputs else config.steps[0])
    with progress_bar("scoring") as step:
        report = evaluate_sets(
            config.sets,
            remover,
            outputs=config.outputs,
            protocols=config.protocol,
            steps=config.steps,
            lpips=config.lpips,
            source=source,
            device=device,
            missing=config.missing,
            targets=_files(config),
            viewers=_viewers(config, extremes),
            done=step,
        )
    try:  # whoever reads the table may stop, and a disk may be full: neither costs what the other has got
        for path in _files(config):
            path.parent.mkdir(parents=True, exist_ok=True)
        if config.csv is not None:
            write_csv(report, config.csv)
        if config.json is not None:
            write_json(report, config.json, evaluated)
        if config.sheet is not None:
            write_pixels(config.sheet, extremes.draw())
    finally:
        for line in (str(evaluated["what"]), "", *table(report)):
            say(line)


def _viewers(config: EvalConfig, extremes: "Viewer") -> "list[Viewer]":
    """Return what is shown every picture."""
    from msloss_sirr.evaluation.pictures import Saver

    viewers = [extremes] if config.sheet is not None else []
    if config.save is not None:
        viewers.append(Saver(config.save, config.steps, own_size=config.protocol != ("multiple32",)))
    return viewers


def _files(config: EvalConfig) -> list[Path]:
    return [path for path in (config.csv, config.json, config.sheet) if path is not None]


def _check_targets(config: EvalConfig) -> None:
    """Raise ``InputError`` if what is asked for could not be written in the end."""
    from msloss_sirr.files import check_free, check_writable
    from msloss_sirr.images.listing import SUFFIXES

    weights = (config.checkpoint, config.lpips.alex, config.lpips.vgg, config.depth.weights)
    known = [path.resolve() for path in weights if path is not None]
    for path in _files(config):
        check_free(path, overwrite=config.overwrite)
        if path.resolve() in known:
            raise InputError(f"{path} is named twice; give each file a name of its own")
        known.append(path.resolve())
    if config.sheet is not None and config.sheet.suffix.lower() not in SUFFIXES:
        raise InputError(f"{config.sheet} names no kind of image; end it in .jpg or .png")
    if config.save is not None:
        if config.save.exists() and not config.save.is_dir():
            raise InputError(f"{config.save} is a file; give a folder")
        check_writable(config.save)
        if config.save.is_dir() and any(config.save.iterdir()) and not config.overwrite:
            raise InputError(f"{config.save} holds files already; give --overwrite to replace those of the same name")


def _evaluated(config: EvalConfig) -> dict[str, object]:
    """Return what was evaluated, for a reader and for the record."""
    from msloss_sirr.evaluation.protocols import PROTOCOLS

    told: dict[str, object] = {"what": f"saved outputs: {config.outputs}", "outputs": config.outputs}
    if config.outputs is None and config.checkpoint is None:
        told = {"what": "the remover in the package"}
    elif config.checkpoint is not None:
        digest = sha256(config.checkpoint.read_bytes()).hexdigest()
        told = {"what": f"remover: {config.checkpoint}", "checkpoint": str(config.checkpoint), "sha256": digest}
    return {
        **told,
        "sets": list(config.sets),
        "protocols": {name: PROTOCOLS[name].does for name in config.protocol},
        "steps": list(config.steps) if config.outputs is None else None,
    }
