"""Commands that make maps and label volumes, and score them."""

from tomoseg_tui.commands.options import COUNT, PATH, PRECISION, Command, Option, ValueKind, flag
from tomoseg_tui.commands.shared_options import DEVICE, ESTIMATE, FORCE, JOB_OPTIONS, feature_option


def _parse_label_pair(text: str) -> tuple[int, int]:
    label, _, predicted = text.partition("=")
    return int(label), int(predicted or label)


TTA_COPIES = ValueKind("1, 4 or 8", lambda text: (1, 4, 8)[("1", "4", "8").index(text)])
"""No test-time augmentation, the orientations that keep the missing wedge, or all orientations."""
LABEL_PAIR = ValueKind(
    "a whole number, or two as 1=2",
    _parse_label_pair,
    lambda pair: "=".join(str(label) for label in dict.fromkeys(pair)),
)
"""A label of the truth, and the same label in the prediction."""
Z_RANGE = Option(
    "--z", "only slices A to B-1", metavar="A:B", default_text="all", label="Slices",
    placeholder="all, or A:B for A to B-1",
)  # fmt: skip

APPLY = Command(
    "apply",
    "apply a network to tomograms",
    (
        Option("run", "run of the network", metavar="RUN"),
        Option("tomograms", "tomograms or versions of them", nargs="+", metavar="TOMOGRAM"),
        feature_option("all features of the network"),
        Z_RANGE,
        Option(
            "--threads", "threads of each worker on the CPU", kind=COUNT, metavar="N", default_text="all cores",
            label="Threads", placeholder="all cores",
        ),
        DEVICE,
        Option(
            "--workers",
            "processes that share the slabs; on GPUs each uses one GPU, with --slurm each is a task of an array",
            kind=COUNT, default=1, metavar="N", label="Workers", placeholder="processes that share the slices",
        ),
        Option(
            "--tta", "average the output for 4 or 8 rotated or mirrored copies of each slice", kind=TTA_COPIES,
            default=1, metavar="N", label="Copies", placeholder="1; or average 4 or 8 copies, 4 or 8 times as slow",
        ),
        Option(
            "--half", "compute in half precision", kind=PRECISION, is_switch=True,
            default_text="full on the CPU, half on GPUs", label="Precision",
            placeholder="full on the CPU, half on GPUs; or type full or half",
        ),
        Option(
            "-o --output", "also write the map to this file", metavar="FILE", default_text="none", label="File",
            placeholder="also write the map to this file; one map only",
        ),
        FORCE,
        flag("--anyway", "accept a tomogram that was filtered differently from the training tomograms"),
        *JOB_OPTIONS,
        ESTIMATE,
    ),
)  # fmt: skip
MERGE = Command(
    "merge",
    "merge maps into a label volume",
    (
        Option("tomogram", "tomogram of the maps", metavar="TOMOGRAM"),
        Option(
            "--map", "a map and its threshold: 0 to 1, or card for the network's; may be repeated, the k-th is label k",
            field="map_specs", metavar="RUN[:F]=T", is_repeated=True, is_required=True,
        ),
        Option("--name", "name of the label volume", default="merged", metavar="NAME"),
        Option("-o --output", "also write the labels to this file", kind=PATH, metavar="FILE", default_text="none"),
        FORCE,
        *JOB_OPTIONS,
        ESTIMATE,
    ),
)  # fmt: skip
EVALUATE = Command(
    "evaluate",
    "score a map or label volume against the truth",
    (
        Option("predicted", "a map, label volume or file", metavar="PREDICTED"),
        Option("truth", "a label volume or file", metavar="TRUTH"),
        Option(
            "--label", "label to score; K=J if label K of the truth is J in the prediction; may be repeated",
            kind=LABEL_PAIR, metavar="K", is_repeated=True, is_required=True,
        ),
        Option("--threshold", "for maps: a number, or card for the network's", metavar="T", default_text="card"),
        Z_RANGE,
    ),
)  # fmt: skip

RESULT_COMMANDS = (APPLY, MERGE, EVALUATE)
