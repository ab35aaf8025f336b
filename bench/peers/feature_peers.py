"""vectorbt (Numba and Rust), TA-Lib and polars on the work of `npm run bench -- kernels`: a line of JSON in, a line of JSON out.

Every peer runs on one core, from its own native layout into arrays it allocates, as its callers get them. First command:
{"measure": "load", "path", "rows", "columns", "parts"}: high, low and close as float64, one column behind the other, in that order. Then
{"measure": kernel, "peer": name, "runs": n} -> {"times": [ms, ...]}, or {"times": []} where that peer has no such kernel.

    python3 -m venv DIR && DIR/bin/pip install -r bench/peers/requirements-features.txt
    VOLLEY_PEERS_PYTHON=DIR/bin/python npm run bench -- kernels
"""
import os

for variable in ["POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"]:
    os.environ[variable] = "1"

import importlib.metadata
import json
import sys
import time

import numpy as np

WINDOW = 20
OSCILLATOR = 14
PEERS = {}


def say(answer):
    print(json.dumps(answer), flush=True)


def vectorbt_kernels(engine, order):
    from vectorbt.generic import dispatch as generic
    from vectorbt.indicators import dispatch as indicators

    def arranged(data):
        return [np.array(part, order=order) for part in data]

    # As the indicator factory calls them: the averages go through a cache, which a single run has to fill.
    def rsi(h, l, c):
        cache = indicators.rsi_cache(c, [OSCILLATOR], [True], False, engine=engine)
        return indicators.rsi_apply(c, OSCILLATOR, True, False, cache, engine=engine)

    def macd(h, l, c):
        cache = indicators.macd_cache(c, [12], [26], [9], [True], [True], False, engine=engine)
        return indicators.macd_apply(c, 12, 26, 9, True, True, False, cache, engine=engine)

    def atr(h, l, c):
        ranges, cache = indicators.atr_cache(h, l, c, [OSCILLATOR], [True], False, engine=engine)
        return indicators.atr_apply(h, l, c, OSCILLATOR, True, False, ranges, cache, engine=engine)

    return arranged, {
        "rolling_mean": lambda h, l, c: generic.rolling_mean(c, WINDOW, engine=engine),
        "rolling_std": lambda h, l, c: generic.rolling_std(c, WINDOW, ddof=1, engine=engine),
        "rolling_min": lambda h, l, c: generic.rolling_min(c, WINDOW, engine=engine),
        "ewm_mean": lambda h, l, c: generic.ewm_mean(c, WINDOW, minp=WINDOW, engine=engine),
        "pct_change": lambda h, l, c: generic.pct_change(c, engine=engine),
        "rsi": rsi,
        "macd": macd,
        "atr": atr,
    }


def talib_kernels():
    import talib

    def arranged(data):
        return [[np.ascontiguousarray(part[:, i]) for i in range(part.shape[1])] for part in data]

    def each(of):
        return lambda h, l, c: [of(*columns) for columns in zip(h, l, c)]

    return arranged, {
        "rolling_mean": each(lambda h, l, c: talib.SMA(c, WINDOW)),
        "rolling_std": each(lambda h, l, c: talib.STDDEV(c, WINDOW)),
        "rolling_min": each(lambda h, l, c: talib.MIN(c, WINDOW)),
        "ewm_mean": each(lambda h, l, c: talib.EMA(c, WINDOW)),
        "pct_change": each(lambda h, l, c: talib.ROCP(c, 1)),
        "rsi": each(lambda h, l, c: talib.RSI(c, OSCILLATOR)),
        "macd": each(lambda h, l, c: talib.MACD(c, 12, 26, 9)),
        "atr": each(lambda h, l, c: talib.ATR(h, l, c, OSCILLATOR)),
    }


def polars_kernels():
    import polars as pl

    def arranged(data):
        # Series made of numpy arrays by copy: polars' own buffers.
        return [pl.DataFrame({str(i): pl.Series(np.ascontiguousarray(part[:, i])) for i in range(part.shape[1])}) for part in data]

    def of_all(expression):
        return lambda h, l, c: c.select(expression(pl.all()))

    def rsi(h, l, c):
        change = pl.all().diff()
        gain = change.clip(lower_bound=0).ewm_mean(alpha=1 / OSCILLATOR, adjust=False, min_samples=OSCILLATOR)
        loss = change.clip(upper_bound=0).ewm_mean(alpha=1 / OSCILLATOR, adjust=False, min_samples=OSCILLATOR)
        return c.select(gain / (gain - loss) * 100)

    def macd(h, l, c):
        line = pl.all().ewm_mean(span=12, adjust=False, min_samples=12) - pl.all().ewm_mean(span=26, adjust=False, min_samples=26)
        lines = c.select(line)
        return lines, lines.select(pl.all().ewm_mean(span=9, adjust=False, min_samples=9))

    return arranged, {
        "rolling_mean": of_all(lambda x: x.rolling_mean(WINDOW)),
        "rolling_std": of_all(lambda x: x.rolling_std(WINDOW)),
        "rolling_min": of_all(lambda x: x.rolling_min(WINDOW)),
        "ewm_mean": of_all(lambda x: x.ewm_mean(span=WINDOW, adjust=False, min_samples=WINDOW)),
        "pct_change": of_all(lambda x: x.pct_change()),
        "rsi": rsi,
        "macd": macd,
    }


def load(path, rows, columns, parts):
    assert parts == ["high", "low", "close"]
    flat = np.fromfile(path, dtype=np.float64).reshape(len(parts), columns, rows)
    data = [np.ascontiguousarray(part.T) for part in flat]
    makers = {
        "vectorbt Numba": lambda: vectorbt_kernels("numba", "C"),
        "vectorbt Numba, by columns": lambda: vectorbt_kernels("numba", "F"),
        "vectorbt Rust": lambda: vectorbt_kernels("rust", "C"),
        "TA-Lib": talib_kernels,
        "polars": polars_kernels,
    }
    missing = {}
    for name, make in makers.items():
        try:
            arranged, kernels = make()
            PEERS[name] = (arranged(data), kernels)
            # Compiled before anything counts, and found out here if it does not run.
            for kernel in list(kernels):
                try:
                    kernels[kernel](*PEERS[name][0])
                except Exception as error:
                    missing[f"{name}: {kernel}"] = str(error)[:200]
                    del kernels[kernel]
        except ImportError as error:
            missing[name] = str(error)[:200]
    return {"peers": list(PEERS), "missing": missing}


def timed(kernel, peer, runs):
    data, kernels = PEERS[peer]
    of = kernels.get(kernel)
    times = []
    for _ in range(runs if of else 0):
        start = time.perf_counter()
        result = of(*data)
        times.append((time.perf_counter() - start) * 1_000)
        del result
    return {"times": times}


def main():
    names = {"vectorbt": "vectorbt", "vectorbt-rust": "vectorbt-rust", "TA-Lib": "TA-Lib", "polars": "polars"}
    versions = []
    for shown, package in names.items():
        try:
            versions.append(f"{shown} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            pass
    say({"name": ", ".join(versions)})
    for line in sys.stdin:
        command = json.loads(line)
        measure = command.pop("measure")
        say(load(**command) if measure == "load" else timed(measure, **command))


main()
