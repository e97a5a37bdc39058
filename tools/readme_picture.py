"""Draw README's picture, `book/_assets/readme.png`, from the collection that ships with chairlib.

python tools/readme_picture.py
"""

from chairlib import CompositeLoader
from chairlib.compositing.image_sets import to_arrays
from chairlib.core import paths
from chairlib.core.files import atomic_path
from chairlib.show.pictures import composite_grid


def main() -> None:
    loader = CompositeLoader("mini", "train", 128, 16, "cpu", shuffle=False, limit=16)
    images, masks = to_arrays(*next(iter(loader)))
    target = paths.book / "_assets" / "readme.png"
    with atomic_path(target) as path:
        path.write_bytes(composite_grid(images, masks > 127, columns=8).png)
    print(target)


if __name__ == "__main__":
    main()
