"""Writes kernels/fixtures/backtest.json: what vectorbt and a slow, obvious oracle make of the same bars.

    VOLLEY_PEERS_PYTHON bench/peers/backtest_fixtures.py      (bench/peers/requirements-features.txt)

vectorbt fills at the close that decides, so its cases are same-close, or its signals moved by one bar and filled at the open.
The oracle states the rules of kernels/backtest once more, one order at a time, for what vectorbt has not.
"""
import json
import pathlib

import numpy as np
import vectorbt as vbt

BARS, SYMBOLS = 80, ["AAA", "BBB", "CCC"]
rng = np.random.default_rng(20240607)


def market(gaps):
    """Open, high, low, close, volume, rounded so that JSON is exact; with gaps some bars have no prices at all."""
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.03, (BARS, 3)), axis=0))
    start = np.vstack([close[:1], close[:-1]])
    open_ = start * np.exp(rng.normal(0, 0.012, (BARS, 3)))
    high = np.maximum(open_, close) * np.exp(np.abs(rng.normal(0, 0.01, (BARS, 3))))
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0, 0.01, (BARS, 3))))
    volume = np.floor(np.exp(rng.normal(6, 1, (BARS, 3))))
    out = {k: np.round(v, 4) for k, v in dict(open=open_, high=high, low=low, close=close, volume=volume).items()}
    if gaps:
        gone = rng.random((BARS, 3)) < 0.06
        for k in ("open", "high", "low", "close"):
            out[k][gone] = np.nan
    return out


def flags(p):
    return rng.random((BARS, 3)) < p


def shifted(a, fill):
    out = np.full(a.shape, fill, dtype=a.dtype)
    out[1:] = a[:-1]
    return out


def marks(a):
    """A text of 0 and 1 for each symbol."""
    return ["".join("1" if x else "0" for x in column) for column in a.T]


# ---------------------------------------------------------------------------------------------- vectorbt


def from_vectorbt(pf):
    rows = pf.orders.records
    orders = [[int(r.col), int(r.idx), -1 if r.side else 1, float(r.size), float(r.price), float(r.fees)] for r in rows.itertuples()]
    trades = [[int(r.col), int(r.entry_idx), int(r.exit_idx), -1 if r.direction else 1, int(r.status), float(r.size), float(r.entry_price),
               float(r.exit_price), float(r.pnl)] for r in pf.trades.records.itertuples()]
    value = np.asarray(pf.value(), dtype=float).reshape(BARS, -1)
    return {"orders": orders, "trades": trades, "value": value.T.tolist()}


def signals_case(name, m, sig, params, **kw):
    same = params.get("fill", "same-close") == "same-close"
    params = {"fill": "same-close", **params}
    move = (lambda a: a) if same else (lambda a: shifted(a, False))
    price = {} if same else {"price": m["open"]}
    pf = vbt.Portfolio.from_signals(m["close"], **{k: move(v) for k, v in sig.items()}, **price, **kw)
    columns = {"entries": "entries", "exits": "exits", "short_entries": "shortEntries", "short_exits": "shortExits"}
    return {"name": name, "peer": "vectorbt", "kernel": "backtest.signals", "market": m["id"], "params": params,
            "columns": {columns[k]: marks(v) for k, v in sig.items()}, **from_vectorbt(pf)}


def weights_case(name, m, weights, params, **kw):
    same = params["fill"] == "same-close"
    pf = vbt.Portfolio.from_orders(m["close"], size=weights if same else shifted(weights, np.nan), size_type="targetpercent",
                                   price=m["close"] if same else m["open"], cash_sharing=True, group_by=True, call_seq="auto", **kw)
    return {"name": name, "peer": "vectorbt", "kernel": "backtest.weights", "market": m["id"], "params": params,
            "columns": {"weight": weights.T.tolist()}, **from_vectorbt(pf)}


