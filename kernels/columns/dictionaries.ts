/**
 * Dense ids for keys, in the order in which they are first seen: pairs of integers and byte strings. Open addressing,
 * no object per key.
 */

const emptySlot = -1;
const directMax = 65_536;

/** Pairs (hi, lo): an integer of up to 64 bits as words, or two ids. `lo` compares as int32. */
export class PairDictionary {
  size = 0;
  private hi = new Float64Array(64);
  private lo = new Int32Array(64);
  private slots = new Int32Array(128).fill(emptySlot);
  /** Ids plus one of (0, lo) for small lo: most keys are small numbers, and a load is cheaper than a hash. */
  private direct = new Int32Array(64);

  /** -1 if the pair is not there and `add` is false. */
  id(hi: number, lo: number, add: boolean): number {
    if (hi === 0 && lo >= 0 && lo < directMax) {
      const known = lo < this.direct.length ? (this.direct[lo] as number) : 0;
      if (known !== 0 || !add) return known - 1;
      return this.appendDirect(lo);
    }
    const mask = this.slots.length - 1;
    for (let slot = hashPair(hi, lo) & mask; ; slot = (slot + 1) & mask) {
      const found = this.slots[slot] as number;
      if (found === emptySlot) {
        if (!add) return -1;
        const made = this.append(hi, lo);
        this.slots[slot] = made;
        if (this.size * 2 > this.slots.length) this.grow();
        return made;
      }
      if (this.lo[found] === lo && this.hi[found] === hi) return found;
    }
  }

  private appendDirect(lo: number): number {
    if (lo >= this.direct.length) this.direct = longer(this.direct, new Int32Array(1 << (32 - Math.clz32(lo))));
    const made = this.append(0, lo);
    this.direct[lo] = made + 1;
    return made;
  }

  private append(hi: number, lo: number): number {
    if (this.size === this.lo.length) {
      this.hi = longer(this.hi, new Float64Array(this.size * 2));
      this.lo = longer(this.lo, new Int32Array(this.size * 2));
    }
    this.hi[this.size] = hi;
    this.lo[this.size] = lo;
    return this.size++;
  }

  private grow(): void {
    this.slots = new Int32Array(this.slots.length * 4).fill(emptySlot);
    const mask = this.slots.length - 1;
    for (let id = 0; id < this.size; id++) {
      const hi = this.hi[id] as number;
      const lo = this.lo[id] as number;
      if (hi === 0 && lo >= 0 && lo < directMax) continue;
      let slot = hashPair(hi, lo) & mask;
      while (this.slots[slot] !== emptySlot) slot = (slot + 1) & mask;
      this.slots[slot] = id;
    }
  }
}

function hashPair(hi: number, lo: number): number {
  let hash = Math.imul(lo ^ Math.imul(hi | 0, 0x9e3779b1), 0x85ebca6b);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 13);
}

/** Strings as the bytes they are stored in. */
export class BytesDictionary {
  size = 0;
  private bytes = new Uint8Array(1_024);
  private ends = new Int32Array(65);
  private hashes = new Int32Array(64);
  private slots = new Int32Array(128).fill(emptySlot);

  /** Of source[from, to); -1 if it is not there and `add` is false. */
  id(source: Uint8Array, from: number, to: number, add: boolean): number {
    const hash = hashBytes(source, from, to);
    const mask = this.slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const found = this.slots[slot] as number;
      if (found === emptySlot) {
        if (!add) return -1;
        const made = this.append(source, from, to, hash);
        this.slots[slot] = made;
        if (this.size * 2 > this.slots.length) this.grow();
        return made;
      }
      if (this.hashes[found] === hash && this.equals(found, source, from, to)) return found;
    }
  }

  private equals(id: number, source: Uint8Array, from: number, to: number): boolean {
    const start = this.ends[id] as number;
    if ((this.ends[id + 1] as number) - start !== to - from) return false;
    for (let i = from; i < to; i++) if (this.bytes[start + i - from] !== source[i]) return false;
    return true;
  }

  private append(source: Uint8Array, from: number, to: number, hash: number): number {
    const start = this.ends[this.size] as number;
    const end = start + to - from;
    if (end > this.bytes.length) this.bytes = longer(this.bytes, new Uint8Array(Math.max(end, this.bytes.length * 2)));
    this.bytes.set(source.subarray(from, to), start);
    if (this.size === this.hashes.length) {
      this.hashes = longer(this.hashes, new Int32Array(this.size * 2));
      this.ends = longer(this.ends, new Int32Array(this.size * 2 + 1));
    }
    this.hashes[this.size] = hash;
    this.ends[this.size + 1] = end;
    return this.size++;
  }

  private grow(): void {
    this.slots = new Int32Array(this.slots.length * 4).fill(emptySlot);
    const mask = this.slots.length - 1;
    for (let id = 0; id < this.size; id++) {
      let slot = (this.hashes[id] as number) & mask;
      while (this.slots[slot] !== emptySlot) slot = (slot + 1) & mask;
      this.slots[slot] = id;
    }
  }
}

/** FNV-1a with a last stir. */
function hashBytes(source: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ (source[i] as number), 0x01000193);
  return hash ^ (hash >>> 15);
}

function longer<T extends Float64Array | Int32Array | Uint8Array>(old: T, made: T): T {
  made.set(old);
  return made;
}
