"""Return statistics, splits, overfitting and bootstrap by empyrical, scipy, scikit-learn, skfolio and numpy: an oracle for
kernels/statistics and kernels/validation.

Writes kernels/fixtures/statistics-oracle.json, which the tests read, so that they need no Python.

    python3 -m venv DIR && DIR/bin/pip install -r bench/peers/requirements-statistics.txt
    DIR/bin/python bench/peers/statistics_fixtures.py && npx biome format --write kernels/fixtures
"""
import itertools
import json
import math
import pathlib
from importlib.metadata import version

import empyrical
import numpy as np
import pandas as pd
import vectorbt  # noqa: F401 (registers the accessor)
from scipy import stats
from skfolio.model_selection import CombinatorialPurgedCV
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, TimeSeriesSplit

import feature_bars

ROOT = pathlib.Path(__file__).resolve().parents[2]
A = 252


def number(x):
    x = float(x)
    return x if math.isfinite(x) else None


def series(rng):
    """Name -> returns, each with its own difficulty."""
    normal = rng.normal(0.0004, 0.01, 1000)
    heavy = 0.012 * rng.standard_t(3, 1500)
    flat = np.where(rng.random(600) < 0.7, 0.0, rng.normal(0.001, 0.02, 600))
    tiny = 1e-9 * rng.normal(0.1, 1, 300)
    gaps = rng.normal(-0.0002, 0.015, 500)
    gaps[rng.random(500) < 0.1] = np.nan
    return {
        "normal": normal,
        "heavy": heavy,
        "flat": flat,
        "tiny": tiny,
        "gaps": gaps,
        "crash": np.array([0.01, -0.9, 0.5, -0.5, 2.0, 0.03, -0.01]),
        "falling": np.full(40, -0.01) + 0.001 * np.arange(40) / 40,
        "fallsAtOnce": np.array([-0.5, 0.0]),
        "two": np.array([0.02, -0.01]),
    }


def statistics(r):
    r = pd.Series(r).dropna()
    gains, losses = r[r > 0].sum(), -r[r < 0].sum()
    moved = (r != 0).sum()
    return {
        "bars": len(r),
        "mean": number(r.mean()),
        "totalReturn": number(empyrical.cum_returns_final(r)),
        "cagr": number(empyrical.cagr(r, annualization=A)),
        "volatility": number(empyrical.annual_volatility(r, annualization=A)),
        "sharpe": number(empyrical.sharpe_ratio(r, annualization=A)),
        "sharpeRiskFree": number(empyrical.sharpe_ratio(r, risk_free=0.0001, annualization=A)),
        "sortino": number(empyrical.sortino_ratio(r, annualization=A)),
        "sortinoAcceptable": number(empyrical.sortino_ratio(r, required_return=0.0002, annualization=A)),
        "calmar": number(empyrical.calmar_ratio(r, annualization=A)),
        "maxDrawdown": number(empyrical.max_drawdown(r)),
        "skewness": number(stats.skew(r)),
        "kurtosis": number(stats.kurtosis(r, fisher=False)),
        "hitRate": number((r > 0).sum() / moved) if moved else None,
        "profitFactor": number(gains / losses) if losses > 0 else None,
        "var": number(empyrical.value_at_risk(r, 0.05)),
        "cvar": number(empyrical.conditional_value_at_risk(r, 0.05)),
        "best": number(r.max()),
        "worst": number(r.min()),
        "drawdowns": drawdowns(r),
        "probabilistic": probabilistic(r),
        "minTrackRecord": track_record(r),
        "deflated": [deflated(r, *trials) for trials in TRIALS],
    }


def by_vectorbt(r):
    """The returns accessor. Its cvar and var are numpy's; its annual growth is of the whole period, as ours."""
    a = pd.Series(r).dropna().vbt.returns(freq="D", year_freq=f"{A}D")
    return {
        "totalReturn": number(a.total()),
        "cagr": number(a.annualized()),
        "volatility": number(a.annualized_volatility()),
        "sharpe": number(a.sharpe_ratio()),
        "sortino": number(a.sortino_ratio()),
        "calmar": number(a.calmar_ratio()),
        "maxDrawdown": number(a.max_drawdown()),
        "var": number(a.value_at_risk()),
        "cvar": number(a.cond_value_at_risk()),
    }


def long_series():
    """Returns that both sides can make for themselves: 10,240 bars of a walk with suspensions, the same with gaps at prices of three scales, tiny
    returns, and the S&P 500."""
    closes = pd.read_csv(ROOT / "node_modules/vega-datasets/data/sp500-2000.csv")["close"].to_numpy()
    return {
        "walk": walk(),
        **{f"prices {scale:g}": feature_bars.columns(scale, gaps="some")["change"] for scale in (1, 1e-9, 1e9)},
        "walk 1e-9": walk() * 1e-9,
        "sp500": closes[1:] / closes[:-1] - 1,
    }


