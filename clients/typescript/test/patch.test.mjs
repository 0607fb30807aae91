import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import reference from "fast-json-patch";
import { PatchError, applyPatch } from "@thalweg/client";
import { generator, json, operation, pointers, seed } from "./random.mjs";

const RUNS = 2000;
const parsed = (text) => JSON.parse(text);

/** Makes any write to what is shared fail. */
function frozen(value) {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}

function containers(value, found = new Set()) {
  if (typeof value === "object" && value !== null) {
    found.add(value);
    for (const member of Object.values(value)) containers(member, found);
  }
  return found;
}

describe("a patch", () => {
  for (const [what, before, patch, after] of [
    ["adds a member", {}, [{ op: "add", path: "/a", value: 1 }], { a: 1 }],
    ["puts another value for a member that is added again", { a: 1 }, [{ op: "add", path: "/a", value: 2 }], { a: 2 }],
    ["inserts an item", [1, 3], [{ op: "add", path: "/1", value: 2 }], [1, 2, 3]],
    ["appends an item, by its place or by -", [1], [{ op: "add", path: "/1", value: 2 }, { op: "add", path: "/-", value: 3 }], [1, 2, 3]],
    ["removes", { a: [1, 2], b: 3 }, [{ op: "remove", path: "/a/0" }, { op: "remove", path: "/b" }], { a: [2] }],
    ["replaces", { a: [1, 2] }, [{ op: "replace", path: "/a/1", value: null }], { a: [1, null] }],
    ["replaces the whole", { a: 1 }, [{ op: "replace", path: "", value: { b: 2 } }], { b: 2 }],
    ["moves within a list, by places as they are after the removal", [1, 2, 3], [{ op: "move", from: "/0", path: "/2" }], [2, 3, 1]],
    ["moves elsewhere", { a: { b: 1 }, c: [] }, [{ op: "move", from: "/a/b", path: "/c/0" }], { a: {}, c: [1] }],
    ["leaves what is moved to where it is", { a: 1 }, [{ op: "move", from: "/a", path: "/a" }], { a: 1 }],
    ["reads escapes in their order", { "~1": 1, "/": 2 }, [{ op: "replace", path: "/~01", value: 3 }, { op: "remove", path: "/~1" }], { "~1": 3 }],
    ["may be empty", { a: 1 }, [], { a: 1 }],
    ["takes __proto__ for a name", parsed('{"a":{}}'), [{ op: "add", path: "/a/__proto__", value: { b: 1 } }], parsed('{"a":{"__proto__":{"b":1}}}')],
    ["goes below __proto__", parsed('{"__proto__":{"b":1}}'), [{ op: "replace", path: "/__proto__/b", value: 2 }], parsed('{"__proto__":{"b":2}}')],
  ]) {
    test(what, () => {
      frozen(before);
      const made = applyPatch(before, patch);
      assert.equal(JSON.stringify(made), JSON.stringify(after));
      assert.deepEqual(made, after);
      assert.equal(Object.prototype.b, undefined);
    });
  }

  for (const [what, before, operation] of [
    ["that removes what is not there", { a: 1 }, { op: "remove", path: "/b" }],
    ["that removes the whole", { a: 1 }, { op: "remove", path: "" }],
    ["that replaces what is not there", { a: 1 }, { op: "replace", path: "/b", value: 1 }],
    ["that replaces what an object inherits", {}, { op: "replace", path: "/toString", value: 1 }],
    ["that replaces the prototype", {}, { op: "replace", path: "/__proto__", value: {} }],
    ["that adds past the end", [1], { op: "add", path: "/2", value: 1 }],
    ["that replaces past the end", [1], { op: "replace", path: "/1", value: 1 }],
    ["that replaces -", [1], { op: "replace", path: "/-", value: 1 }],
    ["whose index begins with zero", [1, 2], { op: "remove", path: "/01" }],
    ["whose index is none", [1, 2], { op: "add", path: "/length", value: 0 }],
    ["that goes through a scalar", { a: 1 }, { op: "add", path: "/a/b", value: 1 }],
    ["that goes through nothing", { a: null }, { op: "add", path: "/a/b", value: 1 }],
    ["that moves into itself", { a: { b: 1 } }, { op: "move", from: "/a", path: "/a/c" }],
    ["that moves what is not there onto itself", {}, { op: "move", from: "/a", path: "/a" }],
    ["whose pointer is none", { a: 1 }, { op: "remove", path: "a" }],
    ["without a pointer", { a: 1 }, { op: "remove" }],
    ["of a kind that does not come", { a: 1 }, { op: "copy", from: "/a", path: "/b" }],
  ]) {
    test(`${what} does not apply`, () => assert.throws(() => applyPatch(frozen(before), [operation]), PatchError));
  }

  test(`that a reference library has made of two documents makes one of the other (seed ${seed})`, () => {
    const random = generator();
    for (let run = 0; run < RUNS; run += 1) {
      const [before, after] = [frozen(json(random)), json(random)];
      if (typeof before !== "object" || typeof after !== "object" || before === null || after === null) continue;
      // For the reference a list and an object differ by their members only.
      if (Array.isArray(before) !== Array.isArray(after)) continue;
      assert.deepEqual(applyPatch(before, reference.compare(before, after)), after);
    }
  });

  test(`does what a reference library does, and applies exactly where RFC 6902 lets it (seed ${seed})`, () => {
    const random = generator(seed + 1);
    let [applied, refused] = [0, 0];
    for (let run = 0; run < RUNS; run += 1) {
      let document = frozen(json(random));
      for (let step = 0; step < 6; step += 1) {
        const one = operation(random, document);
        const shown = JSON.stringify({ document, one });
        if (!applies(document, one)) {
          assert.throws(() => applyPatch(document, [one]), PatchError, shown);
          refused += 1;
          continue;
        }
        const made = applyPatch(document, [one]);
        assert.deepEqual(made, byReference(document, one), shown);
        document = frozen(made);
        applied += 1;
      }
    }
    assert.ok(applied > RUNS && refused > RUNS, `${applied} applied, ${refused} refused`);
  });

  test(`copies nothing but the way to what it changes (seed ${seed})`, () => {
    const random = generator(seed + 2);
    for (let run = 0; run < RUNS; run += 1) {
      const document = frozen(json(random, 5));
      const one = operation(random, document);
      let made;
      try {
        made = applyPatch(document, [one]);
      } catch {
        continue;
      }
      const old = containers(document);
      const given = containers(one.value);
      const copied = [...containers(made)].filter((it) => !old.has(it) && !given.has(it));
      const steps = [one.path, one.from ?? ""].map((path) => path.split("/").length - 1);
      assert.ok(copied.length <= steps[0] + steps[1], JSON.stringify({ document, one }));
    }
  });
});

