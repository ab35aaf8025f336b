"""TA-Lib, pandas, polars, vectorbt and numpy on the other features of `npm run bench -- kernels`: a line of JSON in, a line of JSON out.

Every peer runs on one core, from its own native layout into arrays it allocates, as its callers get them. First command:
{"measure": "load", "path", "rows", "columns", "parts": [name, ...]}: that many parts of float64, one column behind the other. Then
{"measure": kernel, "peer": name, "runs": n} -> {"times": [ms, ...]}, or {"times": []} where that peer has no such kernel. A kernel that a
peer has only as a few of its own operations (a quotient of two rolling sums) is what its users would write.

    python3 -m venv DIR && DIR/bin/pip install -r bench/peers/requirements-features.txt
    VOLLEY_PEERS_PYTHON=DIR/bin/python npm run bench -- kernels
"""
import os

for variable in ["POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"]:
    os.environ[variable] = "1"

import json
import sys
import time
import warnings

import numpy as np

warnings.simplefilter("ignore")
WINDOW = 20
YEAR = 252
PEERS = {}


def say(answer):
    print(json.dumps(answer), flush=True)


def talib_kernels(parts):
    import talib

    data = {name: [np.ascontiguousarray(part[:, i]) for i in range(part.shape[1])] for name, part in parts.items()}

    def each(of, *names):
        return lambda: [of(*columns) for columns in zip(*(data[name] for name in names))]

    return {
        "wma": each(lambda c: talib.WMA(c, WINDOW), "close"),
        "dema": each(lambda c: talib.DEMA(c, WINDOW), "close"),
        "tema": each(lambda c: talib.TEMA(c, WINDOW), "close"),
        "rolling_corr": each(lambda x, y: talib.CORREL(x, y, WINDOW), "close", "other"),
        "log_return": each(lambda c: talib.LN(talib.ROCR(c, 1)), "close"),
        "cumsum": each(talib.CUMSUM, "close"),
        # The nearest rank, which TA-Lib does not interpolate.
        "rolling_quantile": each(lambda c: talib.PERCENTILE(c, WINDOW, 25.0), "close"),
        "rolling_vwap": each(lambda c, v: talib.VWMA(c, v, WINDOW), "close", "volume"),
        "vwap": each(talib.VWAP, "high", "low", "close", "volume"),
        "volume_power": each(lambda b, s: talib.SUM(b, WINDOW) / talib.SUM(s, WINDOW), "buy", "sell"),
    }


def pandas_kernels(parts):
    import pandas as pd

    data = {name: pd.DataFrame(np.array(part, order="F")) for name, part in parts.items()}

    def of(name, expression):
        return lambda: expression(data[name])

    def rolling(expression):
        return of("close", lambda c: expression(c.rolling(WINDOW)))

    def typical_value():
        return (data["high"] + data["low"] + data["close"]) / 3 * data["volume"]

    def realized_volatility(c):
        return c.pct_change().rolling(WINDOW).std() * YEAR**0.5

    return {
        "rolling_median": rolling(lambda r: r.median()),
        "rolling_quantile": rolling(lambda r: r.quantile(0.25)),
        "rolling_rank": rolling(lambda r: r.rank()),
        "rolling_skew": rolling(lambda r: r.skew()),
        "rolling_kurt": rolling(lambda r: r.kurt()),
        "rolling_cov": rolling(lambda r: r.cov(data["other"], pairwise=False)),
        "rolling_corr": rolling(lambda r: r.corr(data["other"], pairwise=False)),
        "rolling_beta": rolling(lambda r: r.cov(data["other"], pairwise=False) / data["other"].rolling(WINDOW).var()),
        "log_return": of("close", lambda c: np.log(c / c.shift())),
        "shift": of("close", lambda c: c.shift()),
        "cumsum": of("close", lambda c: c.cumsum()),
        "cumprod": of("growth", lambda g: g.cumprod()),
        "cummax": of("close", lambda c: c.cummax()),
        "cummin": of("close", lambda c: c.cummin()),
        "ffill": of("gaps", lambda g: g.ffill()),
        "vwap": lambda: typical_value().cumsum() / data["volume"].cumsum(),
        "rolling_vwap": lambda: (data["close"] * data["volume"]).rolling(WINDOW).sum() / data["volume"].rolling(WINDOW).sum(),
        "volume_power": lambda: data["buy"].rolling(WINDOW).sum() / data["sell"].rolling(WINDOW).sum(),
        "realized_volatility": of("close", realized_volatility),
    }