def walk():
    return feature_bars.columns()["growth"] - 1


# Number of trials, variance of their Sharpe ratios.
TRIALS = [(10, 1e-4), (1_000, 4e-4), (1_000_000, 1e-5)]


def deflated(r, trials, variance):
    """[SR*, probability], by scipy's quantiles."""
    luck = math.sqrt(variance) * ((1 - np.euler_gamma) * stats.norm.ppf(1 - 1 / trials) + np.euler_gamma * stats.norm.ppf(1 - 1 / (trials * math.e)))
    return [number(luck), probabilistic(r, luck)]


def probabilistic(r, benchmark=0.01):
    sharpe = r.mean() / r.std(ddof=1)
    spread = math.sqrt(1 - stats.skew(r) * sharpe + (stats.kurtosis(r, fisher=False) - 1) / 4 * sharpe**2)
    return number(stats.norm.cdf((sharpe - benchmark) * math.sqrt(len(r) - 1) / spread))


def track_record(r):
    sharpe = r.mean() / r.std(ddof=1)
    if not sharpe > 0.01:
        return None
    spread = 1 - stats.skew(r) * sharpe + (stats.kurtosis(r, fisher=False) - 1) / 4 * sharpe**2
    return number(1 + spread * (stats.norm.ppf(0.9) / (sharpe - 0.01)) ** 2)


def drawdowns(r):
    """[depth, peak, valley, recovery] with positions in the present returns; the five deepest. By pandas' cumulative maximum."""
    value = pd.Series(np.concatenate([[1.0], (1 + r.to_numpy()).cumprod()]))
    under = value / value.cummax() - 1
    found, start = [], None
    for i in range(len(value)):
        if under[i] < 0 and start is None:
            start = i - 1
        if start is not None and (under[i] == 0 or i == len(value) - 1):
            part = under[start : i + 1]
            recovered = under[i] == 0
            found.append([number(part.min()), start - 1, int(part.idxmin()) - 1, i - 1 if recovered else None])
            start = None
    return sorted(found, key=lambda d: (d[0], d[1]))[:5]


def runs(indices):
    """Ascending bars as half-open ranges."""
    out = []
    for i in map(int, indices):
        if out and out[-1][1] == i:
            out[-1][1] = i + 1
        else:
            out.append([i, i + 1])
    return out


def walk_forward_cases():
    cases = []
    for bars, splits, test, train, gap in [(100, 5, None, None, 0), (101, 4, None, None, 0), (250, 6, 20, None, 5), (250, 6, 20, 60, 5), (1000, 3, None, 200, 10), (13, 12, None, None, 0),
                                            (10240, 9, None, None, 25), (10240, 6, 1_000, None, 3), (10243, 4, None, None, 0)]:
        cv = TimeSeriesSplit(n_splits=splits, test_size=test, max_train_size=train, gap=gap)
        found = [[runs(tr), runs(te)] for tr, te in cv.split(np.zeros((bars, 1)))]
        cases.append({"bars": bars, "splits": splits, "test": test, "train": train, "purge": gap, "found": found})
    return cases


def cpcv_cases():
    """skfolio purges on both sides of a test range and puts the embargo behind; it wants bars that divide into groups."""
    cases = []
    for bars, groups, tests, purge, embargo in [(60, 6, 2, 0, 0), (120, 6, 2, 3, 4), (200, 10, 2, 5, 0), (96, 8, 3, 1, 2), (80, 5, 4, 2, 1), (10240, 8, 2, 21, 42)]:
        cv = CombinatorialPurgedCV(n_folds=groups, n_test_folds=tests, purged_size=purge, embargo_size=embargo)
        found = [[runs(tr), [runs(te) for te in test]] for tr, test in cv.split(np.zeros((bars, 1)))]
        cases.append({
            "bars": bars, "groups": groups, "testGroups": tests, "purge": purge, "embargo": embargo, "found": found,
            "paths": int(cv.n_test_paths), "pathIds": cv.get_path_ids().tolist(),
        })
    return cases


def kfold_cases():
    return [{"bars": bars, "splits": k, "found": [[runs(tr), runs(te)] for tr, te in KFold(k).split(np.zeros((bars, 1)))]} for bars, k in [(100, 5), (103, 5), (17, 4), (10240, 10), (10243, 7)]]


