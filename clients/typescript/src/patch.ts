// JSON Patch (RFC 6902) for results that are shared: a patch makes a new document and leaves the old one as it was. What
// it does not touch is the same object in both, so `===` tells what has changed.

/** What a live query of Thalweg sends; `copy` and `test` of the RFC are not among it. */
export type PatchOperation =
  | { readonly op: "add" | "replace"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string }
  | { readonly op: "move"; readonly from: string; readonly path: string };

/** A patch does not apply: it belongs to another document, or is none. */
export class PatchError extends Error {
  override readonly name = "PatchError";
}

/** The document that the operations make of another one, which stays as it was. */
export function applyPatch(document: unknown, operations: readonly PatchOperation[]): unknown {
  const draft = new Draft(document);
  for (const operation of operations) draft.apply(operation);
  return draft.root;
}

type Container = Record<string, unknown> | unknown[];

/** A document while it is patched. Objects and lists are copied when they are first written to, and only then. */
class Draft {
  root: unknown;
  /** The copies, which nobody else has seen. */
  readonly #owned = new Set<Container>();

  constructor(root: unknown) {
    this.root = root;
  }

  apply(operation: PatchOperation): void {
    const tokens = parsePointer(operation.path);
    switch (operation.op) {
      case "add":
        return this.#add(tokens, operation.value);
      case "replace":
        return this.#replace(tokens, operation.value);
      case "remove":
        this.#remove(tokens);
        return;
      case "move":
        return this.#move(parsePointer(operation.from), tokens);
      default:
        throw new PatchError(`no operation ${JSON.stringify((operation as { op: unknown }).op)}`);
    }
  }

  #add(tokens: string[], value: unknown): void {
    const name = tokens.at(-1);
    if (name === undefined) {
      this.root = value;
      return;
    }
    const parent = this.#ownedParent(tokens);
    if (Array.isArray(parent)) parent.splice(name === "-" ? parent.length : itemIndex(name, parent.length), 0, value);
    else setMember(parent, name, value);
  }

  #replace(tokens: string[], value: unknown): void {
    const name = tokens.at(-1);
    if (name === undefined) {
      this.root = value;
      return;
    }
    const parent = this.#ownedParent(tokens);
    child(parent, name);
    setChild(parent, name, value);
  }

  #remove(tokens: string[]): unknown {
    const name = tokens.at(-1);
    if (name === undefined) throw new PatchError("the whole document cannot be removed");
    const parent = this.#ownedParent(tokens);
    const removed = child(parent, name);
    if (Array.isArray(parent)) parent.splice(Number(name), 1);
    else delete parent[name];
    return removed;
  }

  /** What is moved is the same object afterwards. */
  #move(from: string[], to: string[]): void {
    const isWithin = from.every((token, index) => token === to[index]);
    if (isWithin && from.length < to.length) throw new PatchError(`/${from.join("/")} cannot be moved into itself`);
    if (isWithin) this.#read(from);
    else this.#add(to, this.#remove(from));
  }

  #read(tokens: string[]): unknown {
    return tokens.reduce((value, token) => child(container(value), token), this.root);
  }

  /** The object or list that holds the last token, after it and all that lead to it have been copied. */
  #ownedParent(tokens: string[]): Container {
    let parent = this.#own(this.root);
    this.root = parent;
    for (const token of tokens.slice(0, -1)) {
      const owned = this.#own(child(parent, token));
      setChild(parent, token, owned);
      parent = owned;
    }
    return parent;
  }

  #own(value: unknown): Container {
    const shared = container(value);
    if (this.#owned.has(shared)) return shared;
    const copy = Array.isArray(shared) ? shared.slice() : { ...shared };
    this.#owned.add(copy);
    return copy;
  }
}

/** RFC 6901. */
function parsePointer(pointer: unknown): string[] {
  if (pointer === "") return [];
  if (typeof pointer !== "string" || !pointer.startsWith("/")) throw new PatchError(`no JSON Pointer: ${JSON.stringify(pointer)}`);
  const tokens = pointer.slice(1).split("/");
  // Most paths have no escapes.
  return pointer.includes("~") ? tokens.map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~")) : tokens;
}

function container(value: unknown): Container {
  if (typeof value !== "object" || value === null) throw new PatchError(`${typeof value} has no members`);
  return value as Container;
}

function child(parent: Container, name: string): unknown {
  if (Array.isArray(parent)) return parent[itemIndex(name, parent.length - 1)];
  if (!Object.hasOwn(parent, name)) throw new PatchError(`no member ${JSON.stringify(name)}`);
  return parent[name];
}

function setChild(parent: Container, name: string, value: unknown): void {
  if (Array.isArray(parent)) parent[Number(name)] = value;
  else setMember(parent, name, value);
}

/** An assignment would make the value the object's prototype, where the member has that name. */
function setMember(parent: Record<string, unknown>, name: string, value: unknown): void {
  if (name === "__proto__") {
    Object.defineProperty(parent, name, { value, writable: true, enumerable: true, configurable: true });
  } else {
    parent[name] = value;
  }
}

function itemIndex(token: string, indexMax: number): number {
  const index = /^(?:0|[1-9]\d*)$/.test(token) ? Number(token) : NaN;
  if (!(index <= indexMax)) throw new PatchError(`no item ${JSON.stringify(token)} in a list up to ${indexMax}`);
  return index;
}
