"""What TA-Lib, pandas, polars and vectorbt make of 10,240 bars: the oracle of docs/conformance.md.

Writes kernels/fixtures/features-<peer>.json, which the tests read, so that they need no Python. A fixture holds what conformance_blocks.py
keeps of each column, not the bars: those are made again from the seed.

    python3 -m venv DIR && DIR/bin/pip install -r bench/peers/requirements-features.txt
    DIR/bin/python bench/peers/feature_fixtures.py && npx biome format --write kernels/fixtures
"""
import functools
import importlib.metadata
import json
import pathlib
import sys

import numpy as np
from conformance_blocks import Kept
from feature_bars import columns, still

ROOT = pathlib.Path(__file__).resolve().parents[2]
STILL = np.flatnonzero(still())
EDGES = np.flatnonzero(np.diff(still())) + 1
SCALES = (1.0, 1e-9, 1e9)
SOME = [(scale, "some") for scale in SCALES]
# To a window of TA-Lib's a missing value is poison, but a late start is none. Its recurrences get the bars that are there (`dropped`).
WINDOWS = [*((scale, "none") for scale in SCALES), (1.0, "leading")]
RECURRENCES = [(1.0, "none"), *SOME]
columns = functools.cache(columns)


def dropped(of):
    """The bars that are there, through `of`, back at their places."""

    def on_present(data):
        there = ~np.isnan(data["close"])
        out = np.full(len(there), np.nan)
        out[there] = of({name: values[there] for name, values in data.items()})
        return out

    return on_present


def finite(values):
    """A quotient by 0 is no value."""
    values = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def cells_of(kept, cells, data_sets):
    """cells: (kernel, params, output, peer's option, function of the columns, more). more: `present`, to compare bars only whose input is there;
    `still`, to keep the suspensions bar by bar, because there only one side has values; `inputs`, columns in place of those named by the feature."""
    made = []
    for kernel, params, output, option, of, *rest in cells:
        more = rest[0] if rest else {}
        cell = {"kernel": kernel, "params": params, "output": output, "option": option, **{k: v for k, v in more.items() if k != "still"}, "runs": []}
        for scale, gaps in data_sets:
            data = columns(scale, gaps)
            with np.errstate(all="ignore"):
                values = np.array(of(data), dtype=np.float64)
            if more.get("present"):
                values[np.isnan(data["close"])] = np.nan
            cell["runs"].append({"scale": scale, "gaps": gaps, "column": kept.keep(values, also="still" if more.get("still") else None)})
        made.append(cell)
    return made


def write(peer, package, cells, kept):
    document = {"peer": peer, "version": importlib.metadata.version(package), "cells": cells, **kept.fields()}
    path = ROOT / f"kernels/fixtures/features-{peer.lower()}.json"
    path.write_text(json.dumps(document, allow_nan=False) + "\n")
    print(f"{path.name}: {len(cells)} cells, {len(kept.columns)} columns, {path.stat().st_size // 1024} kB")


PRESENT = {"present": True}
IN_STILL = {"still": True}


def spoken(options):
    return ", ".join(f"{key}={value!r}" for key, value in options.items())


# ------------------------------------------------------------------------------------------------ TA-Lib


