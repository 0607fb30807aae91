// What two complete results have in common, as one object.

/** What names an item of a list, the first that it has: what the server takes to make patches. */
const NAMES = ["nodeId", "id", "rowId", "key"];

/**
 * `next`, but whatever in it equals what stands in the same place of `previous` is the object from there; and `previous` itself
 * where all of it is equal. Items of lists that have ids are in the same place wherever they stand. Neither is changed. Both
 * are JSON.
 */
export function share<T>(previous: unknown, next: T): T {
  return shared(previous, next) as T;
}

function shared(previous: unknown, next: unknown): unknown {
  if (Object.is(previous, next) || !isContainer(previous) || !isContainer(next)) return next;
  if (Array.isArray(previous) && Array.isArray(next)) return sharedList(previous, next);
  if (isPlain(previous) && isPlain(next)) return sharedObject(previous, next);
  return next;
}

function sharedList(previous: readonly unknown[], next: readonly unknown[]): readonly unknown[] {
  const named = new Map<unknown, unknown>();
  for (const item of previous) {
    const name = nameOf(item);
    if (name !== undefined) named.set(name, item);
  }
  const items = next.map((item, index) => {
    const name = named.size > 0 ? nameOf(item) : undefined;
    return shared(name === undefined ? previous[index] : named.get(name), item);
  });
  const isSame = items.length === previous.length && items.every((item, index) => Object.is(item, previous[index]));
  return isSame ? previous : items;
}

function sharedObject(previous: Record<string, unknown>, next: Record<string, unknown>): Record<string, unknown> {
  const names = Object.keys(next);
  let isSame = names.length === Object.keys(previous).length;
  const members = names.map((name): [string, unknown] => {
    const before = Object.hasOwn(previous, name) ? previous[name] : undefined;
    const member = shared(before, next[name]);
    isSame &&= Object.hasOwn(previous, name) && Object.is(member, before);
    return [name, member];
  });
  return isSame ? previous : Object.fromEntries(members);
}

/** Of an edge of a connection its node is looked at, else its cursor. */
function nameOf(item: unknown, mayBeEdge = true): unknown {
  if (!isContainer(item)) return undefined;
  const members = item as Record<string, unknown>;
  for (const member of NAMES) {
    const name = members[member];
    if (typeof name === "string" || typeof name === "number") return name;
  }
  return mayBeEdge ? (nameOf(members["node"], false) ?? members["cursor"]) : undefined;
}

function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Whoever reads messages with a reviver may have made instances of classes, which are left alone. */
function isPlain(value: object): value is Record<string, unknown> {
  return Object.getPrototypeOf(value) === Object.prototype;
}
