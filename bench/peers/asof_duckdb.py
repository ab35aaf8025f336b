"""DuckDB's side of the as-of join in `npm run bench -- kernels`: one line of JSON in, one out.

The tables and the query are those of DuckDB's own benchmark of its as-of join: every key has a row a minute; the probe has every other key, half
a minute earlier. One thread, as ours.
"""

import json
import sys
import time

import duckdb


def say(value):
    print(json.dumps(value), flush=True)


def main():
    connection = duckdb.connect()
    connection.execute("SET threads=1")
    say({"name": f"DuckDB {duckdb.__version__}, 1 thread"})
    for line in sys.stdin:
        command = json.loads(line)
        if command["measure"] == "prepare":
            minutes, keys = command["minutes"], command["keys"]
            connection.execute(
                f"""CREATE OR REPLACE TABLE build AS (
                    SELECT k, '2001-01-01 00:00:00'::TIMESTAMP + INTERVAL (v) MINUTE AS t, v
                    FROM range(0, {minutes}) vals(v), range(0, {keys}) keys(k))"""
            )
            connection.execute("CREATE OR REPLACE TABLE probe AS (SELECT k * 2 AS k, t - INTERVAL (30) SECOND AS t FROM build)")
            say({"rows": connection.execute("SELECT count(*) FROM probe").fetchone()[0]})
        else:
            start = time.perf_counter()
            total = connection.execute("SELECT sum(v) FROM probe ASOF JOIN build USING (k, t)").fetchone()[0]
            say({"ms": (time.perf_counter() - start) * 1_000, "total": int(total)})


main()