function byReference(document, one) {
  if (one.op === "move") {
    if (one.from === one.path) return document;
    // As the RFC defines it; the reference looks at the target before it has removed anything.
    const value = reference.getValueByPointer(document, one.from);
    if (one.path === "") return value;
    return byReference(byReference(document, { op: "remove", path: one.from }), { op: "add", path: one.path, value });
  }
  return reference.applyOperation(structuredClone(document), structuredClone(one)).newDocument;
}

/** Whether an operation applies: said of the places that there are, since the reference lets pass more than the RFC does. */
function applies(document, { op, path, from }) {
  const present = pointers(document);
  if (op === "remove") return path !== "" && present.includes(path);
  if (op === "replace") return present.includes(path);
  if (op === "move") {
    if (!present.includes(from) || path.startsWith(`${from}/`)) return false;
    return from === path || applies(byReference(document, { op: "remove", path: from }), { op: "add", path });
  }
  if (present.includes(path)) return true;
  const slash = path.lastIndexOf("/");
  if (!present.includes(path.slice(0, slash))) return false;
  const parent = reference.getValueByPointer(document, path.slice(0, slash));
  if (Array.isArray(parent)) return ["-", String(parent.length)].includes(path.slice(slash + 1));
  return typeof parent === "object" && parent !== null;
}

describe("what a patch leaves alone", () => {
  test("keeps its identity, and so does a row that moves", () => {
    const before = frozen({ movies: { nodes: [{ id: 1, cast: [{ id: 7 }] }, { id: 2 }, { id: 3 }], totalCount: 3 }, other: { a: [] } });
    const after = applyPatch(before, [
      { op: "remove", path: "/movies/nodes/1" },
      { op: "move", from: "/movies/nodes/1", path: "/movies/nodes/0" },
      { op: "replace", path: "/movies/totalCount", value: 2 },
      { op: "add", path: "/movies/nodes/1/seen", value: true },
    ]);
    assert.deepEqual(after.movies, { nodes: [{ id: 3 }, { id: 1, cast: [{ id: 7 }], seen: true }], totalCount: 2 });
    assert.equal(after.other, before.other);
    assert.equal(after.movies.nodes[0], before.movies.nodes[2]);
    assert.notEqual(after.movies.nodes[1], before.movies.nodes[0]);
    assert.equal(after.movies.nodes[1].cast, before.movies.nodes[0].cast);
  });

  test("an operation after another does not write to what that brought", () => {
    const value = frozen({ list: [1] });
    const after = applyPatch({}, [{ op: "add", path: "/a", value }, { op: "add", path: "/a/list/-", value: 2 }]);
    assert.deepEqual([after, value], [{ a: { list: [1, 2] } }, { list: [1] }]);
  });
});
