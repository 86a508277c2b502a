"""What Apply and Merge say while there is nothing: title, text, and the key to press next."""

NO_TOMOGRAMS = (
    "Nothing to apply to yet",
    (
        "Here the networks that you have trained meet your tomograms: "
        "each network makes a map, the probability of its feature in every voxel.\n"
        "First there must be a tomogram."
    ),
    "Press [b]1[/b] to import one.",
)
NO_NETWORKS = (
    "No network yet",
    (
        "Here a network is applied to as many tomograms as you like, over night if need be: "
        "what it learned on a few tiles holds for all tomograms that were recorded and reconstructed alike.\n"
        "First a network must be trained."
    ),
    "Press [b]4[/b] to train one.",
)
NO_MAPS = (
    "No map to merge yet",
    (
        "Here the maps of a tomogram compete for every voxel, and the winners become one label volume: "
        "1 microtubule, 2 membrane ... You move the thresholds and see the slice change at once.\n"
        "First a network must be applied to a tomogram."
    ),
    "Press [b]5[/b] to apply one.",
)
