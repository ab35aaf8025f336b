"""What pandas, polars and DuckDB answer to as-of joins: fixtures of the tests of kernels/asof, which then need no Python.

Writes kernels/asof/fixtures/peers.json. `sets`: small tables, and for each peer and choice of options the index of the right row beside every left
row (null for none). `feeds`: of 12,000 rows a side, which the tests make again from the same generator, the SHA-256 of those indices as int32 (-1 for none).
Tables have ties, gaps and keys of one side only; times are integers, so that all peers compare exactly.

    python3 -m venv DIR && DIR/bin/pip install -r bench/peers/requirements-asof.txt
    DIR/bin/python bench/peers/asof_fixtures.py && npx biome format --write kernels/asof/fixtures
"""
import array
import hashlib
import json
import pathlib
import random

import duckdb
import pandas as pd
import polars as pl

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIRECTIONS = ("backward", "forward", "nearest")


def table(rng, rows, span, keys, distinct):
    """Rows in order of time; `distinct`: no two rows of one key and time."""
    drawn = [(rng.randrange(span), rng.choice(keys)) for _ in range(rows)]
    if distinct:
        drawn = list(set(drawn))
        rng.shuffle(drawn)
    drawn.sort(key=lambda row: row[0])
    return {"t": [row[0] for row in drawn], "k": [row[1] for row in drawn]}


def indices(values):
    return [None if value is None or value != value else int(value) for value in values]


def by_pandas(left, right, direction, exact, tolerance):
    joined = pd.merge_asof(
        pd.DataFrame(left), pd.DataFrame(right).assign(row=range(len(right["t"]))),
        on="t", by="k", direction=direction, allow_exact_matches=exact, tolerance=tolerance,
    )
    return indices(joined["row"].tolist())


def by_polars(left, right, direction, exact, tolerance):
    joined = pl.DataFrame(left).join_asof(
        pl.DataFrame(right).with_row_index("row"),
        on="t", by="k", strategy=direction, allow_exact_matches=exact, tolerance=tolerance, check_sortedness=False,
    )
    return indices(joined["row"].to_list())


# The four forms of DuckDB's inequality, as the condition on the left time.
FORMS = {">=": ("backward", True), ">": ("backward", False), "<=": ("forward", True), "<": ("forward", False)}


def by_duckdb(left, right, form):
    connection = duckdb.connect()
    connection.register("l", pd.DataFrame(left).assign(at=range(len(left["t"]))))
    connection.register("r", pd.DataFrame(right).assign(row=range(len(right["t"]))))
    query = f"SELECT r.row FROM l ASOF LEFT JOIN r ON l.k = r.k AND l.t {form} r.t ORDER BY l.at"
    return indices([row for (row,) in connection.execute(query).fetchall()])


def by_duckdb_on_two_axes(left, facts):
    """The obvious query: all facts that had happened and were known, the newest first."""
    connection = duckdb.connect()
    connection.register("l", pd.DataFrame(left).assign(at=range(len(left["t"]))))
    connection.register("f", pd.DataFrame(facts).assign(row=range(len(facts["t"]))))
    query = """SELECT f.row FROM l LEFT JOIN f ON l.k = f.k AND f.t <= l.t AND f.known <= l.t
               QUALIFY row_number() OVER (PARTITION BY l.at ORDER BY f.t DESC NULLS LAST, f.known DESC, f.row DESC) = 1 ORDER BY l.at"""
    return indices([row for (row,) in connection.execute(query).fetchall()])


def cases(left, right, ties):
    for direction in DIRECTIONS:
        for exact in (True, False):
            for tolerance in (None, 3):
                options = {"direction": direction, "exact": exact, **({} if tolerance is None else {"tolerance": tolerance})}
                yield {"peer": "pandas", "options": options, "rows": by_pandas(left, right, direction, exact, tolerance)}
                yield {"peer": "polars", "options": options, "rows": by_polars(left, right, direction, exact, tolerance)}
    if ties:
        return
    # With ties DuckDB says nothing about which row it takes.
    for form, (direction, exact) in FORMS.items():
        yield {"peer": "DuckDB", "form": form, "options": {"direction": direction, "exact": exact}, "rows": by_duckdb(left, right, form)}


class Draw:
    """The same numbers in any language: a linear congruence of 31 bits, of which the upper 15 are used."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state = (self.state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self.state >> 16) % bound


def feed(seed, rows, least_step, only):
    """Seconds between rows are 0 to 3 above the least; the sixth key is of one side only."""
    draw = Draw(seed)
    time = 0
    made = {"t": [], "k": [], "known": []}
    for _ in range(rows):
        time += least_step + draw.below(4)
        key = draw.below(6)
        made["t"].append(time)
        made["k"].append(only if key == 5 else f"K{key}")
        made["known"].append(time + draw.below(200) - 20)
    return made


def digest(rows):
    return hashlib.sha256(array.array("i", [-1 if row is None else row for row in rows]).tobytes()).hexdigest()


def feeds(rows):
    for name, least_step in (("ties", 0), ("distinct times", 1)):
        left, right = feed(1, rows, least_step, "left only"), feed(2, rows, least_step, "right only")
        plain = [{key: side[key] for key in ("t", "k")} for side in (left, right)]
        found = [{**case, "rows": digest(case["rows"])} for case in cases(*plain, least_step == 0)]
        two = {"peer": "DuckDB", "rows": digest(by_duckdb_on_two_axes(plain[0], right))}
        yield {"name": name, "leastStep": least_step, "rows": rows, "cases": found, "twoAxes": two}


def main():
    rng = random.Random(20190718)
    sets = []
    for name, rows, span, ties in (("distinct times", 200, 600, False), ("ties", 200, 40, True)):
        left = table(rng, rows, span, ["A", "B", "C", "left only"], False)
        right = table(rng, rows, span, ["A", "B", "C", "right only"], not ties)
        sets.append({"name": name, "left": left, "right": right, "cases": list(cases(left, right, ties))})
    versions = {"pandas": pd.__version__, "polars": pl.__version__, "DuckDB": duckdb.__version__}
    path = ROOT / "kernels/asof/fixtures/peers.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"versions": versions, "sets": sets, "feeds": list(feeds(12_000))}) + "\n")


main()
