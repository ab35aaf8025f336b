"""What TA-Lib, pandas, polars and vectorbt make of 10,240 bars: the oracle of docs/conformance.md.

Writes worker/kernels/fixtures/features-<peer>.json, which the tests read, so that they need no Python. A fixture holds a sample of each
column (its first bars, every so many after them, and a suspension), not the bars: those are made again from the seed.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install -r bench/peers/requirements-features.txt
    /tmp/peers/bin/python bench/peers/feature_fixtures.py && npx biome format --write worker/kernels/fixtures
"""
import base64
import importlib.metadata
import json
import pathlib
import sys

import numpy as np
from feature_bars import columns

ROOT = pathlib.Path(__file__).resolve().parents[2]
DENSE = {"first": 64, "every": 61}
SPARSE = {"first": 40, "every": 331}
# In the first suspension, on its way in and on its way out.
SUSPENSION = np.arange(696, 784, 4)
PLAIN = [(1.0, False), (1e-9, False), (1e9, False)]
GAPS = [(1.0, True), (1e-9, True), (1e9, True)]


def sample(values, first, every):
    index = np.unique(np.concatenate([np.arange(first), np.arange(first, len(values), every), SUSPENSION]))
    return base64.b64encode(np.asarray(values, dtype="<f8")[index].tobytes()).decode()


def cells_of(cells, data_sets):
    """cells: (kernel, params, output, peer's option, function of the columns); then True to compare bars that are present only, or other inputs."""
    made = []
    for scale, gaps in data_sets:
        data = columns(scale, gaps)
        for kernel, params, output, option, of, *rest in cells:
            density = DENSE if scale == 1.0 else SPARSE
            cell = {"kernel": kernel, "params": params, "output": output, "option": option, "scale": scale, "gaps": gaps, **density}
            if rest:
                cell.update({"present": True} if rest[0] is True else {"inputs": rest[0]})
            made.append({**cell, "values": sample(of(data), **density)})
    return made


def write(peer, package, cells):
    document = {"peer": peer, "version": importlib.metadata.version(package), "cells": cells}
    text = "{" + ",".join(f'"{key}":{json.dumps(document[key])}' for key in ("peer", "version"))
    text += ',"cells":[\n' + ",\n".join(json.dumps(cell, separators=(",", ":")) for cell in cells) + "\n]}\n"
    path = ROOT / f"worker/kernels/fixtures/features-{peer.lower()}.json"
    path.write_text(text)
    print(f"{path.name}: {len(cells)} columns, {len(text) // 1024} kB")


# ------------------------------------------------------------------------------------------------ TA-Lib


def talib_cells():
    import talib

    def bands(k):
        return lambda d: talib.BBANDS(d["close"], timeperiod=20, nbdevup=2, nbdevdn=2)[k]

    def macd(k):
        return lambda d: talib.MACD(d["close"], 12, 26, 9)[k]

    def one(name, **options):
        call = getattr(talib, name)
        text = f"{name}({', '.join(f'{key}={value}' for key, value in options.items())})"
        return text, lambda d: call(d["close"], **options)

    rows = [
        ("sma", {"window": 20}, "sma", *one("SMA", timeperiod=20)),
        ("sma", {"window": 250}, "sma", *one("SMA", timeperiod=250)),
        ("wma", {"window": 20}, "wma", *one("WMA", timeperiod=20)),
        ("ema", {"window": 20, "seed": "sma"}, "ema", *one("EMA", timeperiod=20)),
        ("dema", {"window": 20, "seed": "sma"}, "dema", *one("DEMA", timeperiod=20)),
        ("tema", {"window": 20, "seed": "sma"}, "tema", *one("TEMA", timeperiod=20)),
        ("rolling_sum", {"window": 20}, "sum", *one("SUM", timeperiod=20)),
        ("rolling_max", {"window": 20}, "max", *one("MAX", timeperiod=20)),
        ("rolling_min", {"window": 20}, "min", *one("MIN", timeperiod=20)),
        ("rolling_std", {"window": 20, "ddof": 0}, "std", *one("STDDEV", timeperiod=20)),
        ("rolling_var", {"window": 20, "ddof": 0}, "var", *one("VAR", timeperiod=20)),
        ("rolling_corr", {"window": 20}, "corr", "CORREL(timeperiod=20)", lambda d: talib.CORREL(d["close"], d["other"], timeperiod=20)),
        ("pct_change", {"periods": 10}, "pct_change", *one("ROCP", timeperiod=10)),
        ("diff", {"periods": 10}, "diff", *one("MOM", timeperiod=10)),
        ("rsi", {"window": 14, "smoothing": "wilder", "flat": 0}, "rsi", *one("RSI", timeperiod=14)),
        ("atr", {"window": 14, "smoothing": "wilder", "firstRange": "skip"}, "atr", "ATR(timeperiod=14)", lambda d: talib.ATR(d["high"], d["low"], d["close"], 14)),
    ]
    rows += [("bollinger", {"window": 20, "ddof": 0}, name, "BBANDS(20, 2, 2)", bands(k)) for k, name in enumerate(("upper", "middle", "lower"))]
    rows += [("macd", {"fast": 12, "slow": 26, "signal": 9, "seed": "sma"}, name, "MACD(12, 26, 9)", macd(k)) for k, name in enumerate(("macd", "signal", "hist"))]
    return cells_of(rows, PLAIN)


