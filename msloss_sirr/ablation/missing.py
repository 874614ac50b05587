"""What a training, or a set of the paper, cannot do without, and is not here."""

from collections.abc import Callable, Iterable

from msloss_sirr.ablation.arms import Arm
from msloss_sirr.ablation.paper import SETS
from msloss_sirr.catalogue.layout import parse_source
from msloss_sirr.depth.source import build_source
from msloss_sirr.errors import InputError
from msloss_sirr.imagenet import imagenet_features
from msloss_sirr.losses.features import load_backbone
from msloss_sirr.training.config import TrainConfig


class Waiting:
    """Tells what trainings wait for; what others publish is downloaded if that can be, and tried once.

    Args:
        refgan: pairs that RefGAN made, if they were given.
    """

    def __init__(self, refgan: str | None) -> None:
        self.refgan = refgan
        self._missing: dict[str, bool] = {}

    def of(self, arm: Arm, config: TrainConfig) -> str:
        """Return what the training of an arm waits for, in words without paths; empty if it can be run.

        Raises:
            InputError: if a file that the configuration names cannot be used: a mistake, and nothing to wait for.
        """
        if arm.needs_refgan and self.refgan is None:
            return "pairs that msloss-sirr refgan generate makes (--refgan FOLDER)"
        wanted = [self._depth(config), self._features(config), self._encoder(config)]
        return "; ".join(filter(None, wanted))

    def _depth(self, config: TrainConfig) -> str:
        if config.model.depth == "none" or config.depth.source != "midas":
            return ""
        what = "the weights of MiDaS v2.1 small (--depth.weights)"
        return self._tried(lambda: build_source(config.model.depth, config.depth), config.depth.weights, what)

    def _features(self, config: TrainConfig) -> str:
        name = config.loss.backbone
        if name == "none":
            return ""
        what = f"the weights of {name} (--loss.weights)"
        return self._tried(lambda: load_backbone(name, config.loss.weights), config.loss.weights, what)

    def _encoder(self, config: TrainConfig) -> str:
        if config.model.architecture != "squeezenet" or config.weights is not None or config.encoder != "imagenet":
            return ""
        name = "squeezenet1_1"
        return self._tried(lambda: imagenet_features(name, None, ""), None, f"the weights of {name} (--encoder)")

    def _tried(self, load: Callable[[], object], given: object, what: str) -> str:
        """Return what is waited for if it cannot be loaded."""
        if what not in self._missing:
            try:
                load()
            except InputError:
                if given is not None:
                    raise
                self._missing[what] = True
            else:
                self._missing[what] = False
        return what if self._missing[what] else ""


def absent_sets(titles: Iterable[str], given: Iterable[str]) -> dict[str, str]:
    """Return the sets of the paper that are not among those given, and what they wait for.

    Args:
        titles: of the sets that a table needs.
        given: folders, or sets of the catalogue, ``SET/SUBSET=FOLDER``.
    """
    found = {paper_title(text) for text in given}
    return {title: f"--sets {SETS[title].source}=FOLDER" for title in titles if title not in found}


def paper_title(text: str) -> str:
    """Return what the paper calls a set that is given as ``SET/SUBSET/SPLIT=FOLDER``; empty if it has none of it.

    >>> paper_title("sir2/postcard=SIR2/"), paper_title("sir2/wild101=SIR2/"), paper_title("PAIRS/")
    ('postcard (199)', 'wild (101)', '')
    """
    source = parse_source(text)
    for title, each in SETS.items():
        wanted = parse_source(f"{each.source}=.")
        same_split = not wanted.split or source.split == wanted.split
        if source.name == wanted.name and same_split and source.subset in (wanted.subset, _version(each.images, text)):
            return title
    return ""


def _version(images: int, text: str) -> str:
    """Return the name of a version of a set, as ``wild101``, if that is what is given."""
    head = text.partition("=")[0].split("/")
    return next((word for word in head if word.endswith(str(images))), "-")
