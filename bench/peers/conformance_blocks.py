"""A peer's column of ten thousand values in a thousand bytes: what is kept, and why, says kernels/testing/conformance-blocks.ts."""
import base64
import hashlib
import math
import zlib

import numpy as np

BLOCK_ROWS = 64
LEAST_WEIGHT = 4
WHOLE_MAX = 512
SINGLES_EVERY = 251


def packed(values):
    return base64.b64encode(zlib.compress(np.asarray(values, dtype="<f8").tobytes(), 9)).decode()


class Kept:
    """The columns of a fixture: equal masks and equal columns are kept once. `edges`: rows where a block begins, besides every 64th.
    `also`: names of rows that `keep` may be told to keep themselves."""

    def __init__(self, edges=(), also=None):
        self.masks = []
        self.columns = []
        self.edges = [int(edge) for edge in edges]
        self.also = {name: [int(row) for row in rows] for name, rows in (also or {}).items()}

    def keep(self, values, whole=False, also=None):
        """The column's number. NaN is missing. `whole`: whole numbers (and halves), which are the same or they are not."""
        values = np.asarray(values, dtype=np.float64)
        there = ~np.isnan(values)
        if np.isinf(values).any():
            raise ValueError("an infinity is neither a value nor missing")
        small = len(values) <= WHOLE_MAX
        present = values[there]
        singles = np.union1d(np.arange(0, len(values), 1 if small else SINGLES_EVERY), self.also[also] if also else []).astype(int)
        column = {
            "rows": len(values),
            "mask": self._number(self.masks, base64.b64encode(zlib.compress(np.packbits(there, bitorder="little").tobytes(), 9)).decode()),
            "singles": packed(values[singles]),
            "rms": math.sqrt(math.fsum(present * present) / max(len(present), 1)),
        }
        if also:
            column["also"] = also
        if not small:
            terms = np.where(there, values, 0) * (LEAST_WEIGHT + np.arange(len(values)) * 5 % 7)
            bounds = np.union1d(np.arange(0, len(values), BLOCK_ROWS), [*self.edges, len(values)]).astype(int)
            column["sums"] = packed([math.fsum(terms[at:end]) for at, end in zip(bounds, bounds[1:])])
        if whole:
            if (present * 2 != np.round(present * 2)).any():
                raise ValueError("not whole numbers")
            column["digest"] = hashlib.sha256((np.where(there, values, 0) + 0.0).astype("<f8").tobytes()).hexdigest()[:16]
        return self._number(self.columns, column)

    def fields(self):
        edges = {"edges": self.edges} if self.edges else {}
        also = {"also": self.also} if self.also else {}
        return {"masks": self.masks, "columns": self.columns, **edges, **also}

    @staticmethod
    def _number(kept, one):
        if one not in kept:
            kept.append(one)
        return kept.index(one)
