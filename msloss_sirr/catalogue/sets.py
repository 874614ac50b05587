"""The data sets of the field."""

from collections.abc import Sequence

from msloss_sirr.catalogue.description import SPLITS, Arrangement, Description, Part
from msloss_sirr.errors import InputError

_LAYER_FOLDERS = {
    "ambient": "blended/{name}",
    "transmission": "transmission_layer/{name}",
    "reflection": "reflection_layer/{name}",
}
_LAYER_FOLDERS_SHORT = {**_LAYER_FOLDERS, "reflection": "reflection/{name}"}
_NATURAL = {"ambient": "natural_I/{name}", "transmission": "natural_T/{name}"}
_SCENE_FOLDERS = {"ambient": "{dir}/m", "transmission": "{dir}/g", "reflection": "{dir}/r"}
_TAGGED = {
    "ambient": "blended/{name}-m{tail}",
    "transmission": "transmission_layer/{name}-g{tail}",
    "reflection": "reflection_layer/{name}-r{tail}",
}
_OWN_FOLDERS = {
    "ambient": "ambient/{name}",
    "transmission": "transmission/{name}",
    "reflection": "reflection/{name}",
    "depth": "depth/{name}",
}
_FLASH = {"ambient": "{name}_ambient", "transmission": "{name}_ambient_T", "reflection": "{name}_ambient_R"}
_ZHANG_TEST = frozenset(map(str, (3, 4, 9, 12, 15, 22, 23, 25, 29, 39, 46, 47, 58, 86, 87, 89, 93, 103, 107, 110)))


def _sir2(subset: str, folder: str, release: Sequence[Arrangement], counts: dict[str, int], *also: str) -> Part:
    bases = (f"SIR2/{folder}", f"test/SIR2/{folder}", folder, subset, *also)
    layered = (Arrangement(bases, layers) for layers in (_LAYER_FOLDERS, _LAYER_FOLDERS_SHORT, _TAGGED))
    return Part(subset, "test", (*layered, *release), counts)