def vectorbt_cases(whole, gaps):
    sig = {"entries": flags(0.15), "exits": flags(0.15)}
    four = {**sig, "short_entries": flags(0.12), "short_exits": flags(0.12)}
    ohlc = lambda m: {k: m[k] for k in ("open", "high", "low")}
    stop = dict(stop_entry_price="fillprice", stop_exit_price="stopmarket")
    yield signals_case("all cash, long, gaps", gaps, sig, {"fees": 0.001, "slippage": 0.002}, fees=0.001, slippage=0.002)
    yield signals_case("all cash, short", gaps, sig, {"direction": "short", "fees": 0.001, "slippage": 0.002}, direction="shortonly", fees=0.001, slippage=0.002)
    yield signals_case("all cash, both directions", gaps, sig, {"direction": "both", "fees": 0.001, "slippage": 0.002}, direction="both", fees=0.001, slippage=0.002)
    yield signals_case("four signals, amount", gaps, four, {"sizing": {"by": "amount", "size": 0.7}, "fees": 0.002}, size=0.7, fees=0.002)
    yield signals_case("value, cash short, fixed fees", gaps, sig, {"sizing": {"by": "value", "size": 150}, "fees": {"fraction": 0.003, "fixed": 0.25}},
                       size=150, size_type="value", fees=0.003, fixed_fees=0.25)
    yield signals_case("percent, lots", gaps, sig, {"sizing": {"by": "percent", "size": 0.6}, "cash": 10_000, "lot": 5, "fees": 0.001},
                       size=0.6, size_type="percent", init_cash=10_000, size_granularity=5, fees=0.001)
    yield signals_case("next open", whole, sig, {"fill": "next-open", "direction": "both", "fees": 0.001, "slippage": 0.001}, direction="both", fees=0.001, slippage=0.001)
    together = dict(cash_sharing=True, group_by=True, call_seq="auto")
    yield signals_case("value, shared cash", gaps, sig, {"sizing": {"by": "value", "size": 45}, "sharedCash": True, "fees": 0.002, "slippage": 0.001},
                       size=45, size_type="value", fees=0.002, slippage=0.001, **together)
    yield signals_case("amount, shared cash, next open", whole, sig, {"fill": "next-open", "sizing": {"by": "amount", "size": 0.8}, "sharedCash": True, "fees": 0.002},
                       size=0.8, fees=0.002, **together)
    for direction, vbt_direction in (("long", "longonly"), ("short", "shortonly"), ("both", "both")):
        common = {"direction": direction, "fees": 0.001, "slippage": 0.001}
        kw = dict(direction=vbt_direction, fees=0.001, slippage=0.001, **stop, **ohlc(whole))
        yield signals_case(f"stop-loss, {direction}", whole, sig, {**common, "stops": {"stopLoss": 0.04}}, sl_stop=0.04, **kw)
        yield signals_case(f"trailing, {direction}", whole, sig, {**common, "stops": {"trailing": 0.05}}, sl_stop=0.05, sl_trail=True, **kw)
        if direction == "short":
            continue
        yield signals_case(f"take-profit, {direction}", whole, sig, {**common, "stops": {"takeProfit": 0.05}}, tp_stop=0.05, **kw)
        yield signals_case(f"stop-loss and take-profit, {direction}", whole, sig, {**common, "stops": {"stopLoss": 0.03, "takeProfit": 0.06}}, sl_stop=0.03, tp_stop=0.06, **kw)
    weights = np.round(rng.random((BARS, 3)) * 0.3, 3)
    weights[rng.random(BARS) < 0.8] = np.nan
    weights[rng.random((BARS, 3)) < 0.05] = 0
    yield weights_case("weights, shared cash, gaps", gaps, weights, {"fill": "same-close", "fees": 0.002, "slippage": 0.001}, fees=0.002, slippage=0.001)
    yield weights_case("weights at the next open", whole, weights, {"fill": "next-open", "fees": 0.002, "slippage": 0.001}, fees=0.002, slippage=0.001)
    signed = np.where(rng.random((BARS, 3)) < 0.4, -weights, weights)
    yield weights_case("long and short weights", gaps, signed, {"fill": "same-close", "direction": "both", "fees": 0.002}, fees=0.002)


# ---------------------------------------------------------------------------------------------- oracle


class Account:
    def __init__(self, cash):
        self.cash, self.held, self.last = cash, {}, {}

    def value(self, prices):
        return self.cash + sum(n * prices.get(s, self.last.get(s)) for s, n in self.held.items() if n)