def talib_cells(kept):
    import talib

    def one(name, **options):
        call = getattr(talib, name)
        return f"{name}({spoken(options)})", lambda d: call(d["close"], **options)

    def skipping(name, **options):
        text, of = one(name, **options)
        return text, dropped(of)

    def bands(k):
        return lambda d: talib.BBANDS(d["close"], timeperiod=20, nbdevup=2, nbdevdn=2)[k]

    def macd(k):
        return dropped(lambda d: talib.MACD(d["close"], 12, 26, 9)[k])

    def zscore(d):
        return finite((d["close"] - talib.SMA(d["close"], 20)) / talib.STDDEV(d["close"], 20))

    # The true range of prices that touch 0 is their high: ATR is then the Wilder average of the highs after the first.
    def wilder(d):
        zero = np.where(np.isnan(d["close"]), np.nan, 0.0)
        return talib.ATR(d["close"], zero, zero, 14)

    windows = [
        ("sma", {"window": 20}, "sma", *one("SMA", timeperiod=20)),
        ("sma", {"window": 250}, "sma", *one("SMA", timeperiod=250)),
        ("wma", {"window": 20}, "wma", *one("WMA", timeperiod=20)),
        ("rolling_sum", {"window": 20}, "sum", *one("SUM", timeperiod=20)),
        ("rolling_max", {"window": 20}, "max", *one("MAX", timeperiod=20)),
        ("rolling_min", {"window": 20}, "min", *one("MIN", timeperiod=20)),
        ("rolling_std", {"window": 20, "ddof": 0}, "std", *one("STDDEV", timeperiod=20)),
        ("rolling_var", {"window": 20, "ddof": 0}, "var", *one("VAR", timeperiod=20)),
        ("rolling_zscore", {"window": 20, "ddof": 0}, "zscore", "(x - SMA(timeperiod=20)) / STDDEV(timeperiod=20)", zscore, IN_STILL),
        ("rolling_corr", {"window": 20}, "corr", "CORREL(timeperiod=20)", lambda d: talib.CORREL(d["close"], d["other"], timeperiod=20), IN_STILL),
        ("rolling_beta", {"window": 20}, "beta", "BETA(market, asset, timeperiod=20), of prices", lambda d: talib.BETA(d["close"], d["other"], timeperiod=20),
         {**IN_STILL, "inputs": {"asset": "otherChange", "market": "change"}}),
        ("pct_change", {"periods": 10}, "pct_change", *one("ROCP", timeperiod=10)),
        ("diff", {"periods": 10}, "diff", *one("MOM", timeperiod=10)),
    ]
    windows += [("bollinger", {"window": 20, "ddof": 0}, name, "BBANDS(20, 2, 2)", bands(k)) for k, name in enumerate(("upper", "middle", "lower"))]
    recurrences = [
        ("ema", {"window": 20, "seed": "sma"}, "ema", *skipping("EMA", timeperiod=20)),
        ("rma", {"window": 14, "seed": "sma"}, "rma", "ATR(x, 0, 0, timeperiod=14), x from its second bar", dropped(wilder), {"inputs": {"value": "later"}}),
        ("dema", {"window": 20, "seed": "sma"}, "dema", *skipping("DEMA", timeperiod=20)),
        ("tema", {"window": 20, "seed": "sma"}, "tema", *skipping("TEMA", timeperiod=20)),
        ("rsi", {"window": 14, "smoothing": "wilder", "flat": 0}, "rsi", *skipping("RSI", timeperiod=14)),
        ("atr", {"window": 14, "smoothing": "wilder", "firstRange": "skip"}, "atr", "ATR(timeperiod=14)", dropped(lambda d: talib.ATR(d["high"], d["low"], d["close"], 14))),
    ]
    recurrences += [("macd", {"fast": 12, "slow": 26, "signal": 9, "seed": "sma"}, name, "MACD(12, 26, 9)", macd(k)) for k, name in enumerate(("macd", "signal", "hist"))]
    return cells_of(kept, windows, WINDOWS) + cells_of(kept, recurrences, RECURRENCES)


# ------------------------------------------------------------------------------------------------ pandas