# ------------------------------------------------------------------------------------------------ pandas


def pandas_cells():
    import pandas as pd

    def close(d):
        return pd.Series(d["close"])

    def rolling(name, window=20, min_periods=None, **options):
        text = ", ".join([f"{window}"] + ([f"min_periods={min_periods}"] if min_periods else []))
        inner = ", ".join(f"{key}={value!r}" for key, value in options.items())
        return f"rolling({text}).{name}({inner})", lambda d: getattr(close(d).rolling(window, min_periods=min_periods), name)(**options)

    def ewm(**options):
        inner = ", ".join(f"{key}={value}" for key, value in options.items())
        return f"ewm({inner}).mean()", lambda d: close(d).ewm(**options).mean(), True

    def series(method, **options):
        inner = ", ".join(f"{key}={value}" for key, value in options.items())
        return f"{method}({inner})", lambda d: getattr(close(d), method)(**options)

    def pair(method, **options):
        return f"rolling(20).{method}(other)", lambda d: getattr(close(d).rolling(20), method)(pd.Series(d["other"]), **options)

    def zscore(d):
        window = close(d).rolling(20)
        return (close(d) - window.mean()) / window.std()

    def beta(d):
        other = pd.Series(d["other"])
        return close(d).rolling(20).cov(other) / other.rolling(20).var()

    def vwap(d):
        price = (pd.Series(d["high"]) + pd.Series(d["low"]) + close(d)) / 3
        volume = pd.Series(d["volume"])
        return (price * volume).rolling(20, min_periods=15).sum() / volume.rolling(20, min_periods=15).sum()

    def power(d):
        return pd.Series(d["volume"]).rolling(20).sum() / pd.Series(d["otherVolume"]).rolling(20).sum()

    def volatility(d):
        return close(d).pct_change().rolling(20, min_periods=10).std() * np.sqrt(252)

    def session_vwap(d):
        price = (pd.Series(d["high"]) + pd.Series(d["low"]) + close(d)) / 3
        volume, session = pd.Series(d["volume"]), np.floor(np.arange(len(price)) / 78)
        return (price * volume).groupby(session).cumsum() / volume.groupby(session).cumsum()

    def smooth(values, span, min_periods=0):
        return values.ewm(span=span, adjust=False, ignore_na=True, min_periods=min_periods).mean()

    def dema(d):
        first = smooth(close(d), 20).where(close(d).notna())
        return 2 * first - smooth(first, 20, 20)

    def macd(d):
        return smooth(close(d), 12) - smooth(close(d), 26, 26)

    def macd_signal(d):
        return smooth((smooth(close(d), 12) - smooth(close(d), 26)).where(close(d).notna()), 9, 34)

    def band(sign):
        return lambda d: close(d).rolling(20).mean() + sign * 2 * close(d).rolling(20).std()

    few = {"window": 20, "minPeriods": 5}
    rows = [
        ("rolling_sum", {"window": 20}, "sum", *rolling("sum")),
        ("rolling_sum", few, "sum", *rolling("sum", min_periods=5)),
        ("rolling_mean", {"window": 250}, "mean", *rolling("mean", 250)),
        ("rolling_mean", few, "mean", *rolling("mean", min_periods=5)),
        ("rolling_std", {"window": 20, "ddof": 1}, "std", *rolling("std")),
        ("rolling_std", {**few, "ddof": 1}, "std", *rolling("std", min_periods=5)),
        ("rolling_var", {**few, "ddof": 0}, "var", *rolling("var", min_periods=5, ddof=0)),
        ("rolling_min", few, "min", *rolling("min", min_periods=5)),
        ("rolling_max", few, "max", *rolling("max", min_periods=5)),
        ("rolling_median", few, "median", *rolling("median", min_periods=5)),
        ("rolling_skew", few, "skew", *rolling("skew", min_periods=5)),
        ("rolling_kurt", few, "kurt", *rolling("kurt", min_periods=5)),
        ("rolling_zscore", {"window": 20, "ddof": 1}, "zscore", "(x - rolling(20).mean()) / rolling(20).std()", zscore),
        ("rolling_corr", {"window": 20}, "corr", *pair("corr")),
        ("rolling_cov", {"window": 20, "ddof": 1}, "cov", *pair("cov")),
        ("rolling_beta", {"window": 20}, "beta", "rolling(20).cov(other) / other.rolling(20).var()", beta),
        ("ema", {"window": 20, "seed": "first", "gaps": "skip", "minPeriods": 1}, "ema", *ewm(span=20, adjust=False, ignore_na=True)),
        ("ema", {"window": 20, "seed": "first", "gaps": "decay", "minPeriods": 1}, "ema", *ewm(span=20, adjust=False, ignore_na=False)),
        ("ema", {"window": 20, "seed": "adjust", "gaps": "skip", "minPeriods": 1}, "ema", *ewm(span=20, adjust=True, ignore_na=True)),
        ("ema", {"window": 20, "seed": "adjust", "gaps": "decay", "minPeriods": 1}, "ema", *ewm(span=20, adjust=True, ignore_na=False)),
        ("rma", {"window": 14, "seed": "adjust", "minPeriods": 14}, "rma", *ewm(alpha=1 / 14, adjust=True, ignore_na=True, min_periods=14)),
        ("dema", {"window": 20, "seed": "first"}, "dema", "2 * e - e.ewm(span=20, adjust=False).mean()", dema, True),
        ("macd", {"seed": "first"}, "macd", "ewm(span=12, adjust=False).mean() - ewm(span=26, adjust=False).mean()", macd, True),
        ("macd", {"seed": "first"}, "signal", "macd.ewm(span=9, adjust=False).mean()", macd_signal, True),
        ("vwap", {}, "vwap", "(typical * volume).groupby(session).cumsum() / volume.groupby(session).cumsum()", session_vwap),
        ("cumprod", {}, "cumprod", "cumprod()", lambda d: pd.Series(d["growth"]).cumprod(), {"value": "growth"}),
        ("pct_change", {"periods": 3}, "pct_change", *series("pct_change", periods=3)),
        ("diff", {"periods": 3}, "diff", *series("diff", periods=3)),
        ("shift", {"periods": 3}, "shift", *series("shift", periods=3)),
        ("log_return", {"periods": 1}, "log_return", "log(x / x.shift(1))", lambda d: np.log(close(d) / close(d).shift(1))),
        ("cumsum", {}, "cumsum", *series("cumsum")),
        ("cummax", {}, "cummax", *series("cummax")),
        ("cummin", {}, "cummin", *series("cummin")),
        ("ffill", {"limit": 2}, "ffill", *series("ffill", limit=2)),
        ("realized_volatility", {"window": 20, "minPeriods": 10, "periodsPerYear": 252}, "volatility", "pct_change().rolling(20, min_periods=10).std() * sqrt(252)", volatility),
        ("rolling_vwap", {"window": 20, "minPeriods": 15}, "vwap", "(typical * volume).rolling(20).sum() / volume.rolling(20).sum()", vwap),
        ("volume_power", {"window": 20}, "volume_power", "buy.rolling(20).sum() / sell.rolling(20).sum()", power),
        ("bollinger", {"window": 20, "ddof": 1}, "upper", "rolling(20).mean() + 2 * rolling(20).std()", band(1)),
        ("bollinger", {"window": 20, "ddof": 1}, "lower", "rolling(20).mean() - 2 * rolling(20).std()", band(-1)),
    ]
    rows += [
        ("rolling_quantile", {**few, "q": 0.3, "interpolation": how}, "quantile", *rolling("quantile", min_periods=5, q=0.3, interpolation=how))
        for how in ("linear", "lower", "higher", "midpoint", "nearest")
    ]
    rows += [("rolling_rank", {**few, "method": how}, "rank", *rolling("rank", min_periods=5, method=how)) for how in ("average", "min", "max")]
    rows += [("rolling_rank", {**few, "ascending": False, "pct": True}, "rank", *rolling("rank", min_periods=5, ascending=False, pct=True))]
    return cells_of(rows, GAPS)


