"""Images with discs in two colours, as arrays or on the disk: what can be learned from in seconds."""

from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from healtheat.signals import Samples

SIDE, IMAGES = 160, 24
COLOURS = ((200, 40, 40), (40, 60, 200))


class Drawn:
    """Images with three discs each, and the true boxes; `vectors` tell the colours apart."""

    def __init__(self, seed=3, images=IMAGES):
        rng = np.random.default_rng(seed)
        self.images, self.boxes, self.classes = [], [], []
        for _ in range(images):
            ground = rng.normal(150, 12, (SIDE, SIDE, 1)) + np.zeros(3)
            image = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
            draw, boxes, classes = ImageDraw.Draw(image), [], []
            for column in range(3):
                size = rng.integers(26, 38)
                x, y = 12 + 50 * column + rng.integers(0, 8), rng.integers(5, SIDE - size - 5)
                code = int(rng.integers(2))
                draw.ellipse((x, y, x + size, y + size), fill=COLOURS[code], outline=(20, 20, 20))
                boxes.append([x, y, x + size, y + size])
                classes.append(code)
            # A dark square that is no object of the set.
            draw.rectangle((2, 2, 10, 10), fill=(0, 0, 0))
            self.images.append(np.asarray(image))
            self.boxes.append(np.array(boxes, np.float64) / SIDE)
            self.classes.append(classes)

    def rgb(self, image_id):
        return self.images[image_id]

    def sharpness(self, image_id, xywhn):
        return np.full(len(xywhn), 0.5)

    def vectors(self, image_id, xywhn):
        out = []
        for cx, cy, *_ in xywhn * SIDE:
            colour = self.images[image_id][int(cy), int(cx)].astype(np.float32)
            out.append(colour / np.linalg.norm(colour))
        return np.stack(out)

    def samples(self, *, hidden=(), moved=None):
        """The labels without the boxes (image, column) of `hidden`; those of `moved` are shifted."""
        image_id, class_id, xywhn = [], [], []
        for at, (boxes, classes) in enumerate(zip(self.boxes, self.classes, strict=True)):
            for column, ((x0, y0, x1, y1), code) in enumerate(zip(boxes, classes, strict=True)):
                if (at, column) in hidden:
                    continue
                dx, dy = (moved or {}).get((at, column), (0, 0))
                w, h = x1 - x0, y1 - y0
                image_id.append(at)
                class_id.append(code)
                xywhn.append([(x0 + x1) / 2 + dx * w, (y0 + y1) / 2 + dy * h, w, h])
        vectors = np.concatenate(
            [self.vectors(i, np.array([b])) for i, b in zip(image_id, xywhn, strict=True)]
        )
        made = Samples.of(
            [7 * code for code in class_id],
            vectors,
            xywhn=xywhn,
            image_id=image_id,
            image_path=[f"{i}.png" for i in range(IMAGES)],
            size_px=[[SIDE, SIDE]] * IMAGES,
        )
        return replace(made, pixels=self)

    def write(self, folder, prefix="", *, labelled=None):
        """The images as files, and the labels of the first `labelled` (default: all); returns data.yaml."""
        labelled = len(self.images) if labelled is None else labelled
        for name in ("images", "labels"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for at, (image, boxes, classes) in enumerate(zip(self.images, self.boxes, self.classes, strict=True)):
            Image.fromarray(image).save(folder / f"images/{prefix}{at}.png")
            lines = [
                f"{7 * code} {(x0 + x1) / 2:.6f} {(y0 + y1) / 2:.6f} {x1 - x0:.6f} {y1 - y0:.6f}\n"
                for code, (x0, y0, x1, y1) in zip(classes, boxes, strict=True)
            ]
            if at < labelled:
                file = folder / f"labels/{prefix}{at}.txt"
                file.write_text("".join(lines), encoding="utf-8", newline="\n")
        data = folder / "data.yaml"
        text = "train: images\nval: images\nnames: {0: red, 7: blue}\n"
        data.write_text(text, encoding="utf-8", newline="\n")
        return data
