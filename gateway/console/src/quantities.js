// Numbers for people.

const COUNT = new Intl.NumberFormat("en");
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const SHORT = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const countOf = (count) => COUNT.format(count);

/** "1.5 KB" */
export function bytesOf(bytes) {
  const units = ["B", "KB", "MB", "GB"];
  const unit = Math.min(Math.max(Math.floor(Math.log(bytes || 1) / Math.log(1000)), 0), units.length - 1);
  return `${SHORT.format(bytes / 1000 ** unit)} ${units[unit]}`;
}

/** Microseconds as "250 µs", "1.5 ms" or "2.1 s". */
export function timeOf(micros) {
  if (micros < 1000) return `${Math.round(micros)} µs`;
  return micros < 1_000_000 ? `${SHORT.format(micros / 1000)} ms` : `${SHORT.format(micros / 1_000_000)} s`;
}

/** How much a figure grows, as "12/s" or "2.5K/s"; nothing where it does not. */
export function rateOf(now, before, seconds) {
  const rate = (now - before) / seconds;
  if (!(rate > 0) || !Number.isFinite(rate)) return "";
  return `${rate < 10 ? rate.toFixed(1) : COMPACT.format(rate)}/s`;
}

/**
 * Of a histogram `[{toMicros, count}]`, whose last part has no bound, the bound below which that part of all lies:
 * `{micros}`, or `{above}` where it lies beyond the last bound; null of an empty one.
 */
export function boundOf(buckets, part) {
  const total = buckets.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return null;
  let seen = 0;
  for (const { toMicros, count } of buckets) {
    seen += count;
    if (seen >= part * total && toMicros !== null) return { micros: toMicros };
  }
  return { above: buckets.findLast(({ toMicros }) => toMicros !== null)?.toMicros ?? 0 };
}
