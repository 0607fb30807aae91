import { strict as assert } from "node:assert";
import { test } from "node:test";
import { boundOf, bytesOf, rateOf, timeOf } from "./quantities.js";

test("bytes and times have a unit that fits", () => {
  assert.deepEqual([0, 999, 1500, 2_340_000].map(bytesOf), ["0 B", "999 B", "1.5 KB", "2.34 MB"]);
  assert.deepEqual([0, 250.4, 1500, 2_340_000].map(timeOf), ["0 µs", "250 µs", "1.5 ms", "2.34 s"]);
});

test("a rate is shown where there is one", () => {
  assert.deepEqual([rateOf(5, 5, 2), rateOf(8, 5, 2), rateOf(5000, 0, 2), rateOf(0, 5, 2)], ["", "1.5/s", "2.5K/s", ""]);
});

test("a part of a histogram lies below a bound", () => {
  const buckets = [
    { toMicros: 100, count: 5 },
    { toMicros: 1000, count: 4 },
    { toMicros: null, count: 1 },
  ];
  assert.deepEqual(boundOf(buckets, 0.5), { micros: 100 });
  assert.deepEqual(boundOf(buckets, 0.9), { micros: 1000 });
  assert.deepEqual(boundOf(buckets, 0.99), { above: 1000 });
  assert.equal(boundOf([{ toMicros: null, count: 0 }], 0.5), null);
});
