import { strict as assert } from "node:assert";
import { test } from "node:test";
import { changedLines } from "./changed_lines.js";

const lines = (text) => text.split(" ");

test("equal texts need nothing", () => {
  assert.equal(changedLines(lines("a b"), lines("a b")), null);
});

for (const [what, before, after, expected] of [
  ["one line in the middle", "a b c", "a x c", { from: 2, to: 3, lines: ["x"], fresh: [2] }],
  ["a line added at the end", "a b", "a b c", { from: 3, to: 3, lines: ["c"], fresh: [3] }],
  ["a line added at the start", "a b", "x a b", { from: 1, to: 1, lines: ["x"], fresh: [1] }],
  ["a line removed", "a b c", "a c", { from: 2, to: 3, lines: [], fresh: [] }],
  ["a repeated line added", "a a", "a a a", { from: 3, to: 3, lines: ["a"], fresh: [3] }],
  ["rows that changed places are not fresh", "a b c d", "a c b d", { from: 2, to: 4, lines: ["c", "b"], fresh: [] }],
  ["a comma more is not fresh", "a, b", "a b,", { from: 1, to: 3, lines: ["a", "b,"], fresh: [] }],
  ["everything", "a", "b c", { from: 1, to: 2, lines: ["b", "c"], fresh: [1, 2] }],
]) {
  test(what, () => assert.deepEqual(changedLines(lines(before), lines(after)), expected));
}

test("the commit timestamp, which always moves, is not fresh", () => {
  const { fresh } = changedLines(['  "commitTs": "1"'], ['  "commitTs": "2"']);
  assert.deepEqual(fresh, []);
});
