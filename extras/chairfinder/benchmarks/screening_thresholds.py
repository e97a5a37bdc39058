"""How far each screening threshold lies from good images, and from images that are damaged on purpose.

Each threshold has its own trial: every image of a collection, and a copy of it with the damage that the threshold is
there for (cut by the frame, on a painted checkerboard, with a second chair beside it, ...). An image's critical value
is where its rule's verdict turns when this threshold alone is moved, the others at their defaults. A dash says that no
value turns it.

Claim, on 150 chairs and 150 rooms of `mini`: no default refuses a good image, and 20 of the 30 refuse 99 % or more of
the damaged ones. The weakest are `legs_cut` (30 %: many chairs show two legs at their lower end), `remnant_share`
(55 %), `halo_share` (60 %: a white fringe is none on a white chair), `plan_paper` (67 %) and `edge_cut` (77 %). A
collection of one's own that was imported with the same thresholds has lost its refused images before.

Run it with `python benchmarks/screening_thresholds.py [COLLECTION] [--images 150]`. Columns: good images and damaged
ones that are refused at the default and at a half and the double of it (of the distance to 1, for shares above a half),
and the critical values of the good images' strictest 1 % and 10 % and of the damaged ones' mildest 10 % and median.
"""

import argparse
import datetime
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from chairfinder.screening import (
    BACKGROUND_RULES,
    SEGMENT_RULES,
    BackgroundView,
    SegmentView,
    Thresholds,
    rule_name,
)
from chairlib.collection import Collection
from chairlib.core.files import write_json

Damage = Callable[[Image.Image, np.random.Generator], Image.Image]
View = SegmentView | BackgroundView


