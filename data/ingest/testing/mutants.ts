/** Hostile Arrow streams for tests: a stream with every kind of column, and mutants of it from a seed. */
import {
  Binary,
  Bool,
  DateDay,
  Dictionary,
  Field,
  Float32,
  Float64,
  Int8,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  TimestampMicrosecond,
  tableToIPC,
  Utf8,
  type Vector,
  vectorFromArray,
} from "apache-arrow";

/** Several batches of columns of every layout, with nulls, as apache-arrow writes them. */
export function sampleTable(rows = 60, batches = 3): Table {
  const words = ["AAPL", "MSFT", "SPY", "Ünïcode ✓"];
  const at = (from: number): Record<string, Vector> => {
    const index = Array.from({ length: rows }, (_, i) => from + i);
    return {
      price: vectorFromArray(
        index.map((i) => (i % 7 === 3 ? null : 100 + Math.sin(i))),
        new Float64(),
      ),
      small: vectorFromArray(
        index.map((i) => i % 100),
        new Int8(),
      ),
      weight: vectorFromArray(
        index.map((i) => i / 8),
        new Float32(),
      ),
      volume: vectorFromArray(
        index.map((i) => BigInt(i) * 1_000_000_007n),
        new Int64(),
      ),
      day: vectorFromArray(
        index.map((i) => (i % 11 === 0 ? null : new Date(i * 86_400_000))),
        new DateDay(),
      ),
      time: vectorFromArray(
        index.map((i) => i * 1_000),
        new TimestampMicrosecond("UTC"),
      ),
      flag: vectorFromArray(
        index.map((i) => (i % 5 === 0 ? null : i % 2 === 0)),
        new Bool(),
      ),
      note: vectorFromArray(
        index.map((i) => (i % 9 === 0 ? null : `${words[i % 4]} ${i}`)),
        new Utf8(),
      ),
      raw: vectorFromArray(
        index.map((i) => Uint8Array.of(i, i + 1)),
        new Binary(),
      ),
      symbol: vectorFromArray(
        index.map((i) => words[i % 4] as string),
        new Dictionary(new Utf8(), new Int32(), 7),
      ),
    };
  };
  const cut = Array.from({ length: batches }, (_, b) => at(b * rows));
  const fields = Object.entries(cut[0] ?? {}).map(([name, vector]) => new Field(name, vector.type, true));
  const schema = new Schema(fields);
  return new Table(
    schema,
    cut.map(
      (columns) =>
        new RecordBatch(
          schema,
          makeData({
            type: new Struct(fields),
            length: rows,
            nullCount: 0,
            children: Object.values(columns).flatMap((vector) => vector.data),
          }),
        ),
    ),
  );
}

export const sampleStream = (rows?: number, batches?: number): Uint8Array =>
  tableToIPC(sampleTable(rows, batches), "stream");

/** mulberry32: the same mutants for the same seed, everywhere. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

const extremes = [0, 1, 8, 64, 0x7fff_ffff, 0xffff_ffff, 0x8000_0000, 0x7fff_fff8, 0x1000_0000];

/** Offsets of the bytes that are metadata or framing: where a change is about structure and not about a value. */
export function structureBytes(stream: Uint8Array): number[] {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const found: number[] = [];
  let at = 0;
  while (at + 8 <= stream.byteLength) {
    const length = view.getInt32(at + 4, true);
    for (let i = at; i < at + 8 + length; i++) found.push(i);
    if (length === 0) break;
    const root = at + 8 + view.getUint32(at + 8, true);
    const vtable = root - view.getInt32(root, true);
    const slot = view.getUint16(vtable, true) > 10 ? view.getUint16(vtable + 10, true) : 0;
    at += 8 + length + (slot === 0 ? 0 : Number(view.getBigInt64(root + slot, true)));
  }
  return found;
}

/** A changed copy; never equal to the stream. Half of the changes hit the structure, the others anything. */
export function mutate(stream: Uint8Array, structure: readonly number[], seed: number): Uint8Array {
  const random = randomOf(seed);
  const somewhere = (): number =>
    random(2) === 0 ? (structure[random(structure.length)] as number) : random(stream.byteLength);
  let out = Uint8Array.from(stream);
  for (;;) {
    switch (random(8)) {
      case 0:
        out = out.slice(0, random(out.byteLength));
        break;
      case 1: {
        const at = somewhere();
        out = Uint8Array.from([
          ...out.subarray(0, at),
          ...Uint8Array.from({ length: 1 + random(16) }, () => random(256)),
          ...out.subarray(at),
        ]);
        break;
      }
      case 2: {
        const at = somewhere();
        out = Uint8Array.from([...out.subarray(0, at), ...out.subarray(at + 1 + random(16))]);
        break;
      }
      case 3:
      case 4: {
        const at = Math.min(somewhere() & ~3, stream.byteLength - 4);
        new DataView(out.buffer).setUint32(
          Math.min(at, Math.max(0, out.byteLength - 4)),
          extremes[random(extremes.length)] as number,
          true,
        );
        break;
      }
      default: {
        const at = Math.min(somewhere(), out.byteLength - 1);
        out[at] = (out[at] ?? 0) ^ (1 << random(8));
      }
    }
    if (out.byteLength < 4) return out;
    if (Buffer.compare(out, stream) !== 0 && random(3) !== 0) return out;
  }
}
