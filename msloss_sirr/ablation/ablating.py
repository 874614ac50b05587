"""``msloss-sirr ablate``: from options to results."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msloss_sirr.ablation.arms import with_length
from msloss_sirr.ablation.config import AblateOptions
from msloss_sirr.ablation.deviations import unlike_paper
from msloss_sirr.ablation.jobs import Job, check_same_data, check_unchanged, jobs_of
from msloss_sirr.ablation.missing import Waiting, absent_sets, paper_title
from msloss_sirr.ablation.remover_work import Parts, RemoverWork
from msloss_sirr.ablation.results import Head, Results, SetFound
from msloss_sirr.ablation.running import Work, runs_of, scores_of, work_through
from msloss_sirr.ablation.studies import Study, study_of
from msloss_sirr.data.sources import list_pairs, training_files
from msloss_sirr.errors import InputError
from msloss_sirr.evaluation.composites import write_composites
from msloss_sirr.evaluation.degraded import drawn_folder, write_degraded
from msloss_sirr.evaluation.protocols import PROTOCOLS
from msloss_sirr.evaluation.sets import open_entries, set_names
from msloss_sirr.files import check_writable
from msloss_sirr.locks import held
from msloss_sirr.synthesis.tasks import TASKS
from msloss_sirr.trainer.processes import connect
from msloss_sirr.trainer.provenance import command
from msloss_sirr.training.config import TrainConfig

_DEGRADED = "degraded"


def ablate(
    options: AblateOptions,
    kept: Callable[[Results], None] | None = None,
    say: Callable[[str], None] = print,
    study: Study | None = None,
    *,
    parts: Parts | None = None,
    facts: Mapping[str, str] | None = None,
) -> Results:
    """Run what is still to be run of a comparison, and return its results.

    Args:
        options: what is compared, on what, at which scale.
        kept: called with the results so far at the beginning, and after each training.
        say: told in a line what is done next, and what is waited for.
        study: what is compared, if it is none of those that have a name.
        parts: from the configuration of a training to what ``train`` is handed beside it, a ``synthesis`` of another
            task say.
        facts: what else a reader must know, by name; stands at the head of the page.

    Raises:
        InputError: if options or files cannot be used, another process runs in the folder, or a training in it was
            begun with other options.
        Stopped: if Ctrl-C or SIGTERM came in a training; the same call goes on from there.
    """
    ablation = _Ablation(options, study or study_of(options.table, options.task), say, parts, facts or {})
    check_writable(options.out)
    with held(options.out):
        return ablation.run(kept)


class _Ablation:
    """A comparison under way."""

    def __init__(
        self,
        options: AblateOptions,
        study: Study,
        say: Callable[[str], None],
        parts: Parts | None,
        facts: Mapping[str, str],
    ) -> None:
        self.options, self.study, self.say, self.parts, self.facts = options, study, say, parts, facts
        names = {field.name for field in dataclasses.fields(TrainConfig)}
        self.base = TrainConfig(**{name: getattr(options, name) for name in names})
        if options.task != "reflections":
            self.base = dataclasses.replace(self.base, val=drawn_folder(options.out / _DEGRADED, options.task))
        arms = {arm: arm.of(self.base, options.refgan) for arm in study.arms}
        most = max(config.steps for config in arms.values())
        self.arms = {arm: with_length(config, options.equal, most) for arm, config in arms.items()}

    def run(self, kept: Callable[[Results], None] | None) -> Results:
        """Train and evaluate all arms that can be."""
        options = self.options
        if connect(self.base, self.base.accumulate).num_processes > 1:
            raise InputError("trainings are compared in a single process; start it without accelerate launch")
        needed = Waiting(options.refgan)
        waiting = {arm.name: told for arm, config in self.arms.items() if (told := needed.of(arm, config))}
        jobs = jobs_of({arm: c for arm, c in self.arms.items() if arm.name not in waiting}, options.seeds, options.out)
        check_unchanged(jobs)
        check_same_data(jobs)
        for arm, told in waiting.items():
            self.say(f"{arm} waits for {told}")
        sets = self._sets()
        guided = any(job.config.model.depth != "none" for job in jobs)
        open_entries(sets, depth=options.depth.source == "stored" and guided)
        work = RemoverWork(sets, options.eval_steps, options.judged, options.protocol, options.lpips, self.parts)
        head = self._head(sets, waiting)
        results = _results(head, jobs, work)
        if kept is not None:
            kept(results)
        for _ in work_through(jobs, work, self.say):
            results = _results(head, jobs, work)
            if kept is not None:
                kept(results)
        return results

    def _sets(self) -> list[str]:
        options = self.options
        if options.task != "reflections":
            made = write_degraded(options.val, options.out / _DEGRADED, options.task, options.val_side)
            return [str(folder) for folder in made.tested]
        given = list(options.sets) or [str(options.val)]
        if options.composites is not None:
            given += map(str, write_composites(options.composites, options.out / "composites"))
        return given

    def _head(self, sets: Sequence[str], waiting: Mapping[str, str]) -> Head:
        study, options = self.study, self.options
        table = study.table
        names = dict(zip(set_names(sets), map(paper_title, sets), strict=True))
        return Head(
            study=study.name,
            title=f"{study.number}: {study.title}" if table else study.title,
            question=study.question,
            arms={arm.name: str(arm) for arm in study.arms},
            baseline=study.baseline,
            seeds=options.seeds,
            eval_steps=options.eval_steps,
            command=command(),
            facts={**self.facts, **self._facts(sets)},
            unlike=unlike_paper(study, self.base, sets, options.refgan, options.equal),
            sets={name: SetFound(0, paper) for name, paper in names.items()},
            absent=absent_sets(table.sets, sets) if table else {},
            waiting=waiting,
        )

    def _facts(self, sets: Sequence[str]) -> dict[str, str]:
        options, base = self.options, self.base
        model = base.model
        files = training_files(base.data)
        judged = (
            "the last weights" if options.judged == "last" else "the weights that score best on the validation pairs"
        )
        shown = _files(sets)
        if options.judged == "best" and shown & _files([str(options.val)]):
            judged += ", which are evaluated on, too, so that all figures flatter"
        known = shown.intersection(path.resolve() for found in files.values() for path in found)
        if known:
            judged += f" ({len(known)} of {len(shown)} files that are evaluated on are trained on, too)"
        images = f"a batch of {base.batch}" + (f", {base.accumulate} to an update" if base.accumulate > 1 else "")
        return {
            **self._task(),
            "network": f"{model.architecture} of {' '.join(map(str, model.channels))} channels, "
            + {"both": "a reflection net and a transmission net", "transmission": "one net, from I to T"}[
                model.networks
            ]
            + (", which adds to I" if model.residual else ""),
            "trained on": "; ".join(f"{name} ({len(found)} files)" for name, found in files.items())
            + (f"; pairs {options.refgan}" if options.refgan else ""),
            "length": f"equal {options.equal}: {_length(next(iter(self.arms.values())))}; {images}, crops of "
            f"{base.data.crop}",
            "learning rate": f"{base.lr:g}, to zero along a half cosine",
            "evaluated": f"{judged}, applied {', '.join(map(str, options.eval_steps))} times; protocol "
            f"{options.protocol}: {PROTOCOLS[options.protocol].does}",
        }

    def _task(self) -> dict[str, str]:
        task, side = self.base.task, self.options.val_side
        if task == "reflections":
            return {}
        seen = "whole" if side is None else f"{side} pixels a side from their middle"
        return {"task": f"{task}: {TASKS[task].does}; evaluated on {self.options.val}, {seen}"}


def _files(sets: Sequence[str]) -> set[Path]:
    """Return the files of sets of pairs."""
    return {path.resolve() for text in sets for pair in list_pairs(text) for path in pair if path is not None}


def _length(config: TrainConfig) -> str:
    if config.budget is not None:
        return f"{config.budget} of training each"
    if config.applications is not None:
        return f"{config.applications} applications of the network to a batch each, M of them in an update of M steps"
    if config.iterations is not None:
        return f"{config.iterations} updates each"
    return f"{config.epochs} epochs of {config.epoch_images} images each"


def _results(head: Head, jobs: Sequence[Job], work: Work) -> Results:
    scores, wanting = scores_of(jobs, work)
    images: dict[str, set[str]] = {}
    for score in scores:
        images.setdefault(score.set_name, set()).add(score.image)
    sets = {name: found._replace(images=len(images.get(name, ()))) for name, found in head.sets.items()}
    known = dataclasses.replace(head, sets=sets, wanting=wanting, runs=tuple(runs_of(jobs)))
    return Results(known, scores)


def results_path(study: str, out: Path) -> Path:
    """Return the file of results of a study in the folder of an ablation."""
    return out / f"{'table-' if study[:1].isdecimal() else ''}{study}.csv"
