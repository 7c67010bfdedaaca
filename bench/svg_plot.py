"""Line plots as SVG, for documents: white ground, so that they can be read on a dark page, too."""

import html
import math

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
DASHES = ("", "6 3", "2 2")
LEFT, TOP, WIDTH, HEIGHT, GAP = 52, 30, 300, 210, 68


def ticks(low, high, log):
    """1, 2 and 5 times powers of ten within the range; for a linear axis steps of such a size, about five."""
    if log:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        return [f * 10**p for p in powers for f in (1, 2, 5) if low <= f * 10**p <= high]
    power = 10 ** math.floor(math.log10((high - low) / 5))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= (high - low) / 5)
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def scale(values, log):
    low, high = min(values), max(values)
    if high <= low:
        low, high = low * 0.9 - (not log), high * 1.1 + 1
    at = math.log if log else float
    return low, high, lambda value: (at(value) - at(low)) / (at(high) - at(low))


def panel(left, title, x_title, lines, log_y, bold):
    """One plot: {name: [(x, y), ...]}."""
    x_low, x_high, x_of = scale([x for line in lines.values() for x, _ in line], False)
    y_low, y_high, y_of = scale([y for line in lines.values() for _, y in line], log_y)
    across = lambda x: left + WIDTH * x_of(x)
    down = lambda y: TOP + HEIGHT * (1 - y_of(y))
    out = [f'<text x="{left}" y="18" font-weight="600">{html.escape(title)}</text>']
    for x in sorted({x for line in lines.values() for x, _ in line}):
        out.append(f'<path class="g" d="M{across(x):.1f} {TOP}v{HEIGHT}"/>'
                   f'<text x="{across(x):.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{x:g}</text>')
    for y in ticks(y_low, y_high, log_y):
        out.append(f'<path class="g" d="M{left} {down(y):.1f}h{WIDTH}"/>'
                   f'<text x="{left - 6}" y="{down(y) + 4:.1f}" text-anchor="end">{y:g}</text>')
    out.append(f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 34}" text-anchor="middle">{html.escape(x_title)}'
               "</text>")
    for place, (name, line) in enumerate(lines.items()):
        points = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in line)
        out.append(f'<polyline points="{points}" {look(place, name == bold)}/>')
    return out


def look(place, bold):
    dash = DASHES[place // len(COLOURS) % len(DASHES)]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'fill="none" stroke="{COLOURS[place % len(COLOURS)]}" stroke-width="{3.5 if bold else 1.6}"{dashed}'


def plots(panels, x_title, bold):
    """Panels side by side with one legend. `panels`: (title, {name: points}, whether y is logarithmic), of the same
    names in the same order."""
    out = []
    for i, (title, lines, log_y) in enumerate(panels):
        out += panel(LEFT + i * (WIDTH + GAP), title, x_title, lines, log_y, bold)
    right = LEFT + len(panels) * (WIDTH + GAP) - GAP + 16
    for place, name in enumerate(panels[0][1]):
        y = TOP + 10 + 19 * place
        out.append(f'<path d="M{right} {y}h26" {look(place, name == bold)}/>'
                   f'<text x="{right + 32}" y="{y + 4}">{html.escape(name)}</text>')
    width, height = right + 250, max(TOP + HEIGHT + 44, TOP + 19 * len(panels[0][1]) + 12)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
            "<style>text{font:12px system-ui,sans-serif;fill:#1b1f24}.g{stroke:#d8dee4}</style>"
            f'<rect width="{width}" height="{height}" fill="#fff"/>\n' + "\n".join(out) + "\n</svg>\n")