def pandas_cells(kept):
    import pandas as pd

    def close(d):
        return pd.Series(d["close"])

    def rolling(name, window=20, min_periods=None, **options):
        text = ", ".join([f"{window}"] + ([f"min_periods={min_periods}"] if min_periods else []))
        return f"rolling({text}).{name}({spoken(options)})", lambda d: getattr(close(d).rolling(window, min_periods=min_periods), name)(**options)

    def ewm(**options):
        return f"ewm({spoken(options)}).mean()", lambda d: close(d).ewm(**options).mean(), PRESENT

    def series(method, **options):
        return f"{method}({spoken(options)})", lambda d: getattr(close(d), method)(**options)

    def pair(method, **options):
        text = f"rolling(20).{method}({', '.join(['other', *([spoken(options)] if options else [])])})"
        return text, lambda d: getattr(close(d).rolling(20), method)(pd.Series(d["other"]), **options), IN_STILL

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

    def log_volatility(d):
        return np.log(close(d) / close(d).shift(1)).rolling(20, min_periods=10).std() * np.sqrt(252)

    def weighted(window):
        present = ~np.isnan(window)
        return np.average(window[present], weights=np.arange(21 - len(window), 21)[present])

    def session_vwap(d):
        price = (pd.Series(d["high"]) + pd.Series(d["low"]) + close(d)) / 3
        volume, session = pd.Series(d["volume"]), np.floor(np.arange(len(price)) / 78)
        return (price * volume).groupby(session).cumsum() / volume.groupby(session).cumsum()

    def smooth(values, span, min_periods=0):
        return values.ewm(span=span, adjust=False, ignore_na=True, min_periods=min_periods).mean()

    def repeated(times, adjust):
        """Smoothings of smoothings over the values that are there; from the 20th of them on."""

        def of(d):
            e = [close(d)]
            for _ in range(times):
                e.append(e[-1].ewm(span=20, adjust=adjust, min_periods=0).mean())
            value = 2 * e[1] - e[2] if times == 2 else 3 * e[1] - 3 * e[2] + e[3]
            return value.where(np.arange(len(value)) >= 19)

        text = "2 * e - e.ewm(…).mean()" if times == 2 else "3 * e - 3 * e.ewm(…).mean() + e.ewm(…).mean().ewm(…).mean()"
        return f"{text}, span=20, adjust={adjust}", dropped(of)

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
        ("rolling_std", {"window": 20, "ddof": 0}, "std", *rolling("std", ddof=0)),
        ("rolling_var", {"window": 20, "ddof": 1}, "var", *rolling("var")),
        ("wma", few, "wma", "rolling(20, min_periods=5).apply(average of those there, weights 1 to 20)", lambda d: close(d).rolling(20, min_periods=5).apply(weighted, raw=True)),
        ("rolling_min", few, "min", *rolling("min", min_periods=5)),
        ("rolling_max", few, "max", *rolling("max", min_periods=5)),
        ("rolling_median", few, "median", *rolling("median", min_periods=5)),
        ("rolling_skew", few, "skew", *rolling("skew", min_periods=5)),
        ("rolling_kurt", few, "kurt", *rolling("kurt", min_periods=5)),
        ("rolling_zscore", {"window": 20, "ddof": 1}, "zscore", "(x - rolling(20).mean()) / rolling(20).std()", zscore, IN_STILL),
        ("rolling_corr", {"window": 20}, "corr", *pair("corr")),
        ("rolling_cov", {"window": 20, "ddof": 1}, "cov", *pair("cov")),
        ("rolling_cov", {"window": 20, "ddof": 0}, "cov", *pair("cov", ddof=0)),
        ("rolling_beta", {"window": 20}, "beta", "rolling(20).cov(other) / other.rolling(20).var()", beta, IN_STILL),
        ("ema", {"window": 20, "seed": "first", "gaps": "skip", "minPeriods": 1}, "ema", *ewm(span=20, adjust=False, ignore_na=True)),
        ("ema", {"window": 20, "seed": "first", "gaps": "decay", "minPeriods": 1}, "ema", *ewm(span=20, adjust=False, ignore_na=False)),
        ("ema", {"window": 20, "seed": "adjust", "gaps": "skip", "minPeriods": 1}, "ema", *ewm(span=20, adjust=True, ignore_na=True)),
        ("ema", {"window": 20, "seed": "adjust", "gaps": "decay", "minPeriods": 1}, "ema", *ewm(span=20, adjust=True, ignore_na=False)),
        ("rma", {"window": 14, "seed": "adjust", "minPeriods": 14}, "rma", *ewm(alpha=1 / 14, adjust=True, ignore_na=True, min_periods=14)),
        ("rma", {"window": 14, "seed": "first"}, "rma", *ewm(alpha=1 / 14, adjust=False, ignore_na=True, min_periods=14)),
        ("macd", {"seed": "first"}, "macd", "ewm(span=12, adjust=False).mean() - ewm(span=26, adjust=False).mean()", macd, PRESENT),
        ("macd", {"seed": "first"}, "signal", "macd.ewm(span=9, adjust=False).mean()", macd_signal, PRESENT),
        ("vwap", {}, "vwap", "(typical * volume).groupby(session).cumsum() / volume.groupby(session).cumsum()", session_vwap),
        ("cumprod", {}, "cumprod", "cumprod()", lambda d: pd.Series(d["growth"]).cumprod(), {"inputs": {"value": "growth"}}),
        ("pct_change", {"periods": 3}, "pct_change", *series("pct_change", periods=3)),
        ("diff", {"periods": 3}, "diff", *series("diff", periods=3)),
        ("shift", {"periods": 3}, "shift", *series("shift", periods=3)),
        ("log_return", {"periods": 1}, "log_return", "log(x / x.shift(1))", lambda d: np.log(close(d) / close(d).shift(1))),
        ("cumsum", {}, "cumsum", *series("cumsum")),
        ("cummax", {}, "cummax", *series("cummax")),
        ("cummin", {}, "cummin", *series("cummin")),
        ("ffill", {"limit": 2}, "ffill", *series("ffill", limit=2)),
        ("realized_volatility", {"window": 20, "minPeriods": 10, "periodsPerYear": 252}, "volatility", "pct_change().rolling(20, min_periods=10).std() * sqrt(252)", volatility),
        ("realized_volatility", {"window": 20, "minPeriods": 10, "periodsPerYear": 252, "returns": "log"}, "volatility", "log(x / x.shift(1)).rolling(20, min_periods=10).std() * sqrt(252)", log_volatility),
        ("rolling_vwap", {"window": 20, "minPeriods": 15}, "vwap", "(typical * volume).rolling(20).sum() / volume.rolling(20).sum()", vwap),
        ("volume_power", {"window": 20}, "volume_power", "buy.rolling(20).sum() / sell.rolling(20).sum()", power),
        ("bollinger", {"window": 20, "ddof": 1}, "upper", "rolling(20).mean() + 2 * rolling(20).std()", band(1)),
        ("bollinger", {"window": 20, "ddof": 1}, "lower", "rolling(20).mean() - 2 * rolling(20).std()", band(-1)),
    ]
    for seed in ("first", "adjust"):
        rows += [(name, {"window": 20, "seed": seed}, name, *repeated(times, seed == "adjust")) for name, times in (("dema", 2), ("tema", 3))]
    rows += [
        ("rolling_quantile", {**few, "q": 0.3, "interpolation": how}, "quantile", *rolling("quantile", min_periods=5, q=0.3, interpolation=how))
        for how in ("linear", "lower", "higher", "midpoint", "nearest")
    ]
    rows += [("rolling_rank", {**few, "method": how}, "rank", *rolling("rank", min_periods=5, method=how)) for how in ("average", "min", "max")]
    rows += [("rolling_rank", {**few, "ascending": False, "pct": True}, "rank", *rolling("rank", min_periods=5, ascending=False, pct=True))]
    return cells_of(kept, rows, SOME)


