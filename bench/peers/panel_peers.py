"""pandas and polars on the cross-sections of `npm run bench -- kernels`: a line of JSON in, a line of JSON out.

{"measure": "load", "path", "dates", "symbols"}: x, then y as float64, date by date, NaN where missing -> {"forms": [...]}.
{"measure": "run", "work", "form"} -> {"ms", "sum", "n"}: the sum of what came out, and how many values.

A form is a library, and how the panel lies there: "long" is one row for each date and symbol, as ours; "wide" (pandas) a row for each date and a
column for each symbol. One thread. Requirements: bench/peers/requirements-panel.txt
"""
import os

for variable in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS"]:
    os.environ[variable] = "1"

import json
import sys
import time

import numpy as np
import pandas as pd
import polars as pl

DATA = {}
BUCKETS = 5
TAIL = 0.01


def say(answer):
    print(json.dumps(answer), flush=True)


def load(path, dates, symbols):
    x, y = np.fromfile(path).reshape(2, -1)
    day = np.repeat(np.arange(dates), symbols)
    names = np.tile(np.array([f"S{s:04d}" for s in range(symbols)]), dates)
    DATA["long"] = pd.DataFrame({"day": day, "symbol": pd.Categorical(names), "x": x, "y": y})
    DATA["wide"] = {name: pd.DataFrame(values.reshape(dates, symbols)) for name, values in (("x", x), ("y", y))}
    DATA["polars"] = pl.DataFrame({"day": day, "symbol": names, "x": x, "y": y}, nan_to_null=True).with_columns(pl.col("symbol").cast(pl.Categorical))
    return {"forms": {work: list(forms) for work, forms in WORK.items()}}


# ------------------------------------------------------------------------------------------------ pandas, long


def grouped(column="x"):
    return DATA["long"].groupby("day", sort=False)[column]


def long_rank():
    return grouped().rank()


def long_zscore():
    groups = grouped()
    return (DATA["long"].x - groups.transform("mean")) / groups.transform("std")


def long_demean():
    return DATA["long"].x - grouped().transform("mean")


def long_winsorize():
    groups = grouped()
    day = DATA["long"].day
    return DATA["long"].x.clip(groups.quantile(TAIL).loc[day].to_numpy(), groups.quantile(1 - TAIL).loc[day].to_numpy())


def long_quantile():
    return grouped().transform(lambda values: pd.qcut(values, BUCKETS, labels=False)) + 1


def correlations(x, y, day):
    """Pearson's r by group, of pairs."""
    there = (x.notna() & y.notna()).to_numpy()
    frame = pd.DataFrame({"day": day[there], "x": x[there], "y": y[there]})
    groups = frame.groupby("day", sort=False)
    frame["x"] -= groups.x.transform("mean")
    frame["y"] -= groups.y.transform("mean")
    sums = pd.DataFrame({"day": frame.day, "xx": frame.x * frame.x, "yy": frame.y * frame.y, "xy": frame.x * frame.y}).groupby("day", sort=False).sum()
    return sums.xy / np.sqrt(sums.xx * sums.yy)


def long_ic():
    frame = DATA["long"]
    pairs = frame[frame.x.notna() & frame.y.notna()]
    groups = pairs.groupby("day", sort=False)
    return correlations(groups.x.rank(), groups.y.rank(), pairs.day)


def long_ic_pearson():
    frame = DATA["long"]
    return correlations(frame.x, frame.y, frame.day)


# ------------------------------------------------------------------------------------------------ pandas, wide


def wide_rank():
    return DATA["wide"]["x"].rank(axis=1)


def wide_zscore():
    x = DATA["wide"]["x"]
    return x.sub(x.mean(axis=1), axis=0).div(x.std(axis=1), axis=0)


def wide_demean():
    x = DATA["wide"]["x"]
    return x.sub(x.mean(axis=1), axis=0)


def wide_winsorize():
    x = DATA["wide"]["x"]
    return x.clip(x.quantile(TAIL, axis=1), x.quantile(1 - TAIL, axis=1), axis=0)


def wide_ic():
    x, y = DATA["wide"]["x"], DATA["wide"]["y"]
    pairs = x.notna() & y.notna()
    return x.where(pairs).rank(axis=1).corrwith(y.where(pairs).rank(axis=1), axis=1)


def wide_ic_pearson():
    return DATA["wide"]["x"].corrwith(DATA["wide"]["y"], axis=1)


# ------------------------------------------------------------------------------------------------ polars

X, Y = pl.col("x"), pl.col("y")


def over(expression):
    return DATA["polars"].select(expression).to_series()


def by_date(expression, frame=None):
    frame = DATA["polars"] if frame is None else frame
    return frame.group_by("day", maintain_order=True).agg(expression.alias("ic"))["ic"]


def polars_rank():
    return over(X.rank().over("day"))


def polars_zscore():
    return over(((X - X.mean()) / X.std()).over("day"))


def polars_demean():
    return over(X - X.mean().over("day"))


def polars_winsorize():
    low, high = (X.quantile(p, interpolation="linear").over("day") for p in (TAIL, 1 - TAIL))
    return over(X.clip(low, high))


def polars_quantile():
    cuts = [X.quantile((i + 1) / BUCKETS, interpolation="linear").over("day") for i in range(BUCKETS - 1)]
    return over(pl.sum_horizontal([(X > cut).cast(pl.Int32) for cut in cuts]) + pl.when(X.is_not_null()).then(1))


def polars_ic():
    return by_date(pl.corr("x", "y", method="spearman"), DATA["polars"].drop_nulls(["x", "y"]))


def polars_ic_pearson():
    return by_date(pl.corr("x", "y"), DATA["polars"].drop_nulls(["x", "y"]))


WORK = {
    "rank": {"pandas, long": long_rank, "pandas, wide": wide_rank, "polars": polars_rank},
    "zscore": {"pandas, long": long_zscore, "pandas, wide": wide_zscore, "polars": polars_zscore},
    "demean": {"pandas, long": long_demean, "pandas, wide": wide_demean, "polars": polars_demean},
    "winsorize": {"pandas, long": long_winsorize, "pandas, wide": wide_winsorize, "polars": polars_winsorize},
    "quantile": {"pandas, long": long_quantile, "polars": polars_quantile},
    "ic": {"pandas, long": long_ic, "pandas, wide": wide_ic, "polars": polars_ic},
    "ic-pearson": {"pandas, long": long_ic_pearson, "pandas, wide": wide_ic_pearson, "polars": polars_ic_pearson},
}


def run(work, form):
    start = time.perf_counter()
    result = WORK[work][form]()
    ms = (time.perf_counter() - start) * 1_000
    values = result.cast(pl.Float64).to_numpy() if isinstance(result, pl.Series) else result.to_numpy(dtype=np.float64)
    there = np.abs(values[~np.isnan(values)])
    return {"ms": ms, "sum": float(there.sum()), "n": int(there.size)}


def main():
    say({"name": f"pandas {pd.__version__}, polars {pl.__version__}"})
    for line in sys.stdin:
        command = json.loads(line)
        if command["measure"] == "load":
            say(load(command["path"], command["dates"], command["symbols"]))
        else:
            say(run(command["work"], command["form"]))


if __name__ == "__main__":
    main()
