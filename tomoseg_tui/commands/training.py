"""Commands that train networks, check labels with them and show the results; and `run`, which also applies them."""

from tomoseg_tui.commands.options import (
    COUNT,
    Command,
    ExclusiveOptions,
    Option,
    command_family,
    flag,
    number,
)
from tomoseg_tui.commands.shared_options import (
    DEVICE,
    EPOCHS,
    ESTIMATE,
    HELD_OUT_SHARE,
    JOB_OPTIONS,
    NETWORK,
    RENDER_OPTIONS,
    SEED,
    TRAINED_FEATURES,
    TRAINSET,
    VERSION,
    feature_option,
)

TRAINSET_BUILD = Command(
    "trainset build",
    "build a training set from the annotated tiles",
    (
        Option("name", "name of the training set", metavar="NAME", label="Name", placeholder="such as tubes_1"),
        feature_option(),
        Option(
            "--validation", "share of tiles held out", kind=HELD_OUT_SHARE, default=0.2, label="Held out",
            placeholder="0.2 of the tiles",
        ),
        VERSION,
    ),
)  # fmt: skip
TRAINSET_SHOW = Command(
    "trainset show", "show what a training set contains", (Option("name", "the training set", metavar="NAME"),)
)
TRAIN = Command(
    "train",
    "train a network",
    (
        TRAINSET,
        TRAINED_FEATURES,
        Option(
            "--name", "name of the run", default="", metavar="RUN", default_text="its features and a number",
            label="Name", placeholder="its features and a number",
        ),
        NETWORK,
        Option(
            "--from", "start from the weights of a run", field="made_from", metavar="RUN", default_text="none",
            label="From",
        ),
        EPOCHS,
        Option(
            "--learning-rate", "learning rate of the optimizer", kind=number(above=0), metavar="R",
            default_text="the network's", label="Rate", placeholder="the network's",
        ),
        Option(
            "--batch", "batch size: tiles per training step", kind=COUNT, metavar="N", default_text="the network's",
            label="Batch", placeholder="the network's",
        ),
        DEVICE,
        SEED,
        Option(
            "--validation", "share of tiles held out", kind=HELD_OUT_SHARE, metavar="SHARE", default_text="0.2",
            label="Held out", placeholder="0.2",
        ),
        VERSION,
        *JOB_OPTIONS,
        ESTIMATE,
    ),
)  # fmt: skip
AUDIT = Command(
    "audit",
    "find tiles whose label is probably wrong",
    (
        TRAINSET,
        TRAINED_FEATURES,
        Option("--name", "name of the audit", default="", metavar="N", default_text="its features and a number"),
        Option("--worst", "with --wait, show the N worst tiles", kind=COUNT, metavar="N", default_text="8"),
        NETWORK,
        Option(
            "--epochs", "epochs of each of four trainings", kind=COUNT, metavar="N",
            default_text="a quarter of the network's",
        ),
        DEVICE,
        SEED,
        VERSION,
        *RENDER_OPTIONS,
        *JOB_OPTIONS,
        ESTIMATE,
    ),
)  # fmt: skip
AUDITS_SHOW = Command(
    "audits show",
    "draw the tiles whose label is probably wrong",
    (
        Option("name", "the audit", metavar="NAME"),
        Option("--worst", "show the N worst tiles", kind=COUNT, metavar="N", default_text="8"),
        *RENDER_OPTIONS,
    ),
)
NETWORKS_SHOW = Command("networks show", "print the card of a network", (Option("name", "the run", metavar="RUN"),))
NETWORKS_TRIPLES = Command(
    "networks triples",
    "draw image, annotation and output of tiles",
    (
        Option("name", "the run", metavar="RUN"),
        Option(
            "--worst",
            "the N tiles whose output differs most from the annotation",
            kind=COUNT,
            metavar="N",
            default_text="8",
        ),
        Option("--feature", "only this feature", metavar="F", default_text="all"),
        *RENDER_OPTIONS,
    ),
)
RUN = Command(
    "run",
    "train, then apply, then merge, as jobs",
    (
        feature_option(),
        ExclusiveOptions(
            (
                Option(
                    "--tomogram", "tomogram; may be repeated", field="tomograms", metavar="T", is_repeated=True,
                    label="Tomograms", placeholder="all that fit, or names",
                ),
                flag(
                    "--all", "all tomograms that the networks can be applied to", field="tomograms", stores=(),
                    default=None,
                ),
            ),
            is_required=True,
        ),
        Option(
            "--name", "name of the run; N_FEATURE for several features", default="", metavar="N",
            default_text="its features and a number", label="Name", placeholder="its features and a number",
        ),
        flag("--together", "train one network for all features, not one for each feature"),
        NETWORK,
        EPOCHS,
        DEVICE,
        SEED,
        Option(
            "--labels", "name of the label volumes", default="merged", metavar="NAME", label="Labels",
            placeholder="merged",
        ),
        *JOB_OPTIONS,
        ESTIMATE,
    ),
)  # fmt: skip

TRAINING_COMMANDS = (
    *command_family(
        "trainset", "build, list or show training sets", TRAINSET_BUILD, TRAINSET_SHOW, plural="training sets"
    ),
    TRAIN,
    AUDIT,
    *command_family("audits", "list or show audits", AUDITS_SHOW),
    *command_family("networks", "list or show networks", NETWORKS_SHOW, NETWORKS_TRIPLES),
    RUN,
)
