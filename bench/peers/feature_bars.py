"""Bars for the conformance of features: a walk in whole cents from a 32-bit xorshift, the same numbers in kernels/features/testing/conformance-bars.ts."""
import numpy as np

ROWS = 10_240
SEED = 2463534242
OTHER_SEED = 88675123


def walk(seed, rows=ROWS):
    """Columns open, high, low, close and volume as whole numbers (prices in cents)."""
    state = seed

    def draw(below):
        nonlocal state
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        return state % below

    last = 10_000
    out = {name: [] for name in ("open", "high", "low", "close", "volume")}
    for i in range(rows):
        reach = max(4, last // 64)
        opened = last + draw(2 * (reach // 4) + 1) - reach // 4
        closed = max(500, last + draw(2 * reach + 1) - reach)
        high = max(opened, closed) + draw(reach // 2 + 1)
        low = max(100, min(opened, closed) - draw(reach // 2 + 1))
        volume = 1_000 + draw(100_000)
        if 700 <= i % 1499 < 760:
            # A suspension: the price stands still.
            opened = high = low = closed = last
        last = closed
        for name, value in zip(out, (opened, high, low, closed, volume)):
            out[name].append(value)
    return out


def still(rows=ROWS):
    """Bars of a suspension."""
    i = np.arange(rows)
    return (i % 1499 >= 700) & (i % 1499 < 760)


def missing(rows=ROWS):
    """Where a series with gaps has none: runs of five, single bars, the first bar."""
    i = np.arange(rows)
    return (i % 997 < 5) | (i % 89 == 0)


LEADING = 37  # bars that a series with a late start lacks


def columns(scale=1.0, gaps="none"):
    """Float columns of the inputs that features name; prices times scale. gaps: "none", "leading" (a late start) or "some"."""
    first, second = walk(SEED), walk(OTHER_SEED)
    data = {name: np.array(first[name], dtype=np.float64) / 100 * scale for name in ("open", "high", "low", "close")}
    data["volume"] = np.array(first["volume"], dtype=np.float64)
    data["other"] = np.array(second["close"], dtype=np.float64) / 100 * scale
    data["otherVolume"] = np.array(second["volume"], dtype=np.float64)
    data["session"] = np.floor(np.arange(len(data["close"])) / 78)
    whole = np.array(first["close"], dtype=np.float64)
    data["growth"] = whole / np.concatenate([whole[:1], whole[:-1]])
    if gaps != "none":
        gone = missing() if gaps == "some" else np.arange(ROWS) < LEADING
        for values in data.values():
            values[gone] = np.nan
    for name, of in (("change", "close"), ("otherChange", "other")):
        before = np.concatenate([[np.nan], data[of][:-1]])
        data[name] = (data[of] - before) / before
    # All but the first that is there.
    data["later"] = data["close"].copy()
    data["later"][np.flatnonzero(~np.isnan(data["close"]))[0]] = np.nan
    return data