def polars_kernels(parts):
    import polars as pl

    # Series made of numpy arrays by copy: polars' own buffers.
    columns = next(iter(parts.values())).shape[1]
    data = pl.DataFrame({f"{name}{i}": pl.Series(np.ascontiguousarray(part[:, i])) for name, part in parts.items() for i in range(columns)})
    # Missing is null in polars; NaN is a value.
    data = data.with_columns([pl.col(f"gaps{i}").fill_nan(None) for i in range(columns)])

    def each(expression, *names):
        expressions = [expression(*(pl.col(f"{name}{i}") for name in names)).alias(str(i)) for i in range(columns)]
        return lambda: data.select(expressions)

    def price(h, l, c):
        return (h + l + c) / 3

    return {
        "wma": each(lambda c: c.rolling_mean(WINDOW, weights=[float(i + 1) for i in range(WINDOW)]), "close"),
        "rolling_median": each(lambda c: c.rolling_median(WINDOW), "close"),
        "rolling_quantile": each(lambda c: c.rolling_quantile(0.25, "linear", WINDOW), "close"),
        "rolling_rank": each(lambda c: c.rolling_rank(WINDOW), "close"),
        "rolling_skew": each(lambda c: c.rolling_skew(WINDOW, bias=False), "close"),
        "rolling_kurt": each(lambda c: c.rolling_kurtosis(WINDOW, bias=False), "close"),
        "rolling_cov": each(lambda x, y: pl.rolling_cov(x, y, window_size=WINDOW), "close", "other"),
        "rolling_corr": each(lambda x, y: pl.rolling_corr(x, y, window_size=WINDOW), "close", "other"),
        "rolling_beta": each(lambda x, y: pl.rolling_cov(x, y, window_size=WINDOW) / y.rolling_var(WINDOW), "close", "other"),
        "log_return": each(lambda c: (c / c.shift()).log(), "close"),
        "shift": each(lambda c: c.shift(), "close"),
        "cumsum": each(lambda c: c.cum_sum(), "close"),
        "cumprod": each(lambda g: g.cum_prod(), "growth"),
        "cummax": each(lambda c: c.cum_max(), "close"),
        "cummin": each(lambda c: c.cum_min(), "close"),
        "ffill": each(lambda g: g.forward_fill(), "gaps"),
        "vwap": each(lambda h, l, c, v: (price(h, l, c) * v).cum_sum() / v.cum_sum(), "high", "low", "close", "volume"),
        "rolling_vwap": each(lambda c, v: (c * v).rolling_sum(WINDOW) / v.rolling_sum(WINDOW), "close", "volume"),
        "volume_power": each(lambda b, s: b.rolling_sum(WINDOW) / s.rolling_sum(WINDOW), "buy", "sell"),
        "realized_volatility": each(lambda c: c.pct_change().rolling_std(WINDOW) * YEAR**0.5, "close"),
    }


def vectorbt_kernels(engine, order):
    def make(parts):
        from vectorbt.generic import dispatch as generic

        data = {name: np.array(part, order=order) for name, part in parts.items()}

        def realized_volatility():
            return generic.rolling_std(generic.pct_change(data["close"], engine=engine), WINDOW, ddof=1, engine=engine) * YEAR**0.5

        return {
            "shift": lambda: generic.fshift(data["close"], 1, engine=engine),
            "cumsum": lambda: generic.nancumsum(data["close"], engine=engine),
            "cumprod": lambda: generic.nancumprod(data["growth"], engine=engine),
            "cummax": lambda: generic.expanding_max(data["close"], engine=engine),
            "cummin": lambda: generic.expanding_min(data["close"], engine=engine),
            "ffill": lambda: generic.ffill(data["gaps"], engine=engine),
            "realized_volatility": realized_volatility,
        }

    return make


def numpy_kernels(parts):
    """By columns, the layout that suits a series; without a care for missing values."""
    data = {name: np.asfortranarray(part).T for name, part in parts.items()}

    def log_return():
        c = data["close"]
        out = np.empty_like(c)
        out[:, 0] = np.nan
        np.divide(c[:, 1:], c[:, :-1], out=out[:, 1:])
        np.log(out[:, 1:], out=out[:, 1:])
        return out

    def vwap():
        value = (data["high"] + data["low"] + data["close"]) / 3 * data["volume"]
        return np.cumsum(value, axis=1) / np.cumsum(data["volume"], axis=1)

    return {
        "log_return": log_return,
        "cumsum": lambda: np.cumsum(data["close"], axis=1),
        "cumprod": lambda: np.cumprod(data["growth"], axis=1),
        "cummax": lambda: np.maximum.accumulate(data["close"], axis=1),
        "cummin": lambda: np.minimum.accumulate(data["close"], axis=1),
        "vwap": vwap,
    }


def load(path, rows, columns, parts):
    flat = np.fromfile(path, dtype=np.float64).reshape(len(parts), columns, rows)
    data = {name: np.ascontiguousarray(part.T) for name, part in zip(parts, flat)}
    makers = {
        "TA-Lib": talib_kernels,
        "pandas": pandas_kernels,
        "polars": polars_kernels,
        "vectorbt Numba": vectorbt_kernels("numba", "C"),
        "vectorbt Numba, by columns": vectorbt_kernels("numba", "F"),
        "vectorbt Rust": vectorbt_kernels("rust", "C"),
        "numpy": numpy_kernels,
    }
    missing = {}
    for name, make in makers.items():
        try:
            kernels = make(data)
        except ImportError as error:
            missing[name] = str(error)[:200]
            continue
        PEERS[name] = kernels
        # Compiled before anything counts, and found out here if it does not run.
        for kernel in list(kernels):
            try:
                kernels[kernel]()
            except Exception as error:
                missing[f"{name}: {kernel}"] = str(error)[:200]
                del kernels[kernel]
    return {"peers": list(PEERS), "missing": missing}


def timed(kernel, peer, runs):
    of = PEERS[peer].get(kernel)
    times = []
    for _ in range(runs if of else 0):
        start = time.perf_counter()
        result = of()
        times.append((time.perf_counter() - start) * 1_000)
        del result
    return {"times": times}


def main():
    say({"name": "TA-Lib, pandas, polars, vectorbt, numpy"})
    for line in sys.stdin:
        command = json.loads(line)
        measure = command.pop("measure")
        say(load(**command) if measure == "load" else timed(measure, **command))


main()