# ------------------------------------------------------------------------------------------------ polars


def polars_cells(kept):
    import polars as pl

    def close(d):
        return pl.Series(d["close"]).fill_nan(None)

    def of(method, **options):
        return f"{method}({spoken(options)})", lambda d: getattr(close(d), method)(**options).to_numpy()

    def pair(name, **options):
        def of(d):
            frame = pl.DataFrame({"x": close(d), "y": pl.Series(d["other"]).fill_nan(None)})
            return finite(frame.select(getattr(pl, name)("x", "y", window_size=20, **options)).to_series())

        return f"{name}(x, y, window_size=20)", of, IN_STILL

    def zscore(d):
        x = close(d)
        return finite((x - x.rolling_mean(20)) / x.rolling_std(20))

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
        ("rolling_zscore", {"window": 20, "ddof": 1}, "zscore", "(x - rolling_mean(20)) / rolling_std(20)", zscore, IN_STILL),
        ("rolling_rank", {**few, "method": "average"}, "rank", "rolling_rank(window_size=20, min_samples=5, method='average')", lambda d: close(d).rolling_rank(20, "average", min_samples=5).to_numpy()),
        ("rolling_skew", {**few, "bias": True}, "skew", *of("rolling_skew", **samples, bias=True)),
        ("rolling_skew", {**few, "bias": False}, "skew", *of("rolling_skew", **samples, bias=False)),
        ("rolling_kurt", {**few, "bias": True}, "kurt", *of("rolling_kurtosis", **samples, bias=True)),
        ("rolling_kurt", {**few, "bias": False}, "kurt", *of("rolling_kurtosis", **samples, bias=False)),
        ("rolling_corr", {"window": 20}, "corr", *pair("rolling_corr")),
        ("rolling_cov", {"window": 20, "ddof": 1}, "cov", *pair("rolling_cov")),
        ("ema", {"window": 20, "seed": "first", "gaps": "skip", "minPeriods": 1}, "ema", *of("ewm_mean", span=20, adjust=False, ignore_nulls=True)),
        ("ema", {"window": 20, "seed": "adjust", "gaps": "decay", "minPeriods": 1}, "ema", *of("ewm_mean", span=20, adjust=True, ignore_nulls=False)),
        ("ema", {"window": 20, "seed": "first", "gaps": "decay", "minPeriods": 1}, "ema", *of("ewm_mean", span=20, adjust=False, ignore_nulls=False)),
        ("ema", {"window": 20, "seed": "adjust", "gaps": "skip", "minPeriods": 1}, "ema", *of("ewm_mean", span=20, adjust=True, ignore_nulls=True)),
        ("rma", {"window": 14, "seed": "first"}, "rma", *of("ewm_mean", alpha=1 / 14, adjust=False, ignore_nulls=True, min_samples=14)),
        ("cumprod", {}, "cumprod", "cum_prod()", lambda d: pl.Series(d["growth"]).fill_nan(None).cum_prod().to_numpy(), {"inputs": {"value": "growth"}}),
        ("log_return", {"periods": 1}, "log_return", "(x / x.shift(1)).log()", lambda d: (close(d) / close(d).shift(1)).log().to_numpy()),
        ("pct_change", {"periods": 3}, "pct_change", *of("pct_change", n=3)),
        ("diff", {"periods": 3}, "diff", *of("diff", n=3)),
        ("shift", {"periods": 3}, "shift", *of("shift", n=3)),
        ("cumsum", {}, "cumsum", *of("cum_sum")),
        ("cummax", {}, "cummax", *of("cum_max")),
        ("cummin", {}, "cummin", *of("cum_min")),
        ("ffill", {"limit": 2}, "ffill", *of("forward_fill", limit=2)),
    ]
    rows += [
        ("rolling_quantile", {**few, "q": 0.3, "interpolation": how}, "quantile", *of("rolling_quantile", quantile=0.3, interpolation=how, **samples))
        for how in ("linear", "lower", "higher", "midpoint", "nearest")
    ]
    return cells_of(kept, rows, SOME)


