"""What vectorbt makes of signals and weights over 10,240 bars at three scales: the oracle of the backtests in docs/conformance.md.

Writes kernels/fixtures/backtest-vectorbt.json: of each run the account's value at every bar as conformance_blocks.py keeps it, and the
number of orders. The bars are those of feature_bars.py; kernels/backtest/testing/conformance-rows.ts makes them again, and the signals too.

    VOLLEY_PEERS_PYTHON bench/peers/backtest_conformance.py      (bench/peers/requirements-features.txt)
    npx biome format --write kernels/fixtures
"""
import json
import pathlib

import numpy as np
import vectorbt as vbt
from conformance_blocks import Kept
from feature_bars import ROWS, columns

SCALES = (1.0, 1e-9, 1e9)
BARS = np.arange(ROWS)
ENTRIES, EXITS = BARS % 7 == 3, BARS % 11 == 5
SHORT = {"short_entries": BARS % 13 == 6, "short_exits": BARS % 17 == 9}
STOPS = {"stop_entry_price": "fillprice", "stop_exit_price": "stopmarket"}
COSTS = {"fees": 0.0005, "slippage": 0.0002}

# Name -> options; `money` scales those that are amounts of it.
SIGNALS = {
    "all cash, long": {},
    "all cash, short": {"direction": "shortonly"},
    "all cash, both directions": {"direction": "both"},
    "value 20, both directions": {"size": 20, "size_type": "value", "direction": "both"},
    "value 20, short": {"size": 20, "size_type": "value", "direction": "shortonly"},
    "value 150, fixed fees": {"size": 150, "size_type": "value", "fixed_fees": 0.01},
    "percent 0.6": {"size": 0.6, "size_type": "percent"},
    "amount 0.2, four signals": {"size": 0.2, **SHORT},
    "stopLoss 0.03, takeProfit 0.05": {"sl_stop": 0.03, "tp_stop": 0.05, **STOPS},
    "trailing 0.04": {"sl_stop": 0.04, "sl_trail": True, **STOPS},
}


def shifted(signal):
    return np.concatenate([[False], signal[:-1]])


def signals(name, scale):
    data = columns(scale, "some")
    options = dict(SIGNALS[name])
    # vectorbt takes sizes near 1e-9 for nothing: at the great scale the money grows with the prices.
    money = max(1.0, scale)
    if options.get("size_type") == "value":
        options["size"] *= money
    if "fixed_fees" in options:
        options["fixed_fees"] *= money
    if "sl_stop" in options:
        options.update(open=data["open"], high=data["high"], low=data["low"])
    return vbt.Portfolio.from_signals(data["close"], ENTRIES, EXITS, init_cash=100 * money, **COSTS, **options)


def next_open(scale):
    """Decided at a close, filled at the next open; without gaps, as where the next bar is missing vectorbt lets the order go."""
    data = columns(scale)
    return vbt.Portfolio.from_signals(
        data["close"], shifted(ENTRIES), shifted(EXITS), price=data["open"], direction="both", init_cash=100 * max(1.0, scale), **COSTS
    )


def weights(scale, both):
    """Two symbols on shared cash, every 64 bars, at bars that have prices."""
    data = columns(scale, "some")
    turn = BARS // 64
    parts = np.column_stack([turn * 3 % 5, turn * 2 % 6]) / 10
    if both:
        parts[:, 1] *= -1
    parts[(BARS % 64 != 10) | np.isnan(data["close"])] = np.nan
    return vbt.Portfolio.from_orders(
        np.column_stack([data["close"], data["other"]]), size=parts, size_type="targetpercent", init_cash=100 * max(1.0, scale),
        cash_sharing=True, group_by=True, call_seq="auto", **COSTS,
    )  # fmt: skip


def main():
    kept = Kept()
    runs = {name: lambda scale, name=name: signals(name, scale) for name in SIGNALS}
    runs["next open, both directions"] = next_open
    runs["weights, long"] = lambda scale: weights(scale, False)
    runs["weights, long and short"] = lambda scale: weights(scale, True)
    found = {}
    for name, run in runs.items():
        found[name] = []
        for scale in SCALES:
            portfolio = run(scale)
            found[name].append({"scale": scale, "orders": len(portfolio.order_records), "value": kept.keep(np.asarray(portfolio.value(), dtype=float))})
    document = {"vectorbt": vbt.__version__, "runs": found, **kept.fields()}
    path = pathlib.Path(__file__).resolve().parents[2] / "kernels/fixtures/backtest-vectorbt.json"
    path.write_text(json.dumps(document, allow_nan=False) + "\n")
    print(f"{path.name}: {len(kept.columns)} columns, {path.stat().st_size // 1024} kB, orders {[row['orders'] for rows in found.values() for row in rows]}")


if __name__ == "__main__":
    main()
