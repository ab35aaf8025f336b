"""Small Parquet files as pyarrow and polars write them, with their values as JSON, and facts of flights-3m.parquet.

python bench/peers/parquet_fixtures.py <flights-3m.parquet> data/lake/fixtures
Needs pyarrow and polars.
"""

import datetime as dt
import decimal
import json
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

flights, out = Path(sys.argv[1]), Path(sys.argv[2])
rows = 300
null = lambda i, value: None if i % 7 == 3 else value
day = dt.date(2000, 1, 3)
time = dt.datetime(2000, 1, 3, 9, 30)
utc = dt.timezone.utc
words = ["AAPL", "MSFT", "SPY", "Ünïcode ✓", ""]
columns = {
    "bool": pa.array([null(i, i % 3 == 0) for i in range(rows)], pa.bool_()),
    "i8": pa.array([null(i, i % 256 - 128) for i in range(rows)], pa.int8()),
    "i16": pa.array([null(i, i * 200 - 30000) for i in range(rows)], pa.int16()),
    "i32": pa.array([i * 7_000_003 - 2**31 for i in range(rows)], pa.int32()),
    "i64": pa.array([null(i, i * 2**54 - 2**61) for i in range(rows)], pa.int64()),
    "u8": pa.array([i % 256 for i in range(rows)], pa.uint8()),
    "u16": pa.array([i * 200 for i in range(rows)], pa.uint16()),
    "u32": pa.array([null(i, i * 14_000_003) for i in range(rows)], pa.uint32()),
    "u64": pa.array([null(i, i * 2**55) for i in range(rows)], pa.uint64()),
    "f32": pa.array([null(i, i / 8) for i in range(rows)], pa.float32()),
    "f64": pa.array([null(i, 100 + i / 7) for i in range(rows)], pa.float64()),
    "day": pa.array([null(i, day + dt.timedelta(i)) for i in range(rows)], pa.date32()),
    "ms": pa.array([time + dt.timedelta(minutes=i) for i in range(rows)], pa.timestamp("ms")),
    "us": pa.array([null(i, time + dt.timedelta(microseconds=i)) for i in range(rows)], pa.timestamp("us", "UTC")),
    "ns": pa.array([i * 10**15 + i for i in range(rows)], pa.timestamp("ns")),
    "text": pa.array([null(i, f"{words[i % 5]} {i}") for i in range(rows)], pa.string()),
    "word": pa.array([null(i, words[i % 5]) for i in range(rows)], pa.string()),
    "raw": pa.array([null(i, bytes([i % 256, 0, 255])) for i in range(rows)], pa.binary()),
    "price": pa.array([null(i, decimal.Decimal(i * 101) / 100) for i in range(rows)], pa.decimal128(12, 2)),
}
table = pa.table(columns)


def plain(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (dt.date, decimal.Decimal)):
        return str(value)
    return value


def values(column):
    if pa.types.is_timestamp(column.type):
        return [None if v is None else str(v) for v in column.cast(pa.int64()).to_pylist()]
    if column.type in (pa.int64(), pa.uint64()):
        return [None if v is None else str(v) for v in column.to_pylist()]
    return [plain(v) for v in column.to_pylist()]


def written(name, table, **options):
    pq.write_table(table, out / f"{name}.parquet", row_group_size=100, **options)


written("pyarrow-snappy", table)
written("pyarrow-v2-zstd", table, data_page_version="2.0", compression="zstd", use_dictionary=False, write_page_checksum=True)
written("pyarrow-gzip-delta", table.select(["i32", "i64", "text", "f64"]), compression="gzip", use_dictionary=False,
        column_encoding={"i32": "DELTA_BINARY_PACKED", "i64": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY", "f64": "BYTE_STREAM_SPLIT"})
pl.from_arrow(table).write_parquet(out / "polars.parquet", row_group_size=100)
nested = pa.table({"id": [1, 2], "list": [[1, 2], [3]]})
pq.write_table(nested, out / "nested.parquet")

big = pq.read_table(flights)
facts = {
    "rows": big.num_rows,
    "delaySum": str(pc.sum(big["delay"]).as_py()),
    "distanceSum": str(pc.sum(big["distance"]).as_py()),
    "dateSum": str(sum(v.cast(pa.int64()).to_numpy().astype(object).sum() for v in big["date"].chunks)),
    "origins": {name.as_py(): count.as_py() for name, count in (s.values() for s in pc.value_counts(big["origin"]))},
}
facts["origins"] = dict(sorted(facts["origins"].items())[:20])
content = {"versions": {"pyarrow": pa.__version__, "polars": pl.__version__}, "flights": facts, "columns": {name: values(table[name]) for name in columns}}
(out / "values.json").write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
