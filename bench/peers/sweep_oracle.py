"""The sweep strategies the slow and obvious way, with pandas, TA-Lib and scipy: an oracle for kernels/sweep.

Writes kernels/fixtures/sweep-oracle.json, which the tests read, so that they need no Python.

    python3 -m venv DIR && DIR/bin/pip install -r bench/peers/requirements-sweep.txt
    DIR/bin/python bench/peers/sweep_oracle.py && npx biome format --write kernels/fixtures
"""
import json
import math
import pathlib
import random

import numpy as np
import pandas as pd
import scipy
import talib
from scipy import stats

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETTINGS = {"fees": 0.001, "slippage": 0.0005, "inSampleEnd": "2012-12-31", "periodsPerYear": 252}


def bars():
    frame = pd.read_csv(ROOT / "node_modules/vega-datasets/data/sp500-2000.csv", parse_dates=["date"])
    factor = frame["adjclose"] / frame["close"]
    for column in ("open", "high", "low"):
        frame[column] = frame[column] * factor
    frame["close"] = frame["adjclose"]
    return frame


def signal_ma_cross(frame, fast, slow):
    a = frame["close"].rolling(fast).mean()
    b = frame["close"].rolling(slow).mean()
    return a > b, a < b


def signal_rsi_reversion(frame, period, lower, upper):
    rsi = talib.RSI(frame["close"].to_numpy(), timeperiod=period)
    return pd.Series(rsi < lower), pd.Series(rsi > upper)


def signal_channel_breakout(frame, entry, exit):
    high = frame["high"].shift(1).rolling(entry).max()
    low = frame["low"].shift(1).rolling(exit).min()
    return frame["close"] > high, frame["close"] < low


def signal_buy_and_hold(frame):
    return pd.Series(True, index=frame.index), pd.Series(False, index=frame.index)


def account(frame, enter, leave):
    """Value at every close and the number of positions opened on every bar."""
    cash, shares, want = 1.0, 0.0, bool(enter.iloc[0])
    values, opened = [1.0], [0]
    opens, closes = frame["open"].tolist(), frame["close"].tolist()
    enter, leave = enter.tolist(), leave.tolist()
    for i in range(1, len(frame)):
        bought = 0
        if want and shares == 0:
            price = opens[i] * (1 + SETTINGS["slippage"])
            shares = cash / ((1 + SETTINGS["fees"]) * price)
            cash, bought = 0.0, 1
        elif not want and shares > 0:
            price = opens[i] * (1 - SETTINGS["slippage"])
            cash = shares * price * (1 - SETTINGS["fees"])
            shares = 0.0
        values.append(cash + shares * closes[i])
        opened.append(bought)
        want = not leave[i] if shares > 0 else bool(enter[i])
    return np.array(values), np.array(opened)


def side(values, opened):
    """values[0] is the value the period starts with."""
    r = values[1:] / values[:-1] - 1
    years = len(r) / SETTINGS["periodsPerYear"]
    spread = r.std(ddof=1)
    none = spread == 0
    return {
        "sharpe": None if none else r.mean() / spread * math.sqrt(SETTINGS["periodsPerYear"]),
        "cagr": (values[-1] / values[0]) ** (1 / years) - 1,
        "maxDrawdown": float((values / np.maximum.accumulate(values) - 1).min()),
        "totalReturn": values[-1] / values[0] - 1,
        "volatility": spread * math.sqrt(SETTINGS["periodsPerYear"]),
        "skewness": None if none else float(stats.skew(r)),
        "kurtosis": None if none else float(stats.kurtosis(r, fisher=False)),
        "trades": int(opened[1:].sum()),
        "bars": len(r),
    }


def outcome(frame, signal, parameters):
    values, opened = account(frame, *signal(frame, *parameters))
    split = int((frame["date"] <= SETTINGS["inSampleEnd"]).sum())
    return {
        "parameters": list(parameters),
        "In": side(values[:split], opened[:split]),
        "Out": side(values[split - 1 :], np.concatenate([[0], opened[split:]])),
        "finalValue": values[-1],
    }


def probabilistic(sharpe, benchmark, observations, skewness, kurtosis):
    spread = math.sqrt(1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2)
    return float(stats.norm.cdf((sharpe - benchmark) * math.sqrt(observations - 1) / spread))


def best_by_luck(trials, variance):
    z = stats.norm.ppf
    return math.sqrt(variance) * ((1 - np.euler_gamma) * z(1 - 1 / trials) + np.euler_gamma * z(1 - 1 / (trials * math.e)))


def sharpe_cases(rng):
    cases = []
    for _ in range(20):
        case = {
            "sharpe": rng.uniform(-0.1, 0.2),
            "observations": rng.randint(100, 5000),
            "skewness": rng.uniform(-3, 1),
            "kurtosis": rng.uniform(3, 20),
            "trials": rng.randint(2, 100_000),
            "variance": rng.uniform(1e-5, 5e-3),
        }
        luck = best_by_luck(case["trials"], case["variance"])
        moments = (case["observations"], case["skewness"], case["kurtosis"])
        cases.append({
            **case,
            "expectedMax": luck,
            "probabilistic": probabilistic(case["sharpe"], 0, *moments),
            "deflated": probabilistic(case["sharpe"], luck, *moments),
        })
    return cases


def main():
    frame = bars()
    rng = random.Random(2000)
    grids = {
        "ma-cross": (signal_ma_cross, [(1, 2), (5, 300), (50, 200), *[tuple(sorted(rng.sample(range(2, 300), 2))) for _ in range(27)]]),
        "rsi-reversion": (signal_rsi_reversion, [(14, 30, 70), (14, 0, 100), *[(rng.randint(2, 40), rng.randint(5, 45), rng.randint(50, 95)) for _ in range(28)]]),
        "channel-breakout": (signal_channel_breakout, [(1, 1), (20, 10), (55, 20), *[(rng.randint(2, 250), rng.randint(2, 200)) for _ in range(27)]]),
        "buy-and-hold": (signal_buy_and_hold, [()]),
    }
    rsi = {str(p): talib.RSI(frame["close"].to_numpy(), timeperiod=p)[p : p + 400].tolist() for p in (2, 14, 21)}
    points = [*np.linspace(-8, 8, 65).tolist(), -37.0, 0.46875 * math.sqrt(2), 4 * math.sqrt(2)]
    chances = [1e-300, 1e-50, 1e-12, 1e-6, 0.001, *np.linspace(0.01, 0.99, 50).tolist(), 0.075, 0.925, 1 - 1e-6, 1 - 1e-12]
    fixture = {
        "made": {"by": "bench/peers/sweep_oracle.py", "numpy": np.__version__, "pandas": pd.__version__, "scipy": scipy.__version__, "talib": talib.__version__},
        "settings": SETTINGS,
        "families": {name: [outcome(frame, signal, p) for p in grid] for name, (signal, grid) in grids.items()},
        "rsi": rsi,
        "normal": {"cdf": [[x, float(stats.norm.cdf(x))] for x in points], "quantile": [[p, float(stats.norm.ppf(p))] for p in chances]},
        "sharpe": sharpe_cases(rng),
    }
    out = ROOT / "kernels/fixtures/sweep-oracle.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(fixture, indent=1, default=float) + "\n")
    print(f"{out.relative_to(ROOT)}: {sum(map(len, fixture['families'].values()))} combinations")


if __name__ == "__main__":
    main()