_SETS = (
    Description(
        name="sir2",
        title="SIR², the single-image reflection removal benchmark",
        what="Postcards and solid objects shot through several glasses in a laboratory, and scenes in the wild.",
        citation=(
            'R. Wan, B. Shi, L.-Y. Duan, A.-H. Tan, A. C. Kot, "Benchmarking Single-Image Reflection Removal '
            'Algorithms", ICCV 2017'
        ),
        licence="not verified; its authors hand it out on application, and others describe it as non-commercial",
        obtain="https://sir2data.github.io/",
        parts=(
            _sir2(
                "postcard",
                "PostcardDataset",
                (
                    Arrangement(
                        ("SIR2/Postcard Dataset", "Postcard Dataset"),
                        {
                            "ambient": "{dir}/{name}-m{tail}",
                            "transmission": "{dir}/{name}-g{tail}",
                            "reflection": "{dir}/{name}-r{tail}",
                        },
                    ),
                    Arrangement(("CoRRN/PostcardDataset", "SIR2/PostcardDataset", "PostcardDataset"), _SCENE_FOLDERS),
                ),
                {"postcard": 199},
            ),
            _sir2(
                "object",
                "SolidObjectDataset",
                (Arrangement(("SIR2/SolidObjectDataset", "SolidObjectDataset", "solidobject"), _SCENE_FOLDERS),),
                {"object": 200},
                "solidobject",
            ),
            _sir2(
                "wild",
                "WildSceneDataset",
                (
                    Arrangement(
                        ("SIR2/WildSceneDataset", "WildSceneDataset", "SIR2/Wildscene", "Wildscene"), _SCENE_FOLDERS
                    ),
                ),
                {"wild55": 55, "wild101": 101},
                "sir2_withgt",
            ),
        ),
        several_shots=True,
        unverified=(
            "the licence",
            "the names of the reflections in the authors' own release (r beside m and g is looked for)",
            "the names of transmissions and reflections where CoRRN's code reads m alone (g and r are looked for)",
            "how many pairs the authors' own release has of each subset: the counts are those of the benchmark",
        ),
    ),
    Description(
        name="nature",
        title="Nature, the real pairs of IBCLN",
        what="Real pairs of scenes in nature and streets, taken with a portable glass.",
        citation=(
            'C. Li, Y. Yang, K. He, S. Lin, J. E. Hopcroft, "Single Image Reflection Removal through Cascaded '
            'Refinement", CVPR 2020'
        ),
        licence="not stated for the images",
        obtain="https://github.com/JHL-HUST/IBCLN",
        parts=(
            Part(
                "",
                "train",
                (
                    Arrangement(("train/nature", "nature/train", "train"), _LAYER_FOLDERS),
                    Arrangement(("nature_dataset", "train", ""), _NATURAL),
                ),
                {"": 200},
            ),
            Part(
                "",
                "test",
                (
                    Arrangement(("test/Nature", "test/nature", "nature/test", "nature20", "test"), _LAYER_FOLDERS),
                    Arrangement(("nature20", "test"), _NATURAL),
                ),
                {"": 20},
            ),
        ),
        unverified=("the folders of the authors' own archive (those that others' code reads are looked for)",),
    ),
    Description(
        name="real",
        title="The real pairs of Zhang et al. (89 and 20)",
        what="Real pairs taken with and without a portable glass.",
        citation=('X. Zhang, R. Ng, Q. Chen, "Single Image Reflection Separation with Perceptual Losses", CVPR 2018'),
        licence="not stated",
        obtain="https://github.com/ceciliavision/perceptual-reflection-removal",
        parts=(
            Part(
                "",
                "train",
                (
                    Arrangement(("train/real", "real/train", "real89", "train"), _LAYER_FOLDERS),
                    Arrangement(("",), _LAYER_FOLDERS),
                ),
                {"real89": 89, "real90": 90},
                names_besides=_ZHANG_TEST,
            ),
            Part(
                "",
                "test",
                (
                    Arrangement(("test/real20_420", "test/real20", "real/test", "real20", "test"), _LAYER_FOLDERS),
                    Arrangement(("",), _LAYER_FOLDERS),
                ),
                {"": 20},
                names=_ZHANG_TEST,
            ),
        ),
        unverified=("how many pairs the authors' own archive has besides the 20 of the test",),
    ),
    Description(
        name="flash",
        title="The real-world pairs of the flash-only papers, and their made ones",
        what="Real pairs that come with a flash photograph (which is not read), and pairs made from FAID and CoRRN.",
        citation=(
            'C. Lei, Q. Chen, "Robust Reflection Removal with Reflection-free Flash-only Cues", CVPR 2021; '
            'C. Lei, X. Jiang, Q. Chen, "Robust Reflection Removal With Flash-Only Cues in the Wild", TPAMI 2023'
        ),
        licence="not stated (its README: to be determined)",
        obtain="https://github.com/ChenyangLEI/flash-reflection-removal",
        parts=(
            *(
                Part(
                    "real",
                    split,
                    (
                        Arrangement(
                            tuple(
                                f"{top}real_world/{split}{folder}"
                                for top in ("", "data/")
                                for folder in ("/others", "/withgt", "")
                            ),
                            _FLASH,
                        ),
                    ),
                    {"real": {"val": 30, "test": 50}[split]} if split != "train" else {},
                )
                for split in SPLITS
            ),
            *(
                Part(
                    subset,
                    split,
                    (
                        Arrangement(
                            tuple(
                                f"{top}synthetic/{folder}/{split}{last}"
                                for top in ("", "data/")
                                for last in ("/others", "/withgt", "")
                            ),
                            _FLASH,
                        ),
                    ),
                )
                for subset, folder in (("made", "with_syn_reflection"), ("made-corrn", "with_corrn_reflection"))
                for split in ("train", "test")
            ),
        ),
        unverified=(
            "how many real pairs there are to train on, and how many made ones",
            "the folder of the test pairs below real_world/test (others, withgt and none are looked for)",
        ),
    ),
    Description(
        name="faid",
        title="Flash and Ambient Illuminations Dataset",
        what="Photographs of scenes by ambient light and by flash, without reflections: material to make pairs of.",
        citation=(
            "Y. Aksoy, C. Kim, P. Kellnhofer, S. Paris, M. Elgharib, M. Pollefeys, W. Matusik, "
            '"A Dataset of Flash and Ambient Illumination Pairs from the Crowd", ECCV 2018'
        ),
        licence="not verified; see its page",
        obtain="http://yaksoy.github.io/faid/",
        parts=(
            Part(
                "",
                "",
                (
                    Arrangement(("Illuminations", ""), {"photo": "{name}_ambient"}),
                    Arrangement(("Illuminations", ""), {"photo": "{dir}/{name}_ambient"}),
                ),
            ),
        ),
        required=("photo",),
        unverified=(
            "the licence and the number of photographs",
            "the names of its files: NAME_ambient is looked for; read any other as photos, or from a CSV list",
        ),
    ),
    Description(
        name="corrn",
        title="The made pairs of CoRRN",
        what="Pairs made of real photographs of reflections and other photographs.",
        citation=(
            'R. Wan, B. Shi, H. Li, L.-Y. Duan, A.-H. Tan, A. C. Kot, "CoRRN: Cooperative Reflection Removal '
            'Network", TPAMI 2019'
        ),
        licence="not stated",
        obtain="https://github.com/wanrenjie/CoRRN",
        parts=(
            Part(
                "",
                "train",
                (
                    Arrangement(
                        ("",),
                        {
                            "ambient": "{dir}/{name}_m",
                            "transmission": "{dir}/{name}_b",
                            "reflection": "{dir}/{name}_r",
                        },
                    ),
                ),
            ),
        ),
        several_shots=True,
        unverified=("how many pairs there are", "where the photographs of reflections are kept today"),
    ),
    Description(
        name="ceilnet",
        title="The made test pairs of CEILNet",
        what="Pairs made on photographs of PASCAL VOC, table 2 of its paper.",
        citation=(
            'Q. Fan, J. Yang, G. Hua, B. Chen, D. Wipf, "A Generic Deep Architecture for Single Image Reflection '
            'Removal and Image Smoothing", ICCV 2017'
        ),
        licence="not stated for the images (the code: for research purposes only)",
        obtain="https://github.com/fqnchina/CEILNet",
        parts=(
            Part(
                "",
                "test",
                (
                    Arrangement(
                        ("testdata_reflection_synthetic_table2", "CEILNet/testdata_reflection_synthetic_table2", ""),
                        {"ambient": "{name}-input", "transmission": "{name}-label1", "reflection": "{name}-label2"},
                    ),
                    Arrangement(
                        ("test/CEILNet_table2", "CEILNet_table2", "testdata_CEILNET_table2", "test", ""),
                        _LAYER_FOLDERS,
                    ),
                ),
                {"": 100},
            ),
        ),
    ),
    Description(
        name="pairs",
        title="A folder of pairs",
        what=(
            "ambient/NAME and transmission/NAME, and reflection/NAME and depth/NAME if there are any; blended/NAME and "
            "transmission_layer/NAME, as others call them, are read too."
        ),
        citation="your own",
        licence="your own",
        obtain="your own; msloss-sirr data prepare writes such folders",
        parts=(
            *(
                Part("", split, (Arrangement((split,), _OWN_FOLDERS), Arrangement((split,), _LAYER_FOLDERS)))
                for split in ("", *SPLITS)
            ),
        ),
    ),
    Description(
        name="photos",
        title="A folder of photographs",
        what="Photographs without reflections, directly in the folder: material to make pairs of.",
        citation="your own",
        licence="your own",
        obtain="your own",
        parts=(*(Part("", split, (Arrangement((split,), {"photo": "{name}"}),)) for split in ("", *SPLITS)),),
        required=("photo",),
    ),
    Description(
        name="csv",
        title="A list of pairs in a CSV file",
        what=(
            "A file whose first line names columns: ambient and transmission, and any of reflection, depth, split, "
            "subset and name. Paths are relative to it."
        ),
        citation="your own",
        licence="your own",
        obtain="your own",
        parts=(),
    ),
)

SETS = {each.name: each for each in _SETS}
"""The sets, by name."""


def describe(name: str) -> Description:
    """Return the description of a set.

    Raises:
        InputError: if there is no set of the name.
    """
    if name not in SETS:
        raise InputError(f"there is no set {name!r}; give one of {', '.join(SETS)}")
    return SETS[name]