def cost(p, size, value):
    return max(p.get("minimum", 0), value * p.get("fraction", 0) + p.get("fixed", 0) + size * p.get("perShare", 0)) if size < float("inf") else size


def slipped(model, price, side, size, volume):
    if model["model"] == "fraction":
        return price * (1 + side * model["fraction"])
    share = size / volume
    move = model["coefficient"] * share ** 0.5 if model["model"] == "square-root" else model["impact"] * share ** 2
    return price * (1 + side * move)


def oracle(m, sig, p, shared):
    """Long only, all the cash (or a value) per entry, one rule of step after the other, as the kernel's header states them."""
    fees, slip, fill = p["fees"], p["slippage"], p["fill"]
    accounts = [Account(p["cash"])] * 3 if shared else [Account(p["cash"]) for _ in range(3)]
    waiting, orders, values = {}, [], []

    def buy(s, i, price):
        a = accounts[s]
        want = p["value"] / price if "value" in p else float("inf")
        volume = m["volume"][i, s]
        if slip["model"] != "fraction":
            want = min(want, slip["limit"] * volume)
        paid = slipped(slip, price, 1, min(want, a.cash / price), volume) if want > 0 else price
        size = want
        if not size * paid + cost(fees, size, size * paid) <= a.cash:
            low, high = 0.0, a.cash / paid  # the largest size that the cash pays, by bisection
            for _ in range(200):
                mid = (low + high) / 2
                low, high = (mid, high) if mid * paid + cost(fees, mid, mid * paid) <= a.cash else (low, mid)
            size = low
        if size <= 1e-9:
            return
        fee = cost(fees, size, size * paid)
        a.cash -= size * paid + fee
        a.held[s] = size
        orders.append([s, i, 1, size, paid, fee])

    def sell(s, i, price, forced=False):
        a, size, volume = accounts[s], accounts[s].held[s], m["volume"][i, s]
        if slip["model"] != "fraction" and not forced:
            size = min(size, slip["limit"] * volume)
            if size <= 0:
                return False
        paid = price if forced else slipped(slip, price, -1, size, volume)
        fee = cost(fees, size, size * paid)
        if fee > size * paid:
            if not forced:
                return True
            fee = size * paid
        a.cash += size * paid - fee
        a.held[s] -= size
        orders.append([s, i, -1, size, paid, fee])
        return a.held[s] <= 1e-12

    def settle(i, prices):
        for want in ("exit", "entry"):
            for s in range(3):
                price = prices[i, s]
                if waiting.get(s) is None or np.isnan(price):
                    continue
                enter, leave = waiting[s]
                held = accounts[s].held.get(s, 0) > 0
                if want == "exit" and held and leave:
                    waiting[s] = (enter, leave) if not sell(s, i, price) else None
                elif want == "entry" and not held and enter:
                    waiting[s] = None
                    buy(s, i, price)
                elif want == "entry" and not (held and leave):
                    waiting[s] = None

    for i in range(BARS):
        for s in range(3):
            ratio = m["split"][i, s]
            if not np.isnan(ratio):
                accounts[s].held[s] = accounts[s].held.get(s, 0) * ratio
                if s in accounts[s].last:
                    accounts[s].last[s] /= ratio
        if fill == "next-open":
            settle(i, m["open"])
        if fill == "next-close":
            settle(i, m["close"])
        for s in range(3):
            e, x = sig["entries"][i, s], sig["exits"][i, s]
            if (e or x) and not (e and x) and not np.isnan(m["close"][i, s]):
                waiting[s] = (e, x)
        for s in range(3):
            close = m["close"][i, s]
            if m["delisted"][i, s]:
                waiting[s] = None
                if accounts[s].held.get(s, 0) > 0:
                    sell(s, i, accounts[s].last[s] if np.isnan(close) else close, forced=True)
            if not np.isnan(close):
                accounts[s].last[s] = close
        values.append([a.value(a.last) for a in (accounts[:1] if shared else accounts)])
    return orders, np.array(values).T.tolist()


