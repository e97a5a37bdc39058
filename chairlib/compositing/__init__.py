"""Chapter 02: chairs composited onto rooms, and the splits as datasets and loaders (section 3 of the paper)."""
