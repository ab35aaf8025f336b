/** NaN becomes null: what ownFloat64Vector of columns.ts does to a column of results, eight rows a byte. */

// @ts-ignore: decorator
@inline
function presentPair(at: usize): v128 {
  const x = v128.load(at);
  return f64x2.eq(x, x);
}

/**
 * Writes a bit for each row, 1 where it has a value, and 0 over what is NaN. Returns how many are. `bits` has room for
 * whole bytes.
 */
export function validityOf(values: usize, rows: i32, bits: usize): i32 {
  let missing = 0;
  const whole = rows & ~7;
  for (const end = values + ((<usize>whole) << 3); values < end; values += 64, bits++) {
    const all = v128.and(
      v128.and(presentPair(values), presentPair(values + 16)),
      v128.and(presentPair(values + 32), presentPair(values + 48)),
    );
    if (v128.all_true<i64>(all)) store<u8>(bits, 255);
    else missing += markMissing(values, 8, bits);
  }
  if (whole < rows) missing += markMissing(values, rows - whole, bits);
  return missing;
}

function markMissing(values: usize, rows: i32, bits: usize): i32 {
  let present = 0;
  let missing = 0;
  for (let i = 0; i < rows; i++) {
    const at = values + ((<usize>i) << 3);
    const x = load<f64>(at);
    if (x == x) present |= 1 << i;
    else {
      store<f64>(at, 0);
      missing++;
    }
  }
  store<u8>(bits, present);
  return missing;
}
