"""What pandas, numpy, scipy and polars make of a (date, symbol) panel: the oracle of kernels/panel.

Writes kernels/fixtures/panel-peers.json. The panel of panel_rows.py is made again by the tests, at three scales, so only the peers'
columns are kept, as conformance_blocks.py does it; the tests need no Python.

    python3 -m venv DIR && DIR/bin/pip install -r bench/peers/requirements-panel.txt
    DIR/bin/python bench/peers/panel_fixtures.py && npx biome format --write kernels/fixtures/panel-peers.json
"""
import json
import pathlib

import numpy as np
import pandas as pd
import polars as pl
import scipy
from conformance_blocks import Kept
from panel_rows import panel
from scipy import stats

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCALES = (1, 1e-9, 1e9)
WHOLE = {"rank", "quantile", "select"}


def per_date(frame, column, of):
    """`of` takes the values present on a date, and gives as many."""
    out = pd.Series(np.nan, index=frame.index)
    for _, day in frame.groupby("day"):
        there = day[column].dropna()
        out[there.index] = np.asarray(of(there.to_numpy()), dtype=float)
    return out


def cells(frame):
    made = []

    def add(kernel, params, column, values, option, rows="panel"):
        said = {"scipy": ("scipy",), "polars": ("over(",), "numpy": ("np.", "numpy", "argsort")}
        peer = next((name for name, words in said.items() if any(word in option for word in words)), "pandas")
        made.append(({"kernel": kernel, "params": params, "column": column, "peer": peer, "option": option, "rows": rows}, values))

    by_day = frame.groupby("day")
    for column in ("x", "tied"):
        for method in ("average", "min", "max", "dense", "first"):
            for ascending in (True, False):
                ours = "ordinal" if method == "first" else method
                ranks = by_day[column].rank(method=method, ascending=ascending)
                add("rank", {"method": ours, "ascending": ascending}, column, ranks, f"rank(method={method!r}, ascending={ascending})")
        pct = by_day[column].rank(pct=True)
        add("rank", {"scale": "percent"}, column, pct, "rank(pct=True)")
        dense = by_day[column].rank(method="dense", pct=True)
        add("rank", {"scale": "percent", "method": "dense"}, column, dense, "rank(method='dense', pct=True)")
    for n in (2, 3, 5, 7, 10):
        cut = per_date(frame, "x", lambda v, n=n: pd.qcut(v, n, labels=False) + 1)
        add("quantile", {"buckets": n, "meaning": "qcut"}, "x", cut, f"qcut({n})")
        dropped = per_date(frame, "tied", lambda v, n=n: pd.qcut(v, n, labels=False, duplicates="drop") + 1)
        add("quantile", {"buckets": n, "meaning": "qcut", "duplicates": "drop"}, "tied", dropped, f"qcut({n}, duplicates='drop')")
    for edges in ([0.2], [0.3, 0.7], [0.1, 0.29, 0.5, 0.9]):
        for column in ("x", "tied"):
            linear = per_date(frame, column, lambda v, edges=edges: 1 + sum((v > np.quantile(v, p)).astype(int) for p in edges))
            add("quantile", {"edges": edges, "meaning": "numpy-linear"}, column, linear, "v <= np.quantile(v, p)")

            def count(v, edges=edges):
                order = np.argsort(v, kind="stable")
                place = np.empty(len(v), dtype=int)
                place[order] = np.arange(len(v))
                return 1 + sum((place >= int(p * len(v))).astype(int) for p in edges)

            add("quantile", {"edges": edges, "meaning": "count"}, column, per_date(frame, column, count), "argsort(kind='stable')[:int(f * n)]")
    for column in ("x", "tied"):
        values = by_day[column]
        for ddof in (0, 1):
            z = (frame[column] - values.transform("mean")) / values.transform("std", ddof=ddof)
            add("zscore", {"ddof": ddof}, column, z, f"(x - mean) / std(ddof={ddof})")
        add("demean", {}, column, frame[column] - values.transform("mean"), "x - groupby(date).transform('mean')")
    by_sector = frame.groupby(["day", "sector"])
    add("neutralise", {"group": "sector"}, "x", frame.x - by_sector.x.transform("mean"), "x - groupby([date, sector]).transform('mean')")
    z = (frame.x - by_sector.x.transform("mean")) / by_sector.x.transform("std")
    add("neutralise", {"group": "sector", "method": "zscore"}, "x", z, "groupby([date, sector]) z-score")
    add("rank", {"group": "sector"}, "tied", by_sector.tied.rank(), "groupby([date, sector]).rank()")
    limits = per_date(frame, "x", lambda v: np.clip(v, np.quantile(v, 0.1), np.quantile(v, 0.9)))
    add("winsorize", {"lower": 0.1, "upper": 0.1}, "x", limits, "clip(quantile(0.1), quantile(0.9))")
    counted = per_date(frame, "x", lambda v: stats.mstats.winsorize(v, limits=(0.1, 0.2)))
    add("winsorize", {"method": "count", "lower": 0.1, "upper": 0.2}, "x", counted, "scipy.stats.mstats.winsorize(limits=(0.1, 0.2))")
    std = per_date(frame, "x", lambda v: np.clip(v, v.mean() - v.std(ddof=1), v.mean() + v.std(ddof=1)))
    add("winsorize", {"method": "std", "k": 1}, "x", std, "clip(mean ± std)")

    def mad(v):
        width = 1.5 * stats.median_abs_deviation(v, scale="normal")
        return np.clip(v, np.median(v) - width, np.median(v) + width)

    add("winsorize", {"method": "mad", "k": 1.5}, "x", per_date(frame, "x", mad), "scipy.stats.median_abs_deviation(scale='normal')")
    for group in (None, "sector"):
        residuals = pd.Series(np.nan, index=frame.index)
        for _, day in frame.groupby("day"):
            there = day.dropna(subset=["x", "y", "size"] + ([group] if group else []))
            constants = pd.get_dummies(there[group]).to_numpy(float) if group else np.ones((len(there), 1))
            design = np.column_stack([there[["y", "size"]].to_numpy(), constants])
            design /= np.linalg.norm(design, axis=0)
            beta = np.linalg.lstsq(design, there.x.to_numpy(), rcond=None)[0]
            residuals[there.index] = there.x.to_numpy() - design @ beta
        params = {"method": "regress", "exposures": ["y", "size"], **({"group": group} if group else {})}
        add("neutralise", params, "x", residuals, "numpy.linalg.lstsq")
    select_cells(frame, add)
    polars_cells(frame, add)
    reshape_cells(frame, add)
    forward_cells(frame, add)
    return made


