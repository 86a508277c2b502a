"""Commands that make maps and label volumes of tomograms, and score them."""

from tomoseg_tui.commands.options import COUNT, PATH, PRECISION, Command, Option, ValueKind, flag, whole_number
from tomoseg_tui.commands.shared_options import DEVICE, ESTIMATE, FORCE, JOB_OPTIONS, feature_option

TTA_COPIES = ValueKind("1, 4 or 8", lambda text: (1, 4, 8)[("1", "4", "8").index(text)])
"""None turned, those that keep the missing wedge, all."""
Z_RANGE = Option(
    "--z", "only these slices, B left out", metavar="A:B", default_text="all", label="Slices",
    placeholder="all, or A:B without B",
)  # fmt: skip

APPLY = Command(
    "apply",
    "apply a network to tomograms",
    (
        Option("run", "the network, by the name of its run", metavar="RUN"),
        Option("tomograms", "tomograms or versions of them", nargs="+", metavar="TOMOGRAM"),
        feature_option(default_text="all of the network's"),
        Z_RANGE,
        Option(
            "--threads", "threads of each worker on the CPU", kind=COUNT, metavar="N", default_text="all cores",
            label="Threads", placeholder="all cores",
        ),
        DEVICE,
        Option(
            "--workers",
            "processes that share the slabs; with gpu each takes one, with --slurm each is a task of an array",
            kind=COUNT, default=1, metavar="N", label="Workers", placeholder="that share the slices",
        ),
        Option(
            "--tta", "average 4 or 8 turned copies of each slice", kind=TTA_COPIES, default=1, metavar="N",
            label="Copies", placeholder="1, 4 or 8 turned copies are averaged, at as many times the cost",
        ),
        Option(
            "--half", "half precision where it is as good (on GPUs the default)", kind=PRECISION, is_switch=True,
            label="Precision", placeholder="full on the CPU, half on GPUs; or type which",
        ),
        Option(
            "-o --output", "write the map here too", metavar="FILE", default_text="none", label="File",
            placeholder="the map goes there too; one map only",
        ),
        FORCE,
        flag("--anyway", "though the tomogram is filtered in another way"),
        *JOB_OPTIONS,
        ESTIMATE,
    ),
)  # fmt: skip
MERGE = Command(
    "merge",
    "let maps compete and write a label volume",
    (
        Option("tomogram", "whose maps compete", metavar="TOMOGRAM"),
        Option(
            "--map", "threshold 0 to 1, or card; the k-th is label k", field="map_specs", metavar="RUN[:F]=T",
            is_repeated=True,
        ),
        Option("--name", "name of the label volume", default="merged", metavar="NAME"),
        Option("-o --output", "write the labels here too", kind=PATH, metavar="FILE", default_text="none"),
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
            "--label", "label that is scored; may be repeated", kind=whole_number(), metavar="K", is_repeated=True
        ),
        Option("--threshold", "for maps: a number, or card", metavar="T", default_text="card"),
        Z_RANGE,
    ),
)  # fmt: skip

RESULT_COMMANDS = (APPLY, MERGE, EVALUATE)