def oracle_cases(m):
    sig = {"entries": flags(0.15), "exits": flags(0.12)}
    m = dict(m)
    for name, params, shared in [
        ("fees per share with a minimum, next open, gaps", {"fill": "next-open", "fees": {"perShare": 0.05, "minimum": 1.5}, "slippage": {"model": "fraction", "fraction": 0.001}}, False),
        ("all fees, next close", {"fill": "next-close", "fees": {"fraction": 0.001, "fixed": 0.5, "perShare": 0.02, "minimum": 1}, "slippage": {"model": "fraction", "fraction": 0}}, False),
        ("volume share", {"fill": "next-open", "cash": 5_000, "fees": {"fraction": 0.001}, "slippage": {"model": "volume-share", "impact": 0.1, "limit": 0.025}}, False),
        ("volume share with shared cash", {"fill": "next-close", "cash": 5_000, "value": 2_000, "fees": {"fraction": 0.001}, "slippage": {"model": "volume-share", "impact": 0.2, "limit": 0.05}}, True),
        ("square-root impact", {"fill": "next-open", "cash": 5_000, "fees": {"fraction": 0.001}, "slippage": {"model": "square-root", "coefficient": 0.02, "limit": 0.2}}, False),
        ("shared cash, next open", {"fill": "next-open", "cash": 1_000, "value": 450, "fees": {"fraction": 0.002, "fixed": 1}, "slippage": {"model": "fraction", "fraction": 0.001}}, True),
    ]:
        p = {"cash": 100, **params}
        orders, value = oracle(m, sig, p, shared)
        sent = {k: v for k, v in p.items() if k != "value"}
        sent["sharedCash"] = shared
        if "value" in p:
            sent["sizing"] = {"by": "value", "size": p["value"]}
        yield {"name": name, "peer": "oracle", "kernel": "backtest.signals", "market": m["id"], "params": sent,
               "columns": {k: marks(v) for k, v in sig.items()}, "orders": orders, "value": value}


def with_events(m):
    """Splits (raw prices fall by the ratio) and a delisting of the last symbol in the middle, with rows up to it."""
    m = {**{k: v.copy() for k, v in m.items() if k != "id"}, "id": "events"}
    split = np.full((BARS, 3), np.nan)
    for row, s, ratio in ((30, 0, 2.0), (52, 1, 4.0), (68, 0, 0.5)):
        split[row, s] = ratio
        for k in ("open", "high", "low", "close"):
            m[k][row:, s] = np.round(m[k][row:, s] / ratio, 4)
    delisted = np.zeros((BARS, 3), dtype=bool)
    delisted[60, 2] = True
    for k in ("open", "high", "low", "close"):
        m[k][61:, 2] = np.nan
    m.update(split=split, delisted=delisted)
    return m


def columns_of(m):
    clean = lambda a: [[None if np.isnan(x) else float(x) for x in col] for col in a.T.astype(float)]
    return {k: marks(v) if v.dtype == bool else clean(v) for k, v in m.items() if k != "id"}


def short(value):
    """13 digits say what a comparison to 1e-9 needs."""
    if isinstance(value, float):
        return float(f"{value:.13g}")
    if isinstance(value, dict):
        return {k: short(v) for k, v in value.items()}
    return [short(v) for v in value] if isinstance(value, list) else value


def main():
    whole, gaps = {**market(False), "id": "whole"}, {**market(True), "id": "gaps"}
    events = with_events(gaps)
    cases = [*vectorbt_cases(whole, gaps), *oracle_cases(events)]
    for case in cases:
        case["columns"] = {k: [col if isinstance(col, str) else [None if np.isnan(x) else x for x in col] for col in v] for k, v in case["columns"].items()}
    out = {"source": f"bench/peers/backtest_fixtures.py, vectorbt {vbt.__version__}", "symbols": SYMBOLS, "bars": BARS,
           "markets": {m["id"]: columns_of(m) for m in (whole, gaps, events)}, "cases": cases}
    text = json.dumps(short(out), separators=(",", ":"), allow_nan=False)
    path = pathlib.Path(__file__).resolve().parents[2] / "kernels/fixtures/backtest.json"
    path.write_text(text + "\n")
    print(path, len(text), "bytes,", sum(len(c["orders"]) for c in cases), "orders")


if __name__ == "__main__":
    main()
