// Random JSON and random patches. THALWEG_SEED repeats a run; a failure prints the seed.

export const seed = Number(process.env.THALWEG_SEED ?? Date.now() % 2 ** 31);

/** Numbers from 0 to 1 (mulberry32). */
export function generator(from = seed) {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const MEMBERS = ["a", "b", "id", "a/b", "m~n", "~1", "", "0", "ü"];
const SCALARS = [null, true, false, 0, -1.5, "", "text", "~"];

export const pick = (random, list) => list[Math.floor(random() * list.length)];

export function json(random, depth = 4) {
  const kind = depth === 0 ? 1 : random();
  if (kind > 0.7) return pick(random, SCALARS);
  const length = Math.floor(random() * 5);
  if (kind > 0.35) return Array.from({ length }, () => json(random, depth - 1));
  return Object.fromEntries(Array.from({ length }, () => [pick(random, MEMBERS), json(random, depth - 1)]));
}

const escaped = (name) => String(name).replaceAll("~", "~0").replaceAll("/", "~1");
const isContainer = (value) => typeof value === "object" && value !== null;

/** The pointers to all that is in a document, the document itself first. */
export function pointers(document, at = "") {
  if (!isContainer(document)) return [at];
  return [at, ...Object.entries(document).flatMap(([name, value]) => pointers(value, `${at}/${escaped(name)}`))];
}

/** An operation on a document, which may not apply. */
export function operation(random, document) {
  const all = pointers(document);
  const present = pick(random, all);
  const path = random() < 0.7 ? present : `${present}/${escaped(pick(random, [...MEMBERS, "1", "-", "01", "9"]))}`;
  const op = pick(random, ["add", "remove", "replace", "move"]);
  if (op === "remove") return { op, path };
  return op === "move" ? { op, from: pick(random, all), path } : { op, path, value: json(random, 2) };
}
