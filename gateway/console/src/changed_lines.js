// What differs between two texts, in lines.

/**
 * The smallest run of lines that has to be replaced to get from `before` to `after`, or null when they are equal:
 * the lines `from..to` of `before` (1-based, `to` exclusive) become `lines`. `fresh` are the numbers, in `after`,
 * of those among them that `before` did not have in that run: a row that only moved is not fresh.
 */
export function changedLines(before, after) {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  if (start === before.length && start === after.length) return null;
  let beforeEnd = before.length;
  let afterEnd = after.length;
  while (beforeEnd > start && afterEnd > start && before[beforeEnd - 1] === after[afterEnd - 1]) {
    beforeEnd -= 1;
    afterEnd -= 1;
  }
  const known = new Set(before.slice(start, beforeEnd).map(significant));
  const fresh = [];
  for (let index = start; index < afterEnd; index += 1) {
    const line = significant(after[index]);
    if (!known.has(line) && !line.startsWith('"commitTs"')) fresh.push(index + 1);
  }
  return { from: start + 1, to: beforeEnd + 1, lines: after.slice(start, afterEnd), fresh };
}

/** A line without what depends on its place: the indentation, and the comma that the last item lacks. */
function significant(line) {
  return line.trim().replace(/,$/, "");
}
