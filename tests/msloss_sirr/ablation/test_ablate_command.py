"""``msloss-sirr ablate``: what is done is done once, whatever happens, and nothing is left out in silence."""

import dataclasses
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import torchvision

from msloss_sirr import InputError, Remover, TrainConfig
from msloss_sirr.ablation import remover_work, running
from msloss_sirr.ablation.ablating import ablate, results_path
from msloss_sirr.ablation.arms import INPUT, Arm
from msloss_sirr.ablation.config import AblateOptions
from msloss_sirr.ablation.jobs import Job
from msloss_sirr.ablation.missing import paper_title
from msloss_sirr.ablation.reporting import keep, report
from msloss_sirr.ablation.results import Results, Run, read_results
from msloss_sirr.ablation.running import Work, runs_of, scores_of
from msloss_sirr.ablation.studies import Study
from msloss_sirr.cli import main
from msloss_sirr.data.sources import open_pairs
from msloss_sirr.evaluation.composites import write_composites
from msloss_sirr.evaluation.config import LpipsConfig
from msloss_sirr.evaluation.degraded import write_degraded
from msloss_sirr.evaluation.scores import evaluate
from msloss_sirr.locks import held
from msloss_sirr.models.checkpoint import save_remover
from msloss_sirr.models.remover import load_remover
from msloss_sirr.synthesis.config import SynthesisConfig
from msloss_sirr.synthesis.making import build_synthesis
from msloss_sirr.trainer.pace import half_cosine
from msloss_sirr.training import removers
from msloss_sirr.training.validation import Validation

from ..conftest import fails, interrupt_at, save, smooth

pytestmark = pytest.mark.usefixtures("offline")

STUDY = Study(
    "own",
    "A study of one's own",
    "Does it work?",
    (Arm("one step", {"steps": 1, "start_steps": 1}), Arm("two steps", {"steps": 2, "start_steps": 2})),
    "one step",
)


@pytest.fixture
def words(pairs: Path, photos: Path, tmp_path: Path) -> list[str]:
    """The options of a comparison of a few seconds."""
    small = "--preset small --device cpu --crop 24 --batch 2 --epochs 2 --epoch-images 4 --model.channels 4 --samples 0"
    told = f"{small} --seeds 0 1 --eval-steps 1 2 --lpips.backbones --val {pairs} --out {tmp_path / 'out'}"
    return [*told.split(), "--pairs", str(pairs), "--photos", str(photos)]


@pytest.fixture
def options(words: list[str], monkeypatch: pytest.MonkeyPatch) -> AblateOptions:
    """The same, of table 5."""
    found: list[AblateOptions] = []
    with monkeypatch.context() as patch:
        patch.setitem(main.__globals__["_RUN"], AblateOptions, found.append)
        main(["ablate", "5", *words])
    return found[0]


def count_trainings(patch: pytest.MonkeyPatch) -> list[Path]:
    done = []
    train = remover_work.train

    def counted(config: Any, **parts: Any) -> None:
        done.append(config.out)
        train(config, **parts)

    patch.setattr(remover_work, "train", counted)
    return done


def silent(_: str) -> None:
    pass


def run(options: AblateOptions, **more: Any) -> Results:
    return ablate(options, say=silent, study=STUDY, **more)


def test_scores_are_those_of_the_weights_that_every_training_left(options: AblateOptions, pairs: Path) -> None:
    seen: list[int] = []
    found = run(options, kept=lambda results: seen.append(len(results.head.runs)))
    assert seen == [0, 1, 2, 3, 4]
    assert [(each.arm, each.seed, each.updates, each.steps) for each in found.head.runs] == [
        ("one step", 0, 4, (1, 1)),
        ("two steps", 0, 4, (2, 2)),
        ("one step", 1, 4, (1, 1)),
        ("two steps", 1, 4, (2, 2)),
    ]
    (provenance,) = {each.provenance for each in found.head.runs}
    assert re.fullmatch(r"revision ([0-9a-f]{12}\+?|unknown), cpu.*, torch \S+, \d+ threads, float32", provenance)
    assert len(found.scores) == 4 + 4 * 4 * 2  # the input, then runs by images by steps
    remover = load_remover(options.out / "runs" / "two-steps" / "seed-1" / "last.safetensors")
    by_hand = evaluate(remover, open_pairs(pairs), steps=2)
    ours = [s for s in found.scores if (s.arm, s.seed, s.steps) == ("two steps", 1, 2)]
    for score, expected in zip(ours, by_hand, strict=True):
        assert score.values["psnr"] == pytest.approx(expected.after.psnr)
    of_input = [s for s in found.scores if s.arm == INPUT]
    assert [s.values["psnr"] for s in of_input] == pytest.approx([each.before.psnr for each in by_hand])
    first = torch.cat([w.flatten() for w in remover.parameters()])
    other = load_remover(options.out / "runs" / "two-steps" / "seed-0" / "last.safetensors")
    assert not torch.equal(first, torch.cat([w.flatten() for w in other.parameters()]))