def on_canvas(image: Image.Image, across: float, down: float) -> Image.Image:
    """In the middle of a transparent canvas of so many times its size."""
    canvas = Image.new("RGBA", (round(image.width * across), round(image.height * down)))
    canvas.alpha_composite(image, ((canvas.width - image.width) // 2, (canvas.height - image.height) // 2))
    return canvas


def scaled(image: Image.Image, by: float) -> Image.Image:
    size = (max(1, round(image.width * by)), max(1, round(image.height * by)))
    if image.mode != "RGBA":
        return image.resize(size)
    return image.convert("RGBa").resize(size).convert("RGBA")  # premultiplied: no dark fringes


def cropped(image: Image.Image) -> Image.Image:
    return image.crop(image.getchannel("A").getbbox())


def under(image: Image.Image, below: Image.Image) -> Image.Image:
    return Image.alpha_composite(below.convert("RGBA"), image)


def in_colours(image: Image.Image, colours: np.ndarray) -> Image.Image:
    """The same opacity over other colours [H, W, 3]."""
    return Image.fromarray(np.dstack([colours, np.asarray(image.getchannel("A"))]).astype(np.uint8))


def on_checkerboard(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    square = int(rng.integers(4, 13))
    y, x = np.mgrid[: image.height, : image.width] // square
    return under(image, Image.fromarray(np.where((x + y) % 2, 255, 204).astype(np.uint8)))


def on_paper(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return under(image, Image.new("RGBA", image.size, "white"))


def on_panel(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """On a plain rectangle with a transparent margin around it."""
    tone = tuple(int(value) for value in rng.integers(60, 256, 3))
    return on_canvas(under(image, Image.new("RGBA", image.size, tone)), 1.15, 1.15)


def as_photograph(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """On a blurred pattern in many colours, in a rectangle with a transparent margin."""
    pattern = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize(
        image.size, Image.Resampling.BICUBIC
    )
    return on_canvas(under(image, pattern), 1.15, 1.15)


def beside(image: Image.Image, other: Image.Image, gap: int) -> Image.Image:
    """Two objects side by side on one floor, ``gap`` pixels apart; below 0 they overlap."""
    both = Image.new("RGBA", (image.width + other.width + max(gap, 0) + 20, max(image.height, other.height) + 20))
    both.alpha_composite(image, (10, both.height - 10 - image.height))
    both.alpha_composite(other, (10 + image.width + gap, both.height - 10 - other.height))
    return both


def with_smaller_one(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    chair = cropped(image)
    return beside(chair, scaled(chair, rng.uniform(0.4, 1)), 8)


def with_scraps(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Eight small pieces of it, each a quarter of its sides, above it."""
    chair = cropped(image)
    scrap = scaled(chair, 0.25)
    canvas = on_canvas(chair, 1.6, 2.0)
    for number in range(8):
        canvas.alpha_composite(scrap, (number % 4 * canvas.width // 4, number // 4 * (scrap.height + 4)))
    return canvas


def with_one_touching(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    chair = cropped(image)
    return beside(chair, chair, -max(2, chair.width // 12))


def body_cut(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A quarter of the object's box is cut off on one side."""
    chair = cropped(image)
    side = int(rng.integers(4))
    box = [0, 0, chair.width, chair.height]
    box[side] = round((0.25 if side < 2 else 0.75) * box[2 + side % 2])
    return chair.crop(tuple(box))


def legs_cut(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    chair = cropped(image)
    return chair.crop((0, 0, chair.width, round(0.8 * chair.height)))


def translucent(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    faded = image.copy()
    faded.putalpha(image.getchannel("A").point(lambda value: int(0.75 * value)))
    return faded


def soft(image: Image.Image, colour: int, strength: float, offset: tuple[int, int], blur: float) -> Image.Image:
    """The object's blurred outline behind it."""
    layer = Image.new("L", image.size)
    layer.paste(image.getchannel("A"), offset)
    shade = Image.new("RGBA", image.size, (colour, colour, colour, 255))
    shade.putalpha(layer.filter(ImageFilter.GaussianBlur(blur)).point(lambda value: int(min(255, value * strength))))
    return under(image, shade)


def in_haze(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    wide = on_canvas(image, 1.5, 1.5)
    return soft(wide, 200, 0.35, (0, 0), wide.width / 10)


def with_drop_shadow(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return soft(on_canvas(image, 1.3, 1.3), 0, 0.8, (image.width // 10, image.height // 10), image.width / 40)


def with_watermark(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    layer = Image.new("RGBA", image.size)
    pen, step = ImageDraw.Draw(layer), image.width // 8
    for place in range(-image.height, image.width, step):
        pen.line((place, 0, place + image.height, image.height), (128, 128, 128, 60), max(1, image.width // 128))
    return under(image, layer)


def with_fringe(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The outermost two pixels of the object are white."""
    pixels = np.array(image)
    solid = pixels[..., 3] > 102
    pixels[solid & ~ndimage.binary_erosion(solid, iterations=2)] = 255
    return Image.fromarray(pixels)


def with_paper_between(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """White where something of the object lies to the left and right: between legs, arms and slats."""
    solid = np.asarray(image.getchannel("A")) > 102
    left, right = (np.maximum.accumulate(side, axis=1) for side in (solid, solid[:, ::-1]))
    pixels = np.array(image)
    pixels[left & right[:, ::-1] & ~solid] = 255
    return Image.fromarray(pixels)


def as_drawing(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    flat = image.convert("RGB").filter(ImageFilter.MedianFilter(5)).quantize(6, dither=Image.Dither.NONE)
    return in_colours(image, np.asarray(flat.convert("RGB")))


def as_plan(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The edges of the picture on white."""
    edges = image.convert("L").filter(ImageFilter.FIND_EDGES).point(lambda value: 0 if value > 60 else 255)
    return edges.convert("RGB")


def as_graphic(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    smooth = image.filter(ImageFilter.MedianFilter(9)).filter(ImageFilter.MedianFilter(9))
    return smooth.quantize(5, dither=Image.Dither.NONE).convert("RGB")


def as_collage(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    both = Image.new("RGB", (image.width, 2 * image.height + 6), "white")
    both.paste(image, (0, 0))
    both.paste(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (0, image.height + 6))
    return both


def faint(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.point(lambda value: round(120 + (value - 120) * 0.05))


#: By threshold: the rule that reads it, and the damage that it is there for. ``duplicate_bits`` is measured by
#: `benchmarks/thresholds.py`, as it compares images.
TRIALS: dict[str, tuple[str, Damage]] = {
    "checkerboard_match": ("painted checkerboard", on_checkerboard),
    "checkerboard_share": ("painted checkerboard", on_checkerboard),
    "clear_share": ("no real alpha", on_paper),
    "object_side": ("object too small", lambda image, rng: scaled(image, 0.4)),
    "object_extent": ("object too small", lambda image, rng: on_canvas(image, 4, 4)),
    "object_area": ("object too small", lambda image, rng: scaled(image, 0.2)),
    "image_side": ("image too small", lambda image, rng: scaled(image, 0.4)),
    "panel_fit": ("painted panel", on_panel),
    "panel_object": ("painted panel", on_panel),
    "photo_fit": ("painted panel", as_photograph),
    "photo_rim": ("painted panel", as_photograph),
    "second_object": ("several objects", with_smaller_one),
    "loose_pieces": ("several objects", with_scraps),
    "valley_depth": ("several objects", with_one_touching),
    "edge_cut": ("object cut", body_cut),
    "legs_cut": ("object cut", legs_cut),
    "translucent_share": ("translucent", translucent),
    "shadow_share": ("soft shadow", in_haze),
    "shadow_in_object": ("soft shadow", with_drop_shadow),
    "watermark_spread": ("watermark", with_watermark),
    "halo_share": ("halo", with_fringe),
    "remnant_share": ("white remnant", with_paper_between),
    "drawing_share": ("drawing", as_drawing),
    "background_side": ("image too small", lambda image, rng: scaled(image, 0.4)),
    "background_aspect": ("image too small", lambda image, rng: image.resize((6 * image.height, image.height))),
    "plan_paper": ("plan", as_plan),
    "graphic_flat": ("flat graphic", as_graphic),
    "graphic_colours": ("flat graphic", as_graphic),
    "collage_gutter": ("collage", as_collage),
    "background_detail": ("no detail", faint),
}
#: What else a rule may refuse the same image for is switched off meanwhile.
SWITCHED_OFF = {
    "object_side": {"object_extent": 0, "object_area": 0},
    "object_extent": {"object_side": 0, "object_area": 0},
    "object_area": {"object_side": 0, "object_extent": 0},
    "panel_fit": {"photo_rim": 1},
    "panel_object": {"photo_rim": 1},
    "photo_fit": {"panel_object": 1},
    "photo_rim": {"panel_object": 1},
    "second_object": {"loose_pieces": 1, "valley_depth": 1},
    "loose_pieces": {"second_object": 1, "valley_depth": 1},
    "valley_depth": {"second_object": 1, "loose_pieces": 1},
    "edge_cut": {"legs_cut": 100},
    "legs_cut": {"edge_cut": 1},
    "shadow_share": {"shadow_in_object": 1},
    "shadow_in_object": {"shadow_share": 100},
    "background_side": {"background_aspect": 100},
    "background_aspect": {"background_side": 0},
}
DEFAULTS = {item.name: item for item in fields(Thresholds)}
#: The first threshold of backgrounds; all after it are theirs too.
FIRST_OF_BACKGROUNDS = list(TRIALS).index("background_side")
RULES = {
    "segment": {rule_name(rule): rule for rule in SEGMENT_RULES},
    "background": {rule_name(rule): rule for rule in BACKGROUND_RULES},
}


def is_refused(view: View, kind: str, threshold: str, value: float) -> bool:
    """What the threshold's rule says with this value."""
    limits = Thresholds.of({**SWITCHED_OFF.get(threshold, {}), threshold: value})
    return RULES[kind][TRIALS[threshold][0]](view, limits) is not None


def critical_value(view: View, kind: str, threshold: str, steps: int = 12) -> float:
    """Where the verdict turns, found by halving; NaN where no value turns it."""
    low, high = 0.0, min(DEFAULTS[threshold].metadata["high"], 2048.0)
    at_low = is_refused(view, kind, threshold, low)
    if at_low == is_refused(view, kind, threshold, high):
        return float("nan")
    for _ in range(steps):
        middle = (low + high) / 2
        if is_refused(view, kind, threshold, middle) == at_low:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def neighbours(threshold: str) -> tuple[float, float, float]:
    """A half of the default, the default and its double; of the distance to 1, for shares above a half."""
    default, high = DEFAULTS[threshold].default, DEFAULTS[threshold].metadata["high"]
    if high == 1 and default > 0.5:
        return 1 - min(1.0, 2 * (1 - default)), default, 1 - (1 - default) / 2
    return default / 2, default, min(2 * default, high)


def row(threshold: str, kind: str, good: list[View], damaged: list[View]) -> dict[str, float | str | None]:
    """Shares that are refused, in per cent, and critical values."""
    refused = {
        name: [
            round(100 * float(np.mean([is_refused(view, kind, threshold, value) for view in views])), 1)
            for value in neighbours(threshold)
        ]
        for name, views in (("good", good), ("damaged", damaged))
    }
    turns = {
        name: np.array([critical_value(view, kind, threshold) for view in views])
        for name, views in (("good", good), ("damaged", damaged))
    }
    # A "least" refuses more as it grows: the strictest of the good images are then those that turn at low values.
    turned = (good + damaged)[int(np.argmax(~np.isnan(np.concatenate(list(turns.values())))))]
    upward = is_refused(turned, kind, threshold, min(DEFAULTS[threshold].metadata["high"], 2048.0))

    def quantile(name: str, share: float) -> float | None:
        found = turns[name][~np.isnan(turns[name])]
        return round(float(np.quantile(found, share if upward else 1 - share)), 3) if len(found) else None

    return {
        "threshold": threshold,
        "default": DEFAULTS[threshold].default,
        "good refused": refused["good"][1],
        "at half": refused["good"][0],
        "at double": refused["good"][2],
        "damaged refused": refused["damaged"][1],
        "at half ": refused["damaged"][0],
        "at double ": refused["damaged"][2],
        "good 1 %": quantile("good", 0.01),
        "good 10 %": quantile("good", 0.1),
        "damaged 10 %": quantile("damaged", 0.9),
        "damaged 50 %": quantile("damaged", 0.5),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collection", nargs="?", default="mini", help="mini, or a folder")
    parser.add_argument("--images", type=int, default=150, help="at most so many of each kind")
    parser.add_argument("--thresholds", nargs="+", choices=TRIALS, default=list(TRIALS), metavar="NAME")
    parser.add_argument("--records", type=Path, help="folder for the record; none is written by default")
    asked = parser.parse_args()
    collection = Collection(asked.collection)
    images, views = {}, {}
    for kind, view in (("segment", SegmentView), ("background", BackgroundView)):
        rows = collection.rows(kind)
        rows = rows.sample(min(asked.images, len(rows)), random_state=0)
        images[kind] = [collection.open(kind, identity) for identity in rows["id"]]
        views[kind] = [view(image) for image in images[kind]]
        print(f"{len(rows)} {kind}s of {collection.name}")
    found = []
    for number, (threshold, (_, damage)) in enumerate(TRIALS.items()):
        if threshold not in asked.thresholds:
            continue
        kind = "segment" if number < FIRST_OF_BACKGROUNDS else "background"
        rng, view = np.random.default_rng(0), SegmentView if kind == "segment" else BackgroundView
        damaged = [view(damage(image, rng)) for image in images[kind]]
        found.append(row(threshold, kind, views[kind], damaged))
    print(pd.DataFrame(found).set_index("threshold").astype(float).to_string(na_rep="-"))
    if asked.records:
        today = datetime.date.today().isoformat()
        content = {"date": today, "collection": collection.name, "data_hash": collection.hash, "thresholds": found}
        write_json(asked.records / f"screening-thresholds-{collection.name}-{today}.json", content)


if __name__ == "__main__":
    main()
