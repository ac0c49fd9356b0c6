"""A line chart as SVG, for both colour schemes; nothing but text."""
import math

COLOURS = ["#2f6fde", "#d9480f", "#2b8a3e", "#9c36b5", "#868e96", "#e8a200"]
WIDTH, LEGEND, PANEL, LEFT, TOP, BOTTOM = 960, 270, 300, 76, 46, 44
STYLE = """<style>
  text { font: 13px sans-serif; fill: #222 } .title { font-weight: bold; font-size: 15px } .small { font-size: 11px; fill: #666 }
  .frame { fill: none; stroke: #999 } .grid { stroke: #ddd } .back { fill: #fff }
  @media (prefers-color-scheme: dark) { text { fill: #ddd } .small { fill: #aaa } .grid { stroke: #444 } .back { fill: #1b1b1b } }
</style>"""


def short(value):
    for unit, word in ((1 << 20, "M"), (1 << 10, "k")):
        if value >= unit and value % unit == 0:
            return f"{value // unit}{word}"
    return f"{value:g}"


def ticks(low, high, is_log):
    if not is_log:
        step = 10 ** math.floor(math.log10(max(high, 1e-9)))
        step = next(s for s in (step / 5, step / 2, step, step * 2) if high / s <= 6)
        return [i * step for i in range(int(high / step) + 1)]
    out, decade = [], 10 ** math.floor(math.log10(low))
    while decade <= high:
        out += [decade * m for m in (1, 2, 5) if low <= decade * m <= high]
        decade *= 10
    return out


def panel(top, title, unit, xs, series, is_log):
    """One chart: series is {name: {x: (median, low, high)}}."""
    right, bottom = WIDTH - LEGEND, top + PANEL
    values = [v for points in series.values() for p in points.values() for v in p if v > 0]
    low, high = (min(values) / 1.3, max(values) * 1.3) if is_log else (0, max(values) * 1.15)
    scale = (lambda v: math.log(max(v, low))) if is_log else (lambda v: v)
    bottom_value, top_value = scale(low), scale(high)

    def at(x, y):
        share = (math.log(x) - math.log(xs[0])) / (math.log(xs[-1]) - math.log(xs[0]) or 1)
        return LEFT + 20 + share * (right - LEFT - 40), bottom - (scale(y) - bottom_value) / (top_value - bottom_value) * PANEL

    out = [f'<text class="title" x="{LEFT}" y="{top - 14}">{title}</text>', f'<rect class="frame" x="{LEFT}" y="{top}" width="{right - LEFT}" height="{PANEL}"/>']
    for v in ticks(low, high, is_log):
        y = at(xs[0], v)[1]
        out += [f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>',
                f'<text class="small" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{v:g}</text>']
    for x in xs:
        out.append(f'<text class="small" x="{at(x, high)[0]:.1f}" y="{bottom + 16}" text-anchor="middle">{short(x)}</text>')
    for i, (name, points) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in (at(x, p[0]) for x, p in points.items()))
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, (middle, least, most) in points.items():
            (a, b), c, d = at(x, middle), at(x, least)[1], at(x, most)[1]
            out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>',
                    f'<line x1="{a:.1f}" x2="{a:.1f}" y1="{c:.1f}" y2="{d:.1f}" stroke="{colour}"/>']
        y = top + 16 + 20 * i
        out += [f'<line x1="{right + 12}" x2="{right + 34}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>',
                f'<text x="{right + 40}" y="{y + 4}">{name}</text>']
    out.append(f'<text class="small" x="{LEFT - 62}" y="{top - 14}">{unit}</text>')
    return out


def chart(path, head, foot, x_title, panels):
    """panels: [(title, unit, xs, series, is_log)]."""
    height = 40 + len(panels) * (PANEL + TOP + BOTTOM) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">', STYLE,
           f'<rect class="back" width="{WIDTH}" height="{height}"/>', f'<text class="title" x="14" y="24">{head}</text>']
    top = 40 + TOP - 10
    for title, unit, xs, series, is_log in panels:
        out += panel(top, title, unit, xs, series, is_log)
        out.append(f'<text class="small" x="{(LEFT + WIDTH - LEGEND) / 2}" y="{top + PANEL + 32}" text-anchor="middle">{x_title}</text>')
        top += PANEL + TOP + BOTTOM
    out += [f'<text class="small" x="14" y="{height - 10}">{foot}</text>', "</svg>", ""]
    path.write_text("\n".join(out))
