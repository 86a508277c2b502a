"""Export tiles to other programs, and import tiles and masks from them."""
