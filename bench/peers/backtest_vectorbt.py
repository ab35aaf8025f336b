"""vectorbt (Numba and Rust) on the backtests of `npm run bench -- kernels`: a line of JSON in, a line of JSON out.

{"measure": "load", "name", "path", "rows", "columns"}: close as float64, then entries and exits as bytes, one column behind the other.
{"measure": "signals", "name", "engine", "form"} -> {"ms", "orders", "money"}: form "core" is the simulation alone, arrays to order records, as
vectorbt publishes it; "portfolio" is Portfolio.from_signals as its users call it.
{"measure": "prices", "path", "rows"}: open, then close. {"measure": "sweep", "engine", "fasts", "slows", "chunk"} -> {"ms", "growth"}: the
averages once per window, signals, portfolio, Sharpe ratio, maximum drawdown, total return and the count of trades, in chunks that fit the caches better.

Requirements: bench/peers/requirements-features.txt
"""
import os

for variable in ["NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"]:
    os.environ[variable] = "1"

import importlib.metadata
import json
import sys
import time

import numpy as np
import vectorbt as vbt
from vectorbt.portfolio import dispatch

INPUTS = {}


def say(answer):
    print(json.dumps(answer), flush=True)


def load(name, path, rows, columns):
    cells = rows * columns
    with open(path, "rb") as file:
        close = np.frombuffer(file.read(8 * cells)).reshape(columns, rows)
        entries, exits = (np.frombuffer(file.read(cells), dtype=np.uint8).reshape(columns, rows) for _ in range(2))
    INPUTS[name] = tuple(np.ascontiguousarray(part.T) for part in (close, entries.astype(bool), exits.astype(bool)))
    for engine in engines():
        for form in ("core", "portfolio"):
            signals(name, engine, form)
    return {"engines": engines()}


def engines():
    try:
        import vectorbt_rust  # noqa: F401

        return ["numba", "rust"]
    except ImportError:
        return ["numba"]


def signals(name, engine, form):
    close, entries, exits = INPUTS[name]
    rows, columns = close.shape
    start = time.perf_counter()
    if form == "core":
        records, _ = dispatch.simulate_from_signals(
            close.shape, np.full(columns, 1), np.full(columns, 100.0), np.zeros(close.shape, dtype=np.int64),
            entries=entries, exits=exits, close=close, use_stops=False, engine=engine,
        )  # fmt: skip
    else:
        records = vbt.Portfolio.from_signals(close, entries, exits, engine=engine).order_records
    ms = (time.perf_counter() - start) * 1_000
    return {"ms": ms, "orders": len(records), "money": float(np.sum(records["size"] * records["price"]))}


def prices(path, rows):
    INPUTS["prices"] = np.fromfile(path).reshape(2, rows)
    return {"engines": engines()}


def one_chunk(engine, pairs, averages):
    open_, close = INPUTS["prices"]
    fast = np.column_stack([averages[f] for f, _ in pairs])
    slow = np.column_stack([averages[s] for _, s in pairs])
    with np.errstate(invalid="ignore"):
        entries, exits = fast > slow, fast < slow
    # Decided at a close, filled at the next open.
    moved = [np.vstack([np.zeros((1, len(pairs)), dtype=bool), part[:-1]]) for part in (entries, exits)]
    portfolio = vbt.Portfolio.from_signals(
        close[:, None], *moved, price=open_[:, None], fees=0.001, slippage=0.0005, init_cash=100, freq="1D", engine=engine,
    )  # fmt: skip
    portfolio.sharpe_ratio(), portfolio.max_drawdown(), portfolio.trades.count()
    return float(np.sum(1 + portfolio.total_return()))


def sweep(engine, fasts, slows, chunk):
    start = time.perf_counter()
    averages = {w: np.asarray(vbt.MA.run(INPUTS["prices"][1], w).ma).ravel() for w in {*fasts, *slows}}
    pairs = [(f, s) for f in fasts for s in slows]
    growth = sum(one_chunk(engine, pairs[i : i + chunk], averages) for i in range(0, len(pairs), chunk))
    return {"ms": (time.perf_counter() - start) * 1_000, "growth": growth}


def main():
    versions = [f"vectorbt {vbt.__version__}"]
    if "rust" in engines():
        versions.append(f"vectorbt-rust {importlib.metadata.version('vectorbt-rust')}")
    say({"name": ", ".join(versions)})
    actions = {"load": load, "signals": signals, "prices": prices, "sweep": sweep}
    for line in sys.stdin:
        command = json.loads(line)
        say(actions[command.pop("measure")](**command))


main()
