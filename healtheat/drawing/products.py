"""The demo's products: fictional pills with Korean names, many of them look-alikes.

Codes lie above AI Hub's own range. As there, the class id is the drug code minus 1, so ids are sparse.
Names are invented from everyday words; likeness to a real brand is chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Product:
    """One pill product, as the renderer needs it.

    `front` and `back` say what is on a side: text; "|" a score line; "A|B" text on both sides of it;
    "+" a cross; "" nothing. Text is pressed into the surface unless `ink` names a print colour.
    """

    code: int  # drug code; printed with six digits in file names
    name: str
    group: str  # look-alikes share it; "" for a product of its own
    shape: str  # round, oval, oblong, capsule, softgel, triangle, square, hexagon
    length_mm: float
    width_mm: float
    colour: str  # sRGB "#rrggbb"
    front: str = ""
    back: str = ""
    colour2: str = ""  # the other half of a capsule
    ink: str = ""
    dome: float = 0.5  # 0 flat with bevelled rim … 1 strongly biconvex
    gloss: float = 0.15  # 0 chalky … 1 polished film coat
    speckle: float = 0.3  # how grainy the pressed powder looks

    @property
    def class_id(self) -> int:
        """The YOLO class id: drug code minus 1, as AI Hub numbers its categories."""
        return self.code - 1


def _round_white() -> list[Product]:
    look: dict[str, Any] = {"group": "white round", "shape": "round", "colour": "#f3f1ea"}
    rows = [
        (50104, "가온누리정 5mg", 8.0, "GN", "", 0.25, 0.08),
        (50111, "가온누리정 10mg", 8.6, "GN", "10", 0.25, 0.08),
        (50187, "다솜결정 2mg", 8.0, "D|2", "", 0.10, 0.05),
        (50230, "해밀찬정", 8.2, "|", "HM", 0.15, 0.06),
        (50318, "늘봄새정 25mg", 8.0, "+", "", 0.10, 0.05),
        (50372, "미리내온정 1mg", 7.2, "M1", "|", 0.35, 0.12),
        (50405, "온새빛정", 8.4, "", "|", 0.30, 0.10),
    ]
    return [
        Product(code, name, length_mm=mm, width_mm=mm, front=f, back=b, dome=d, gloss=g, **look)
        for code, name, mm, f, b, d, g in rows
    ]


def _capsules() -> list[Product]:
    look: dict[str, Any] = {
        "shape": "capsule",
        "length_mm": 17.8,
        "width_mm": 6.4,
        "gloss": 0.9,
        "speckle": 0.0,
    }
    green = {"group": "green capsule", **look}
    blue = {"group": "blue capsule", **look}
    return [
        Product(
            50533,
            "푸르닌캡슐 100mg",
            colour="#eeeadf",
            colour2="#3f8f5f",
            front="PR 100",
            ink="#30363a",
            **green,
        ),
        Product(
            50534,
            "푸르닌캡슐 200mg",
            colour="#eeeadf",
            colour2="#3a8a66",
            front="PR 200",
            ink="#30363a",
            **green,
        ),
        Product(50610, "솔잎새캡슐", colour="#ece8da", colour2="#56965a", front="SL", ink="#2e4033", **green),
        Product(50671, "여름숲캡슐 75mg", colour="#e9e6d2", colour2="#2f8a6d", **green),
        Product(
            50702, "바다온캡슐 20mg", colour="#f0eee6", colour2="#33629e", front="BD20", ink="#f2f2f2", **blue
        ),
        Product(50719, "물빛찬캡슐", colour="#ecebe4", colour2="#3a6da8", front="MB", ink="#27303a", **blue),
        Product(50744, "하늘닿캡슐 40mg", colour="#f2f1ec", colour2="#2f5b93", **blue),
    ]


def _yellow_oblong() -> list[Product]:
    look: dict[str, Any] = {
        "group": "yellow oblong",
        "shape": "oblong",
        "dome": 0.55,
        "gloss": 0.45,
        "speckle": 0.12,
    }
    rows = [
        (50815, "노을빛정 50mg", 15.0, 6.6, "#e7c350", "NB|50", ""),
        (50816, "노을빛정 100mg", 15.4, 6.8, "#e6c04a", "NB 100", ""),
        (50877, "은행마루정", 15.0, 6.8, "#e3c45f", "|", "EM"),
        (50902, "해바람정 500mg", 16.2, 7.0, "#e8c95f", "HB500", "|"),
    ]
    return [
        Product(c, n, length_mm=a, width_mm=b, colour=k, front=f, back=r, **look)
        for c, n, a, b, k, f, r in rows
    ]


def _white_oblong() -> list[Product]:
    look: dict[str, Any] = {"group": "white oblong", "shape": "oblong", "colour": "#f2f0ea", "dome": 0.5}
    rows = [
        (51020, "새벽솔정 650mg", 17.2, 7.2, "SS|650", "", 0.2),
        (51033, "달하늬정", 17.0, 7.2, "DH", "|", 0.25),
        (51058, "큰숨결정 400mg", 16.4, 7.4, "KS 400", "", 0.3),
        (51090, "여울목정", 16.8, 7.0, "|", "", 0.15),
    ]
    return [
        Product(c, n, length_mm=a, width_mm=b, front=f, back=r, gloss=g, **look)
        for c, n, a, b, f, r, g in rows
    ]


def _round_coloured() -> list[Product]:
    pink: dict[str, Any] = {"group": "pink round", "shape": "round", "dome": 0.45, "gloss": 0.35}
    yellow: dict[str, Any] = {
        "group": "yellow round",
        "shape": "round",
        "dome": 0.2,
        "gloss": 0.1,
        "speckle": 0.5,
    }
    coat: dict[str, Any] = {
        "group": "brown coated",
        "shape": "round",
        "dome": 0.95,
        "gloss": 0.85,
        "speckle": 0.0,
    }
    rows = [
        (51211, "분홍별정 5mg", 7.8, "#e9b0ac", "BB", "5", pink),
        (51212, "분홍별정 10mg", 7.9, "#e7a9a8", "BB", "10", pink),
        (51266, "꽃다온정", 8.1, "#e6b3ab", "|", "", pink),
        (51302, "민들레온정 4mg", 7.2, "#ecd890", "M|4", "", yellow),
        (51340, "보리결정", 7.4, "#e9d795", "|", "BG", yellow),
        (51377, "잔디별정 8mg", 7.2, "#e8d283", "JB8", "", yellow),
        (51420, "밤톨온정", 9.6, "#7d3b22", "", "", coat),
        (51455, "알밤새정", 9.2, "#8a4527", "", "", coat),
    ]
    return [
        Product(c, n, length_mm=mm, width_mm=mm, colour=k, front=f, back=b, **look)
        for c, n, mm, k, f, b, look in rows
    ]


def _others() -> list[Product]:
    gel: dict[str, Any] = {
        "group": "amber softgel",
        "shape": "softgel",
        "gloss": 1.0,
        "speckle": 0.0,
        "dome": 1.0,
    }
    coat: dict[str, Any] = {"gloss": 0.4, "speckle": 0.12}
    return [
        Product(51604, "금빛샘연질캡슐", length_mm=15.5, width_mm=8.6, colour="#c9872a", **gel),
        Product(51639, "참깨온연질캡슐", length_mm=14.8, width_mm=8.8, colour="#bd7420", **gel),
        Product(51705, "쪽빛담정 30mg", "", "oval", 12.6, 7.4, "#7fa6cf", "JB", "30", **coat),
        Product(51728, "연두숲정", "", "square", 8.6, 8.6, "#bcd3a0", "Y|S", "", dome=0.2, **coat),
        Product(51766, "살구별정 15mg", "", "triangle", 9.8, 9.8, "#eeb98f", "SG", "15", dome=0.3, **coat),
        Product(51801, "보라샛정", "", "round", 9.0, 9.0, "#b29cc8", "BS", "|", dome=0.6, **coat),
        Product(51839, "여섯모정 60mg", "", "hexagon", 9.4, 9.4, "#e8e3d2", "Y6", "", dome=0.15),
        Product(
            51870,
            "붉은노을캡슐",
            "",
            "capsule",
            19.0,
            6.9,
            "#b3302d",
            colour2="#8f2226",
            gloss=0.9,
            speckle=0.0,
        ),
        Product(51902, "검은콩온정", "", "oval", 13.4, 8.0, "#4d4a4b", "KK", "", dome=0.7, **coat),
        Product(51944, "귤빛나정 120mg", "", "oval", 14.0, 7.8, "#e8893f", "GB", "|", dome=0.6, **coat),
    ]


PRODUCTS: tuple[Product, ...] = (
    *_round_white(),
    *_capsules(),
    *_yellow_oblong(),
    *_white_oblong(),
    *_round_coloured(),
    *_others(),
)


def look_alikes(product: Product) -> tuple[Product, ...]:
    """The other products that are easily taken for `product`; () for one that stands alone."""
    if not product.group:
        return ()
    return tuple(p for p in PRODUCTS if p.group == product.group and p.code != product.code)