def test_trainings_may_be_of_another_task(options: AblateOptions) -> None:
    made: list[Path] = []

    def parts(config: TrainConfig) -> dict[str, Any]:
        made.append(config.out)
        return {"synthesis": build_synthesis(SynthesisConfig(screen=1.0, linear=0.0))}

    options = dataclasses.replace(options, seeds=(0,), data=dataclasses.replace(options.data, real_share=0.0))
    plain = run(dataclasses.replace(options, out=options.out / "plain"))
    found = run(options, parts=parts, facts={"task": "another"})
    assert [path.parent.name for path in made] == ["one-step", "two-steps"]
    assert found.scores != plain.scores
    assert found.head.facts["task"] == "another"


@pytest.fixture
def denoising(photos: Path, tmp_path: Path) -> list[str]:
    """The options of a comparison of denoisers of a few seconds."""
    small = "--task denoising --preset small --device cpu --crop 16 --batch 2 --iterations 4 --epoch-images 4"
    told = f"{small} --samples 0 --model.channels 4 --seeds 1 --eval-steps 1 2 --lpips.backbones --val-side 24"
    return [*told.split(), "--photos", str(photos), "--val", str(photos), "--out", str(tmp_path / "out")]


def test_denoisers_are_compared(
    denoising: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = count_trainings(monkeypatch)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # which would draw after each training
    main(["ablate", "5", *denoising])
    main(["ablate", "5", *denoising])
    assert len(done) == 5
    found = read_results(tmp_path / "out" / "table-5-denoising.csv")
    assert {name: each.images for name, each in found.head.sets.items()} == {
        "denoising-15": 6,
        "denoising-25": 6,
        "denoising-50": 6,
    }
    assert len(found.scores) == 18 + 5 * 18 * 2
    by_strength = [s.values["psnr"] for s in found.scores if s.arm == INPUT and s.image == "photo 1"]
    assert by_strength == sorted(by_strength, reverse=True)
    folder = tmp_path / "out" / "degraded" / "denoising-25"
    remover = load_remover(tmp_path / "out" / "runs" / "3-step" / "seed-1" / "last.safetensors")
    by_hand = evaluate(remover, open_pairs(folder), steps=2)
    ours = [s for s in found.scores if (s.arm, s.seed, s.steps, s.set_name) == ("3-step", 1, 2, folder.name)]
    assert [s.values["psnr"] for s in ours] == pytest.approx([each.after.psnr for each in by_hand], abs=1e-4)
    config = json.loads((tmp_path / "out" / "runs" / "1-step" / "seed-1" / "config.json").read_text())
    assert (config["task"], config["val"]) == ("denoising", str(tmp_path / "out" / "degraded" / "denoising"))
    page = (tmp_path / "out" / "table-5-denoising.md").read_text()
    assert page.startswith("# Table 5, denoising")
    assert "white Gaussian noise, sigma 0 to 50 of 255 levels" in page
    assert "24 pixels a side from their middle" in page
    assert "reflections made by recipes" not in page
    assert "| paper |" not in page
    capsys.readouterr()
    assert "task: denoising then, rain now" in fails(capsys, "ablate", "5", *denoising, "--task", "rain")


def test_what_another_task_has_no_use_for_is_refused(
    denoising: list[str], pairs: Path, photos: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def told(*more: object, table: str = "5") -> str:
        return fails(capsys, "ablate", table, *denoising, *more)

    assert told(table="2") == "2 is of reflections; give --task to one of 5, gradients, weights"
    assert "photos alone; leave out --pairs" in told("--pairs", pairs)
    assert "photos alone; leave out --clean-share" in told("--clean-share", "0.5")
    assert "photos alone; leave out --synthesis" in told("--synthesis.glass.noise", "0.5")
    assert "leaves no reflection to estimate; give --model.networks" in told("--model.networks", "both")
    assert "degraded; leave out --sets, --composites and --refgan" in told("--sets", pairs)
    assert "val_side is 8; give 16 pixels or more" in told("--val-side", "8")
    assert "pairs are evaluated on whole; leave it out" in told("--task", "reflections")
    assert "invalid choice" in told("--task", "painting")
    assert "does not exist" in told("--val", "NOWHERE")
    write_degraded(photos, tmp_path / "out" / "degraded", "denoising", 32)
    assert "made of other photographs, or otherwise" in told()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_compute_is_equal_if_asked_for(options: AblateOptions, accumulate: int) -> None:
    found = run(dataclasses.replace(options, seeds=(0,), equal="compute", accumulate=accumulate))
    assert {each.arm: (each.updates, each.applications) for each in found.head.runs} == {
        "one step": (8 // accumulate, 8),
        "two steps": (4 // accumulate, 8),
    }


@pytest.mark.parametrize("judged", ["last", "best"])
def test_the_weights_that_are_judged_are_those_asked_for(config: TrainConfig, pairs: Path, judged: Any) -> None:
    config.out.mkdir()
    for seed, name in enumerate(("last", "best")):
        torch.manual_seed(seed)
        remover = Remover(config.model)
        for weight in remover.parameters():  # those of a new one return the photograph as it is
            torch.nn.init.normal_(weight, std=0.1)
        save_remover(remover, config.out / f"{name}.safetensors")
    found = remover_work.RemoverWork([str(pairs)], (1,), judged).score(config).images
    by_hand = evaluate(load_remover(config.out / f"{judged}.safetensors"), open_pairs(pairs))
    assert [v["psnr"] for _, _, steps, v in found if steps] == pytest.approx([each.after.psnr for each in by_hand])


def test_arms_of_a_seed_begin_alike_see_the_same_and_slow_down_alike(
    options: AblateOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the number of steps is raised, and trainings have other numbers of updates."""
    begun: list[torch.Tensor] = []
    rates: list[list[tuple[int, float]]] = []
    seen: list[list[torch.Tensor]] = []
    learn, begin, validate = removers._Training.learn, removers._Training.begin, Validation.score

    def beginning(training: Any) -> None:
        begun.append(torch.cat([w.detach().flatten().clone() for w in training.remover.parameters()]))
        seen.append([])
        rates.append([])
        begin(training)

    def learning(training: Any, draws: Any) -> Any:
        seen[-1].append(torch.cat([each.flatten().double() for each in (draws.first, draws.second, draws.seed)]))
        rates[-1].append((training.schedule.steps, training.optimizer.param_groups[0]["lr"]))
        return learn(training, draws)

    def without_gain(*given: Any) -> Any:
        found = validate(*given)
        return found._replace(after=found.after._replace(psnr=20.0))

    monkeypatch.setattr(Validation, "score", without_gain)
    monkeypatch.setattr(removers._Training, "begin", beginning)
    monkeypatch.setattr(removers._Training, "learn", learning)
    arms = (*STUDY.arms, Arm("raised", {"steps": 2, "start_steps": 1, "patience": 0, "loss.scale": 3.0}))
    options = dataclasses.replace(options, seeds=(0,), equal="compute", epochs=3)
    found = ablate(options, say=silent, study=dataclasses.replace(STUDY, arms=arms))
    assert all(torch.equal(each, begun[0]) for each in begun)
    assert [len(each) for each in seen][:2] == [12, 6]
    for each in seen:
        assert all(torch.equal(a, b) for a, b in zip(each, seen[0], strict=False))
    for run_of, each in zip(found.head.runs, rates, strict=True):
        assert run_of.applications in (12, 13)
        spent = 0
        for steps, rate in each:
            assert rate == pytest.approx(options.lr * half_cosine(spent / 12))
            spent += steps
        assert spent == run_of.applications
    assert {steps for steps, _ in rates[2]} == {1, 2}


def test_what_is_done_is_not_done_again(options: AblateOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    done = count_trainings(monkeypatch)
    first = run(dataclasses.replace(options, seeds=(0,)))
    assert len(done) == 2
    again = run(options)  # with another seed
    assert [path.name for path in done[2:]] == ["seed-1", "seed-1"]
    assert [s for s in again.scores if s.seed in (0, None)] == list(first.scores)
    run(options)
    assert len(done) == 4


def test_another_set_is_evaluated_without_another_training(
    options: AblateOptions, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = count_trainings(monkeypatch)
    options = dataclasses.replace(options, seeds=(0,))
    run(options)
    more = run(dataclasses.replace(options, composites=photos, eval_steps=(1, 3)))
    assert len(done) == 2
    assert list(more.head.sets) == ["pairs", "composites-linear", "composites-clip", "composites-screen"]
    assert {s.steps for s in more.scores} == {0, 1, 3}
    assert all(found.images for found in more.head.sets.values())


def test_scores_are_taken_anew_if_what_they_depend_on_is_another(
    options: AblateOptions, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = count_trainings(monkeypatch)
    shutil.copytree(pairs, tmp_path / "set")
    options = dataclasses.replace(options, seeds=(0,), sets=(str(tmp_path / "set"),), lpips=LpipsConfig(("alex",)))
    first = run(options)
    assert first.head.wanting == {"lpips_alex": "the weights of its network (--lpips.alex FILE)"}
    shown = next((tmp_path / "set" / "ambient").iterdir())
    shown.write_bytes((tmp_path / "set" / "transmission" / shown.name).read_bytes())
    other = run(options)
    differ = [(a, b) for a, b in zip(first.scores, other.scores, strict=True) if a != b]
    assert {a.image for a, _ in differ} == {shown.stem}
    assert len(differ) == 1 + 2 * 2  # the input, then arms by steps

    torch.manual_seed(0)
    torch.save(torchvision.models.alexnet().state_dict(), tmp_path / "alex.pth")
    for size, folder in ((40, "ambient"), (40, "transmission")):
        for path in (tmp_path / "set" / folder).iterdir():
            save(path, smooth(1, size, size))
    measured = run(dataclasses.replace(options, lpips=LpipsConfig(("alex",), alex=tmp_path / "alex.pth")))
    assert measured.metrics == ["psnr", "ssim", "lpips_alex"]
    assert not measured.head.wanting
    assert len(done) == 2


def test_a_training_of_another_comparison_counts_by_the_name_that_its_arm_has_here(options: AblateOptions) -> None:
    job = Job("full", 3, dataclasses.replace(TrainConfig(val=options.val, out=options.out)))
    options.out.mkdir()
    there = Run("3-step", 0, 12, 36, 48, 60.5, (3, 3), 3, 1234, "cpu")
    (options.out / "trained.json").write_text(json.dumps(there._asdict()))
    assert runs_of([job]) == [there._replace(arm="full", seed=3)]


def test_a_training_is_of_all_the_revisions_that_it_went_on_with(options: AblateOptions) -> None:
    job = Job("one", 0, dataclasses.replace(TrainConfig(val=options.val, out=options.out)))
    begun = {"packages": {"torch": "2"}, "threads": 1, "device": "cpu", "processes": 1}
    revisions = ["a" * 40, "a" * 40, "b" * 40 + "+", None]

    class Done:
        @property
        def scored_by(self) -> dict[str, Any]:
            return {}

        def train(self, _: TrainConfig) -> None:
            options.out.mkdir()
            (options.out / "metrics.jsonl").write_text('{"images_per_second": 1, "seconds": 4, "steps": 1}\n')
            told = [{**begun, "revision": revision} for revision in revisions]
            (options.out / "provenance.json").write_text(json.dumps(told))

        def parameters(self, _: TrainConfig) -> int:
            return 1

        def score(self, _: TrainConfig) -> running.Scored:
            return running.Scored([], {})

    list(running.work_through([job], Done(), silent))
    (run,) = runs_of([job])
    machine = "cpu, torch 2, 1 threads, float32"
    assert run.provenance == ", then ".join(
        f"revision {revision}, {machine}" for revision in ("a" * 12, "b" * 12 + "+", "unknown")
    )


@pytest.mark.parametrize("name", ["trained.json", "scores.json"])
@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"scored_by": 1}'])
def test_a_damaged_note_of_what_is_done_is_told(options: AblateOptions, name: str, text: str) -> None:
    job = Job("one", 0, dataclasses.replace(TrainConfig(val=options.val, out=options.out)))
    options.out.mkdir()
    (options.out / name).write_text(text)

    with pytest.raises(InputError, match=rf"{name} is damaged; delete it to have it made again"):
        runs_of([job]) if name == "trained.json" else scores_of([job], cast(Work, SimpleNamespace(scored_by=1)))


def test_arms_with_one_folder_are_refused(options: AblateOptions) -> None:
    for names in (("a b", "a-b"), ("A", "a"), ("input", "b"), ("é", "b")):
        with pytest.raises(ValueError, match="give names that differ in letters or digits"):
            ablate(options, say=silent, study=dataclasses.replace(STUDY, arms=tuple(map(Arm, names)), baseline="b"))


def test_interrupted_anywhere_it_ends_with_the_same_figures(
    options: AblateOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(options)
    broken = dataclasses.replace(options, out=tmp_path / "broken")
    for epoch in (1, 2):
        with monkeypatch.context() as patch:
            interrupt_at(patch, epoch)
            with pytest.raises(KeyboardInterrupt):
                run(broken)
    with monkeypatch.context() as patch:  # between a training and its evaluation
        patch.setattr(remover_work, "evaluate_sets", None)
        with pytest.raises(TypeError):
            run(broken)
    done = count_trainings(monkeypatch)
    assert run(broken).scores == whole.scores
    assert len(done) == 3  # the first was whole but for its scores


def test_killed_before_it_notes_that_a_training_has_ended_it_does_not_train_again(
    options: AblateOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = dataclasses.replace(options, seeds=(0,), epochs=1)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(running, "_keep", killed)
        with pytest.raises(KeyboardInterrupt):
            run(options)
    weights = options.out / "runs" / "one-step" / "seed-0" / "last.safetensors"
    before = weights.read_bytes()
    found = run(options)
    assert weights.read_bytes() == before
    assert [each.updates for each in found.head.runs] == [2, 2]
    assert (weights.parent / "metrics.jsonl").read_text().count("\n") == 1


def test_killed_it_goes_on_by_the_same_command(words: list[str], tmp_path: Path) -> None:
    words = ["ablate", "3", *words, "--seeds", "0", "--epochs", "12"]
    run_folder = tmp_path / "out" / "runs" / "without-RefGAN" / "seed-0"
    process = subprocess.Popen(
        [sys.executable, "-m", "msloss_sirr", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not (run_folder / "metrics.jsonl").exists() and process.poll() is None:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert (run_folder / "state.pt").exists()
    main(words)
    assert len(json.loads((run_folder / "provenance.json").read_text())) == 2  # it was resumed, not begun anew
    assert not (run_folder / "state.pt").exists()
    main([*words, "--out", str(tmp_path / "whole")])
    killed, whole = (read_results(tmp_path / name / "table-3.csv") for name in ("out", "whole"))
    assert killed.scores == whole.scores
    assert killed.head.runs[0]._replace(seconds=0) == whole.head.runs[0]._replace(seconds=0)


def test_two_at_once_and_other_options_are_refused(
    words: list[str], options: AblateOptions, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with held(options.out):
        assert "another run is writing to" in fails(capsys, "ablate", "5", *words)
    run(dataclasses.replace(options, seeds=(0,)))
    folder = options.out / "runs" / "one-step" / "seed-0"
    with pytest.raises(InputError, match=rf"{folder} was begun with other options \(lr: 0.001 then, 0.1 now\); give"):
        run(dataclasses.replace(options, lr=0.1))
    run(dataclasses.replace(options, seeds=(0,), workers=1, save_every="1s"))  # which change no result


def test_arms_are_not_trained_on_different_data(options: AblateOptions, photos: Path) -> None:
    options = dataclasses.replace(options, seeds=(0,), epochs=1)
    run(options)
    save(photos / "photo 0.png", smooth(9))
    run(options)  # nothing is trained any more
    folder = options.out / "runs" / "one-step" / "seed-0"
    told = rf"{folder} was trained on other data \(photos {photos}: 6 files \(\w+\) then, 6 files \(\w+\) now\); give"
    with pytest.raises(InputError, match=told):
        run(dataclasses.replace(options, seeds=(0, 1)))


def test_a_row_that_cannot_be_run_says_what_it_waits_for(words: list[str], tmp_path: Path) -> None:
    main(["ablate", "2", *words, "--seeds", "0"])
    found = read_results(tmp_path / "out" / "table-2.csv")
    told = "the weights of MiDaS v2.1 small (--depth.weights)"
    assert found.head.waiting == {"depth": told, "ranged depth": told}
    assert {run.arm for run in found.head.runs} == {"no depth"}
    page = (tmp_path / "out" / "table-2.md").read_text()
    assert f"- ranged depth: {told}" in page
    assert f"| depth | waits for {told} |" in page
    assert "Waits for the set: `--sets flash/real/test=FOLDER`" in page
    assert str(tmp_path / "cache") not in page


def test_nothing_can_be_trained_and_that_is_told(words: list[str], tmp_path: Path) -> None:
    main(["ablate", "4", *words, "--lpips.backbones", "alex"])
    assert "0 of 0 trainings have ended" in (tmp_path / "out" / "table-4.md").read_text()
    assert not (tmp_path / "out" / "table-4.svg").exists()


def test_without_refgan_its_arm_waits_and_with_it_the_other_has_none(
    options: AblateOptions, words: list[str], tmp_path: Path
) -> None:
    main(["ablate", "3", *words, "--seeds", "0", "--lpips.backbones", "alex"])
    found = read_results(tmp_path / "out" / "table-3.csv")
    assert found.head.waiting == {"with RefGAN": "pairs that msloss-sirr refgan generate makes (--refgan FOLDER)"}
    assert found.head.wanting == {"lpips_alex": "the weights of its network (--lpips.alex FILE)"}
    assert "Waits for the weights of its network (--lpips.alex FILE)." in (tmp_path / "out" / "table-3.md").read_text()
    for i in range(2):
        save(tmp_path / "made" / "transmission" / f"{i}.png", smooth(i))
        save(tmp_path / "made" / "ambient" / f"{i}.png", smooth(i))
    main(["ablate", "3", *words, "--seeds", "0", "--refgan", str(tmp_path / "made")])
    pairs = [
        json.loads((tmp_path / "out" / "runs" / name / "seed-0" / "config.json").read_text())["data"]["pairs"]
        for name in ("without-RefGAN", "with-RefGAN")
    ]
    assert [str(tmp_path / "made") in each for each in pairs] == [False, True]


def test_a_file_of_weights_that_is_none_is_a_mistake(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "depth.pt").write_text("none")
    assert "depth.pt holds no weights" in fails(capsys, "ablate", "2", *words, "--depth.weights", tmp_path / "depth.pt")


def test_a_report_of_results_alone_is_that_of_the_run(
    options: AblateOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = results_path("own", options.out)
    assert keep(run(options), path) == ""
    files = [path.with_suffix(suffix) for suffix in (".md", ".svg")]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    capsys.readouterr()
    main(["ablate", "--report", str(options.out)])
    assert capsys.readouterr().out.strip() == str(files[0])
    assert [file.read_bytes() for file in files] == before
    main(["ablate", "--report", str(path), "--out", str(tmp_path / "docs")])
    assert [(tmp_path / "docs" / file.name).read_bytes() for file in files] == before


def test_results_of_other_seeds_are_joined(
    options: AblateOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = results_path("own", tmp_path / "whole")
    keep(run(options), whole)
    parts = []
    for seed in (0, 1):
        one = dataclasses.replace(options, seeds=(seed,), out=tmp_path / f"part {seed}")
        parts.append(str(one.out))
        keep(run(one), results_path("own", one.out))
    main(["ablate", "--report", *parts, "--joined", "--out", str(tmp_path / "joined")])
    found, expected = read_results(tmp_path / "joined" / "own.csv"), read_results(whole)
    assert found.scores == expected.scores
    assert found.head.seeds == (0, 1)
    assert [run[:5] for run in found.head.runs] == [run[:5] for run in expected.head.runs]
    more = ("--joined", "--out", tmp_path / "again")
    capsys.readouterr()
    assert "have a seed in common" in fails(capsys, "ablate", "--report", parts[0], whole, *more)
    assert "give --out" in fails(capsys, "ablate", "--report", *parts, "--joined")


def test_what_is_known_already_is_told(options: AblateOptions, pairs: Path, tmp_path: Path) -> None:
    """The validation pairs by another path, and pairs that are trained on; nothing is trained here."""
    (tmp_path / "link").symlink_to(pairs)
    shutil.copytree(pairs, tmp_path / "own")

    def told(**changes: Any) -> str:
        waiting = dataclasses.replace(
            STUDY, arms=(Arm("one", needs_refgan=True),), baseline="one"
        )  # nothing is trained
        made = dataclasses.replace(options, **changes)
        return ablate(made, say=silent, study=waiting).head.facts["evaluated"]

    assert "flatter" not in told(judged="last")
    assert "flatter" in told(judged="best")
    assert "flatter" in told(judged="best", sets=(f"{tmp_path / 'link'}/",))
    assert "flatter" not in told(judged="best", sets=(str(tmp_path / "own"),))
    assert "(8 of 8 files that are evaluated on are trained on, too)" in told(sets=(str(tmp_path / "link"),))
    assert "trained on" not in told(sets=(str(tmp_path / "own"),))


def test_without_matplotlib_there_is_a_page_that_shows_no_plot(
    options: AblateOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = results_path("own", options.out)
    keep(run(dataclasses.replace(options, seeds=(0,))), path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert report(path) == 'the plot needs matplotlib: pip install "msloss[plot]"'
    assert "![" not in path.with_suffix(".md").read_text()
    assert not path.with_suffix(".svg").exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["ablate"], "name what is compared first"),
        (["ablate", "--preset", "small", "5"], "name what is compared first"),
        (["ablate", "5", "--seeds", "0", "0"], "seeds are (0, 0); give one or more, each once"),
        (["ablate", "5", "--eval-steps", "0"], "eval_steps are (0,); give 1 or more"),
        (["ablate", "5", "--budget", "1h"], "or --equal compute"),
        (["ablate", "5", "--sets", "NOWHERE"], "NOWHERE does not exist"),
        (["ablate", "5", "--depth.source", "stored", "--model.depth", "pure"], "has no depth image"),
        (["ablate", "2", "--depth.source", "stored"], "has no depth image"),
        (["ablate", "--report", "NOWHERE"], "cannot read NOWHERE"),
        (["ablate", "--report=NOWHERE"], "cannot read NOWHERE"),
        (["ablate", "5", "--report=NOWHERE", "--out", "X"], "cannot read NOWHERE"),
        (["ablate", "6"], "name what is compared first"),
        (["ablate", "5", "--iterations", "-3"], "iterations is -3"),
        (["ablate", "5", "--seeds"], "seeds are (); give one or more"),
        (["ablate", "5", "--seeds", "-1"], "give numbers from 0"),
        (["ablate", "5", "--composites", "NOWHERE"], "NOWHERE does not exist"),
    ],
)
def test_mistakes_are_one_line(
    given: list[str], told: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    more = words if given[1:2] in (["5"], ["2"]) and "--report=NOWHERE" not in given else []
    assert told in fails(capsys, given[0], *given[1:2], *more, *given[2:])


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("sir2/wild=X", "wild (101)"),
        ("sir2/wild101=X", "wild (101)"),
        ("sir2/wild55=X", ""),
        ("sir2/object=X", "object (200)"),
        ("flash/real/test=X", "real-world (50)"),
        ("flash/real/val=X", ""),
        ("nature/test=X", "nature (20)"),
        ("nature=X", ""),
        ("X", ""),
    ],
)
def test_sets_of_the_paper_are_known_by_their_names(text: str, title: str) -> None:
    assert paper_title(text) == title


def test_composites_are_always_the_same(photos: Path, tmp_path: Path) -> None:
    def made(out: str) -> Iterator[tuple[str, bytes]]:
        for folder in write_composites(photos, tmp_path / out):
            for path in sorted(folder.rglob("*.png")):
                yield path.relative_to(tmp_path / out).as_posix(), path.read_bytes()

    first = dict(made("one"))
    assert dict(made("other")) == first
    assert len(first) > 6
    assert open_pairs(tmp_path / "one" / "composites-screen")
    (photos / "photo 0.png").unlink()
    with pytest.raises(InputError, match="of other photographs, or otherwise"):
        write_composites(photos, tmp_path / "one")


def test_lpips_is_measured_through_the_usual_network_unless_told_otherwise(options: AblateOptions) -> None:
    assert options.lpips == LpipsConfig(())
    assert AblateOptions.__dataclass_fields__["lpips"].default_factory().backbones == ("alex",)