# ------------------------------------------------------------------------------------------------ polars


def polars_cells():
    import polars as pl

    def close(d):
        return pl.Series(d["close"]).fill_nan(None)

    def of(method, **options):
        inner = ", ".join(f"{key}={value!r}" for key, value in options.items())
        return f"{method}({inner})", lambda d: getattr(close(d), method)(**options).to_numpy()

    def pair(name, **options):
        call = getattr(pl, name)
        frame = pl.DataFrame
        return f"{name}(x, y, window_size=20)", lambda d: frame({"x": close(d), "y": pl.Series(d["other"]).fill_nan(None)}).select(
            call("x", "y", window_size=20, **options)
        ).to_series().to_numpy()

    few = {"window": 20, "minPeriods": 5}
    samples = {"window_size": 20, "min_samples": 5}
    rows = [
        ("rolling_sum", few, "sum", *of("rolling_sum", **samples)),
        ("rolling_mean", few, "mean", *of("rolling_mean", **samples)),
        ("rolling_std", {**few, "ddof": 1}, "std", *of("rolling_std", **samples)),
        ("rolling_var", {**few, "ddof": 0}, "var", *of("rolling_var", **samples, ddof=0)),
        ("rolling_min", few, "min", *of("rolling_min", **samples)),
        ("rolling_max", few, "max", *of("rolling_max", **samples)),
        ("rolling_median", few, "median", *of("rolling_median", **samples)),
        ("rolling_quantile", {**few, "q": 0.3, "interpolation": "linear"}, "quantile", *of("rolling_quantile", quantile=0.3, interpolation="linear", **samples)),
        ("rolling_skew", {**few, "bias": True}, "skew", *of("rolling_skew", **samples, bias=True)),
        ("rolling_skew", {**few, "bias": False}, "skew", *of("rolling_skew", **samples, bias=False)),
        ("rolling_kurt", {**few, "bias": True}, "kurt", *of("rolling_kurtosis", **samples, bias=True)),
        ("rolling_corr", {"window": 20}, "corr", *pair("rolling_corr")),
        ("rolling_cov", {"window": 20, "ddof": 1}, "cov", *pair("rolling_cov")),
        ("ema", {"window": 20, "seed": "first", "gaps": "skip", "minPeriods": 1}, "ema", *of("ewm_mean", span=20, adjust=False, ignore_nulls=True)),
        ("ema", {"window": 20, "seed": "adjust", "gaps": "decay", "minPeriods": 1}, "ema", *of("ewm_mean", span=20, adjust=True, ignore_nulls=False)),
        ("pct_change", {"periods": 3}, "pct_change", *of("pct_change", n=3)),
        ("diff", {"periods": 3}, "diff", *of("diff", n=3)),
        ("shift", {"periods": 3}, "shift", *of("shift", n=3)),
        ("cumsum", {}, "cumsum", *of("cum_sum")),
        ("cummax", {}, "cummax", *of("cum_max")),
        ("cummin", {}, "cummin", *of("cum_min")),
        ("ffill", {"limit": 2}, "ffill", *of("forward_fill", limit=2)),
    ]
    return cells_of(rows, GAPS)


