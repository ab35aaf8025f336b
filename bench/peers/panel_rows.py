"""A (date, symbol) panel from a 32-bit xorshift: the same numbers in kernels/panel/testing/conformance-panel.ts.

Symbols enter and leave, rows are not there, values are missing or equal, one sector is null, and now and then a column is constant on a date.
"""
import numpy as np
import pandas as pd

DATES, SYMBOLS = 270, 44
SEED = 2463534242


def rows():
    """Whole numbers (values in hundredths), None where missing."""
    state = SEED

    def draw(below):
        nonlocal state
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        return state % below

    close = [10_000] * SYMBOLS
    made = []
    for d in range(DATES):
        for s in range(SYMBOLS):
            x = 4_000 + sum(draw(3_001) for _ in range(4))
            y = 3 * x // 10 + draw(3_001)
            tied = 200 if d % 90 == 7 else 100 * draw(6)
            size = 500 + draw(100) * draw(100) * draw(10)
            reach = max(4, close[s] // 64)
            close[s] = max(500, close[s] + draw(2 * reach + 1) - reach)
            no_row, no_x, no_tied, no_close = (draw(n) == 0 for n in (20, 12, 12, 50))
            if no_row or (s % 10 == 3 and d > 180) or (s % 10 == 5 and d < 90):
                continue
            made.append({
                "day": 19_000 + d,
                "symbol": f"S{s:02d}",
                "sector": None if s == 11 else "ABC"[s % 3],
                "x": None if no_x else x,
                "tied": None if no_tied else tied,
                "y": y,
                "size": size,
                "close": None if no_close else close[s],
            })
    return made


def panel(scale):
    frame = pd.DataFrame(rows())
    for name in ("x", "tied", "y", "size", "close"):
        frame[name] = frame[name].astype(np.float64) / 100 * scale
    return frame
