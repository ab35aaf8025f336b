/** Trading days: weekdays without 1 January and 25 December. Days are counted from 1970-01-01. */

export interface Calendar {
  readonly days: Int32Array;
  /**
   * Index of the last trading day of April of each year: the filing deadline of annual statements, and the day of
   * rebalancing.
   */
  readonly deadlines: Int32Array;
}

export const dayOf = (year: number, month: number, day: number): number => Date.UTC(year, month - 1, day) / 86_400_000;

export function calendarOf(firstYear: number, years: number): Calendar {
  const days: number[] = [];
  const deadlines: number[] = [];
  for (let year = firstYear; year < firstYear + years; year++) {
    const may = dayOf(year, 5, 1);
    for (let day = dayOf(year, 1, 1) + 1; day < dayOf(year + 1, 1, 1); day++) {
      // 1970-01-01 was a Thursday.
      const weekday = (day + 4) % 7;
      if (weekday === 0 || weekday === 6 || day === dayOf(year, 12, 25)) continue;
      if (day < may) deadlines[year - firstYear] = days.length;
      days.push(day);
    }
  }
  return { days: Int32Array.from(days), deadlines: Int32Array.from(deadlines) };
}

/** Index of the first trading day at or after a day; the number of days if there is none. */
export function indexFrom({ days }: Calendar, day: number): number {
  let low = 0;
  let high = days.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((days[middle] as number) < day) low = middle + 1;
    else high = middle;
  }
  return low;
}