def overfitting(returns, blocks):
    """CSCV straight from the paper, on arrays."""
    parts = np.array_split(returns, blocks)
    sharpe = lambda m: m.mean(axis=0) / m.std(axis=0, ddof=1)
    logits, inside, outside = [], [], []
    for chosen in itertools.combinations(range(blocks), blocks // 2):
        a = sharpe(np.concatenate([parts[i] for i in chosen]))
        b = sharpe(np.concatenate([parts[i] for i in range(blocks) if i not in chosen]))
        best = int(np.argmax(a))
        omega = stats.rankdata(b)[best] / (len(b) + 1)
        logits.append(math.log(omega / (1 - omega)))
        inside.append(a[best])
        outside.append(b[best])
    fit = LinearRegression().fit(np.array(inside)[:, None], outside)
    logits, outside = np.array(logits), np.array(outside)
    return {
        "choices": len(logits),
        "pbo": number((logits <= 0).mean()),
        "logitMean": number(logits.mean()),
        "slope": number(fit.coef_[0]),
        "intercept": number(fit.intercept_),
        "lossProbability": number((outside < 0).mean()),
    }


def overfitting_cases(rng):
    cases = []
    for bars, trials, blocks, edge in [(240, 8, 6, 0.0), (205, 12, 8, 0.0), (300, 6, 10, 0.15)]:
        returns = rng.normal(0, 0.01, (bars, trials)).round(5)
        returns[:, 0] += round(edge * 0.01, 5)
        cases.append({"blocks": blocks, "returns": returns.T.tolist(), **overfitting(returns, blocks)})
    return cases


def long_overfitting():
    """Trials that both sides make for themselves: the walk's returns, begun so many bars later."""
    trials = np.column_stack([np.roll(walk(), -1_280 * k) for k in range(8)])
    return [{"blocks": blocks, **overfitting(trials, blocks)} for blocks in (6, 10)]


# Philox4x32-10 with Python's integers, from the paper (Salmon et al. 2011).
def philox(counter, key):
    c0, c1, c2, c3 = counter
    k0, k1 = key
    mask = 0xFFFFFFFF
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & mask, (p0 >> 32) ^ c3 ^ k1, p0 & mask
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return c0, c1, c2, c3


def resample(seed, replicate, mean_block, bars):
    rows = []
    for step in range(bars):
        w = philox((step, 0, replicate & 0xFFFFFFFF, replicate >> 32), (seed & 0xFFFFFFFF, seed >> 32))
        u, v = ((w[0] >> 5) * 2**26 + (w[1] >> 6)) / 2**53, ((w[2] >> 5) * 2**26 + (w[3] >> 6)) / 2**53
        rows.append(int(v * bars) if step == 0 or u < 1 / mean_block else (rows[-1] + 1) % bars)
    return rows


def bootstrap_case(r, mean_block, replicates, kept_rows):
    seed, bars = 2**40 + 7, len(r)
    rows = [resample(seed, k, mean_block, bars) for k in range(replicates)]
    sharpes = [number(empyrical.sharpe_ratio(r[i], annualization=A)) for i in rows]
    return {
        "seed": seed,
        "meanBlock": mean_block,
        "rows": rows[:kept_rows],
        "sharpe": sharpes,
        "maxDrawdown": [number(empyrical.max_drawdown(pd.Series(r[i]))) for i in rows],
        "interval": {"mean": np.mean(sharpes), "standardError": np.std(sharpes, ddof=1), "lower": np.quantile(sharpes, 0.05), "median": np.median(sharpes), "upper": np.quantile(sharpes, 0.95)},
    }


def main():
    rng = np.random.default_rng(1994)
    returns = {name: np.where(np.isnan(r), r, np.round(r, 15 if name == "tiny" else 6)) for name, r in series(rng).items()}
    packages = ("numpy", "pandas", "scipy", "empyrical-reloaded", "vectorbt", "scikit-learn", "skfolio")
    fixture = {
        "made": {"by": "bench/peers/statistics_fixtures.py", **{name: version(name) for name in packages}},
        "series": {name: {"returns": [number(x) for x in r], **statistics(r)} for name, r in returns.items()},
        "long": {name: statistics(r) for name, r in long_series().items()},
        "vectorbt": {name: by_vectorbt(r) for name, r in (*returns.items(), *long_series().items())},
        "walkForward": walk_forward_cases(),
        "kfold": kfold_cases(),
        "cpcv": cpcv_cases(),
        "overfitting": overfitting_cases(rng),
        "longOverfitting": long_overfitting(),
        "bootstrap": bootstrap_case(returns["normal"][:200], 8, 40, 3),
        "longBootstrap": bootstrap_case(walk(), 50, 12, 0),
    }
    out = ROOT / "kernels/fixtures/statistics-oracle.json"
    out.write_text(json.dumps(fixture, default=float) + "\n")
    print(f"{out.relative_to(ROOT)}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