def select_cells(frame, add):
    for column in ("x", "tied"):
        for side, method in (("top", "nlargest"), ("bottom", "nsmallest")):
            chosen = pd.Series(0.0, index=frame.index)
            for _, day in frame.groupby("day"):
                chosen[getattr(day[column], method)(5, keep="first").index] = 1.0
            add("select", {"side": side, "n": 5}, column, chosen, f"{method}(5, keep='first')")
    low = per_date(frame, "x", lambda v: v <= np.quantile(v, 0.2)).fillna(0)
    add("select", {"side": "bottom", "fraction": 0.2, "meaning": "numpy-linear"}, "x", low, "v <= np.quantile(v, 0.2)")


def polars_cells(frame, add):
    sector = [None if pd.isna(one) else one for one in frame.sector]
    data = pl.DataFrame({"day": frame.day.to_numpy(), "sector": sector, "x": frame.x.to_numpy(), "tied": frame.tied.to_numpy()}, nan_to_null=True)
    for column in ("x", "tied"):
        for method in ("average", "min", "max", "dense", "ordinal"):
            for ascending in (True, False):
                ranks = data.select(pl.col(column).rank(method, descending=not ascending).over("day")).to_series()
                option = f"rank({method!r}, descending={not ascending}).over(date)"
                # Of equals, polars' descending ordinal ranks the last one first.
                if method != "ordinal" or ascending:
                    add("rank", {"method": method, "ascending": ascending}, column, ranks.cast(pl.Float64).to_numpy(), option)
    z = data.select((pl.col("x") - pl.col("x").mean().over("day")) / pl.col("x").std().over("day")).to_series()
    add("zscore", {"ddof": 1}, "x", z.to_numpy(), "(x - mean().over(date)) / std().over(date)")
    demeaned = data.select(pl.col("x") - pl.col("x").mean().over("day", "sector")).to_series()
    demeaned = demeaned.zip_with(data["sector"].is_not_null(), pl.Series([None] * len(data), dtype=pl.Float64))
    add("demean", {"group": "sector"}, "x", demeaned.to_numpy(), "x - mean().over(date, sector)")


