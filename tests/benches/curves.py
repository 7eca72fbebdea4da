#!/usr/bin/env python3
"""Draws what benchmarks have printed: reads their tables (files, or standard input) and writes each picture for whose curves
there are points, such as docs/performance-nodes.svg.

    cargo bench -p lifeboat-tests --no-default-features --bench relay -- idle many | tests/benches/curves.py

A curve is made of the rows of a table that match its picture's pattern: `curve`, `x` and `y`."""

import fileinput
import pathlib
import re

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
PICTURES = [
    {
        "file": "performance-nodes.svg",
        "title": "Resident memory of a relay",
        "x": "nodes",
        "y": "MiB",
        "row": r"(?P<curve>.*), (?P<x>\d+) of them: resident memory \| (?P<y>[\d.]+) MiB",
    },
    {
        "file": "performance-history.svg",
        "title": "What is asked of a store",
        "x": "snapshots in the history",
        "y": "requests",
        "row": r"(?P<x>\d+) \| (?P<curve>(?!pruning)[`a-z][^|]+?) \| (?P<y>\d+) \| \d+ \|",
    },
    {
        "file": "performance-memory.svg",
        "title": "Resident memory at its peak",
        "x": "MB of JSON",
        "y": "MB",
        "row": r"(?P<x>\d+) MB \| (?P<curve>[^|:]+?) \| (?P<y>\d+) MB \|",
    },
    {
        "file": "performance-time.svg",
        "title": "Processor time",
        "x": "MB of JSON",
        "y": "seconds",
        "row": r"(?P<x>\d+) MB \| (?P<curve>[^|:]+?) \| \d+ MB \|.*\| (?P<y>[\d.]+) s \| [\d.]+ s \|",
    },
]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 70, 20, 40, 50
COLOURS = ["#1b6ca8", "#c8553d", "#3b7d4f", "#7a4f9a", "#8a6d1d", "#2aa1b3", "#b03a76", "#5c5c5c"]


def step(most):
    """A round distance between lines, of which there are at most ten."""
    unit = 1
    while True:
        for times in (1, 2, 5):
            if unit * times * 10 >= most:
                return unit * times
        unit *= 10


def text(x, y, said, anchor="middle"):
    said = said.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{said}</text>'


def drawn(picture, curves):
    most_x = max(x for points in curves.values() for x, _ in points)
    most_y = max(y for points in curves.values() for _, y in points)
    step_x, step_y = step(most_x), step(most_y)
    end_x, end_y = -(-most_x // step_x) * step_x, -(-most_y // step_y) * step_y

    def at(x, y):
        return LEFT + (WIDTH - LEFT - RIGHT) * x / end_x, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / end_y

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        text(WIDTH / 2, 22, f"{picture['title']} ({picture['y']}) by {picture['x']}"),
    ]
    for number in range(int(end_x // step_x) + 1):
        x, y = at(number * step_x, 0)
        parts.append(f'<path d="M{x:.1f} {y:.1f}V{TOP}" stroke="#e4e4e4"/>' + text(x, y + 18, f"{number * step_x:,.0f}"))
    for number in range(int(end_y // step_y) + 1):
        x, y = at(0, number * step_y)
        parts.append(f'<path d="M{x:.1f} {y:.1f}H{WIDTH - RIGHT}" stroke="#e4e4e4"/>')
        parts.append(text(x - 8, y + 4, f"{number * step_y:,.0f}", "end"))

    for number, (name, points) in enumerate(curves.items()):
        colour, places = COLOURS[number % len(COLOURS)], [at(x, y) for x, y in sorted(points)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
        y = TOP + 16 + 18 * number
        parts.append(f'<path d="M{LEFT + 12} {y - 4}h18" stroke="{colour}" stroke-width="3"/>' + text(LEFT + 36, y, name, "start"))
    return "\n".join([*parts, "</svg>", ""])


def main():
    rows = list(fileinput.input(encoding="utf-8"))
    for picture in PICTURES:
        curves = {}
        for row in rows:
            if found := re.search(r"\| (?:… )?" + picture["row"], row):
                curves.setdefault(found["curve"], []).append((float(found["x"]), float(found["y"])))
        curves = {name: points for name, points in curves.items() if len(points) > 1}
        if curves:
            (DOCS / picture["file"]).write_text(drawn(picture, curves), encoding="utf-8")
            print(f"docs/{picture['file']}: {', '.join(curves)}")


if __name__ == "__main__":
    main()