# ------------------------------------------------------------------------------------------------ vectorbt


def vectorbt_cells():
    import vectorbt as vbt

    def rsi(d):
        return vbt.RSI.run(d["close"], window=14, ewm=False).rsi.to_numpy()

    def atr(ewm):
        return lambda d: vbt.ATR.run(d["high"], d["low"], d["close"], window=14, ewm=ewm).atr.to_numpy()

    def bands(name):
        return lambda d: getattr(vbt.BBANDS.run(d["close"], window=20, ewm=False, alpha=2), name).to_numpy()

    rows = [
        ("sma", {"window": 20}, "sma", "MA.run(window=20)", lambda d: vbt.MA.run(d["close"], window=20).ma.to_numpy()),
        ("ema", {"window": 20, "seed": "first"}, "ema", "MA.run(window=20, ewm=True)", lambda d: vbt.MA.run(d["close"], window=20, ewm=True).ma.to_numpy()),
        ("rolling_std", {"window": 20, "ddof": 0}, "std", "MSTD.run(window=20)", lambda d: vbt.MSTD.run(d["close"], window=20).mstd.to_numpy()),
        ("rsi", {"window": 14, "smoothing": "sma", "flat": "null"}, "rsi", "RSI.run(window=14)", rsi),
        ("atr", {"window": 14, "smoothing": "sma", "firstRange": "high-low"}, "atr", "ATR.run(window=14, ewm=False)", atr(False)),
    ]
    rows += [("bollinger", {"window": 20, "ddof": 0}, name, "BBANDS.run(window=20, alpha=2)", bands(name)) for name in ("upper", "middle", "lower")]
    return cells_of(rows, PLAIN)


PEERS = {"TA-Lib": ("TA-Lib", talib_cells), "pandas": ("pandas", pandas_cells), "polars": ("polars", polars_cells), "vectorbt": ("vectorbt", vectorbt_cells)}

if __name__ == "__main__":
    for peer in sys.argv[1:] or PEERS:
        package, cells = PEERS[peer]
        write(peer, package, cells())
