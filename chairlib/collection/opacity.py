"""Which pixels of an image belong to its object, by their opacity (alpha channel)."""

#: Opacity in [0, 1] above which a pixel belongs to the mask: the rule of the released code.
MASK_THRESHOLD = 0.4
#: The same rule for opacity as 8-bit levels, 0 to 255: whole levels above 102 are above 0.4.
MASK_OPACITY = int(255 * MASK_THRESHOLD)