# ------------------------------------------------------------------------------------------------ vectorbt


def vectorbt_cells(kept):
    import pandas as pd
    import vectorbt as vbt

    def series(method, **options):
        return f"vbt.{method}({spoken(options)})", lambda d: getattr(pd.Series(d["close"]).vbt, method)(**options).to_numpy()

    def ma(**options):
        return f"MA.run({spoken(options)})", lambda d: vbt.MA.run(d["close"], **options).ma.to_numpy()

    def rsi(d):
        return vbt.RSI.run(d["close"], window=14, ewm=False).rsi.to_numpy()

    def atr(d):
        return vbt.ATR.run(d["high"], d["low"], d["close"], window=14, ewm=False).atr.to_numpy()

    def macd(name):
        return dropped(lambda d: getattr(vbt.MACD.run(d["close"], 12, 26, 9, macd_ewm=True, signal_ewm=True), name).to_numpy())

    def bands(name):
        return lambda d: getattr(vbt.BBANDS.run(d["close"], window=20, ewm=False, alpha=2), name).to_numpy()

    few = {"window": 20, "minPeriods": 5}
    rows = [
        ("sma", {"window": 20}, "sma", *ma(window=20)),
        ("ema", {"window": 20, "seed": "first", "gaps": "decay"}, "ema", *ma(window=20, ewm=True), PRESENT),
        ("rolling_mean", few, "mean", *series("rolling_mean", window=20, minp=5)),
        ("rolling_std", {"window": 20, "ddof": 0}, "std", "MSTD.run(window=20)", lambda d: vbt.MSTD.run(d["close"], window=20).mstd.to_numpy()),
        ("rolling_std", {**few, "ddof": 1}, "std", *series("rolling_std", window=20, minp=5, ddof=1)),
        ("rolling_min", few, "min", *series("rolling_min", window=20, minp=5)),
        ("rolling_max", few, "max", *series("rolling_max", window=20, minp=5)),
        ("pct_change", {"periods": 3}, "pct_change", *series("pct_change", n=3)),
        ("diff", {"periods": 3}, "diff", *series("diff", n=3)),
        ("shift", {"periods": 3}, "shift", *series("fshift", n=3)),
        ("cumsum", {}, "cumsum", *series("cumsum"), PRESENT),
        ("ffill", {}, "ffill", *series("ffill")),
        ("rsi", {"window": 14, "smoothing": "sma", "flat": "null"}, "rsi", "RSI.run(window=14)", dropped(rsi), IN_STILL),
        ("atr", {"window": 14, "smoothing": "sma", "firstRange": "high-low"}, "atr", "ATR.run(window=14, ewm=False)", dropped(atr)),
    ]
    rows += [("macd", {"seed": "first"}, name, "MACD.run(12, 26, 9, macd_ewm=True, signal_ewm=True)", macd(name)) for name in ("macd", "signal")]
    rows += [("bollinger", {"window": 20, "ddof": 0}, name, "BBANDS.run(window=20, alpha=2)", bands(name)) for name in ("upper", "middle", "lower")]
    return cells_of(kept, rows, SOME)


PEERS = {"TA-Lib": ("TA-Lib", talib_cells), "pandas": ("pandas", pandas_cells), "polars": ("polars", polars_cells), "vectorbt": ("vectorbt", vectorbt_cells)}

if __name__ == "__main__":
    for peer in sys.argv[1:] or PEERS:
        package, cells = PEERS[peer]
        kept = Kept(EDGES, {"still": STILL})
        write(peer, package, cells(kept), kept)
