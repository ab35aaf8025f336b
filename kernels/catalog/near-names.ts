/** Names that somebody who typed another one may have meant. */

/** Letters to insert, drop, replace or swap with their neighbour until one is the other. */
function editsBetween(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((row[j - 1] as number) + 1, (last[j] as number) + 1, (last[j - 1] as number) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (before[j - 2] as number) + 1);
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length] as number;
}

/** At most five of the names, nearest first: those that contain the given one or differ by few letters. */
export function nearNames(given: string, names: readonly string[]): string[] {
  const asked = given.toLowerCase().slice(0, 100);
  const tail = asked.slice(asked.lastIndexOf(".") + 1);
  // How far off, as a share of what is near enough for a name of that length.
  const off = (a: string, b: string): number => editsBetween(a, b) / Math.max(1.5, b.length / 3);
  const distance = (name: string): number => {
    const part = name.slice(name.indexOf(".") + 1);
    const contains =
      tail.length > 2 && (name.includes(tail) || (part.length > 2 && tail.includes(part)))
        ? 0.9
        : Number.POSITIVE_INFINITY;
    return Math.min(off(asked, name), off(tail, part), contains);
  };
  return names
    .map((name) => ({ name, far: distance(name) }))
    .filter(({ far }) => far <= 1)
    .sort((one, other) => one.far - other.far)
    .slice(0, 5)
    .map(({ name }) => name);
}