def reshape_cells(frame, add):
    wide = frame.pivot(index="day", columns="symbol", values="x")
    for symbol in ("S05", "S13", "S20"):
        add("pivot", {"columns": ["x"]}, symbol, wide[symbol], "pivot(index=date, columns=symbol)", "dates")
    long = wide.reset_index().melt("day").sort_values(["day", "symbol"]).value
    add("unpivot", {}, "value", long.dropna(), "pivot, melt, dropna", "pairs")
    add("unpivot", {"missing": "keep"}, "value", long, "pivot, melt", "pairs")


def forward_cells(frame, add):
    wide = frame.pivot(index="day", columns="symbol", values="close")
    for h in (1, 3):
        forward = (wide.shift(-h) / wide - 1).stack(future_stack=True).rename(f"forward_{h}")
        frame = frame.join(forward, on=["day", "symbol"])
        add("forward_returns", {"horizons": [h]}, f"forward_{h}", frame[f"forward_{h}"], f"pivot, pct_change({h}).shift(-{h})")
        own = frame.groupby("symbol").close.transform(lambda p, h=h: p.shift(-h) / p - 1)
        add("forward_returns", {"horizons": [h], "step": "row"}, f"forward_{h}", own, f"groupby(symbol) shift(-{h})")
    for factor in ("x", "tied"):
        for correlation, of in (("spearman", stats.spearmanr), ("pearson", stats.pearsonr)):
            values = []
            for _, day in frame.groupby("day"):
                pairs = day[[factor, "forward_1"]].dropna()
                varies = len(pairs) > 2 and pairs[factor].nunique() > 1
                values.append(of(pairs[factor], pairs.forward_1)[0] if varies else np.nan)
            add("ic", {"factor": factor, "returns": ["forward_1"], "correlation": correlation}, "ic_forward_1", values, f"scipy.stats.{correlation}r", "dates")
            series = pd.Series(values)
            summary = [series.count(), series.mean(), series.std(), series.mean() / series.std()]
            add("ic_decay", {"factor": factor, "horizons": [1], "correlation": correlation}, "summary", summary, "count, mean, std, mean / std", "summary")
    frame["bucket"] = per_date(frame, "x", lambda v: pd.qcut(v, 4, labels=False) + 1)
    means = frame.groupby(["day", "bucket"]).forward_1.mean().unstack("bucket").reindex(columns=[1.0, 2.0, 3.0, 4.0])
    options = {"factor": "x", "buckets": 4, "meaning": "qcut"}
    add("quantile_returns", {**options, "returns": ["forward_1"]}, "forward_1", means.to_numpy().ravel(), "qcut, groupby.mean", "buckets")
    days = sorted(frame.day.unique())
    held = {day: [set(rows.symbol[rows.bucket == b]) for b in (1, 2, 3, 4)] for day, rows in frame.groupby("day")}
    for lag in (1, 2):
        turnover = []
        for d, day in enumerate(days):
            for b in range(4):
                now = held[day][b]
                turnover.append(len(now - held[days[d - lag]][b]) / len(now) if d >= lag and now else np.nan)
        add("turnover", {**options, "lag": lag}, "turnover", turnover, "new names / names now (alphalens)", "buckets")
    wide_x = frame.pivot(index="day", columns="symbol", values="x")
    auto = []
    for d in range(len(days)):
        pairs = pd.concat([wide_x.iloc[d], wide_x.iloc[d - 1]], axis=1).dropna() if d > 0 else pd.DataFrame()
        auto.append(stats.spearmanr(pairs.iloc[:, 0], pairs.iloc[:, 1])[0] if d > 0 else np.nan)
    add("rank_autocorrelation", {"factor": "x"}, "autocorrelation", auto, "scipy.stats.spearmanr of two dates", "dates")


kept = Kept()
runs = [cells(panel(scale)) for scale in SCALES]
found = []
for same in zip(*runs):
    cell = same[0][0]
    whole = cell["kernel"] in WHOLE and cell["params"].get("scale") is None
    found.append({**cell, "columns": [kept.keep(values, whole) for _, values in same]})
document = {
    "peers": {"pandas": pd.__version__, "numpy": np.__version__, "scipy": scipy.__version__, "polars": pl.__version__},
    "scales": SCALES,
    "cells": found,
    **kept.fields(),
}
path = ROOT / "kernels/fixtures/panel-peers.json"
path.write_text(json.dumps(document, allow_nan=False) + "\n")
print(f"{path.name}: {len(panel(1))} rows, {len(found)} cells, {len(kept.columns)} columns, {path.stat().st_size // 1024} kB")
