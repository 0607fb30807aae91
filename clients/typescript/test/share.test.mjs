import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { share } from "../dist/share.js";
import { generator, json, seed } from "./random.mjs";

describe("two complete results", () => {
  test("that are equal are one", () => {
    const before = { a: [{ id: 1, b: { c: [] } }] };
    assert.equal(share(before, structuredClone(before)), before);
  });

  test("share what is equal in the same place", () => {
    const before = { a: { b: { c: 1 } }, d: { e: 1 } };
    const after = share(before, { a: { b: { c: 1 } }, d: { e: 2 } });
    assert.deepEqual(after, { a: { b: { c: 1 } }, d: { e: 2 } });
    assert.equal(after.a, before.a);
    assert.notEqual(after.d, before.d);
  });

  for (const [what, row] of [
    ["rows by their id", (id) => ({ id, list: [id] })],
    ["rows by their nodeId", (nodeId) => ({ nodeId, id: "same", list: [nodeId] })],
    ["rows by their key", (key) => ({ key, list: [key] })],
    ["edges by their cursor", (cursor) => ({ cursor, node: { list: [cursor] } })],
    ["edges by their node", (id) => ({ cursor: "x", node: { id, list: [id] } })],
  ]) {
    test(`share ${what}, wherever they stand`, () => {
      const before = { nodes: [row(1), row(2), row(3)] };
      const after = share(before, { nodes: [row(9), row(3), row(1)] });
      assert.deepEqual(after, { nodes: [row(9), row(3), row(1)] });
      assert.equal(after.nodes[1], before.nodes[2]);
      assert.equal(after.nodes[2], before.nodes[0]);
    });
  }

  test("share nothing where a list has become an object or a member is gone", () => {
    assert.deepEqual(share({ a: [] }, { a: {} }), { a: {} });
    assert.deepEqual(share({ a: 1, b: undefined }, { a: 1 }), { a: 1 });
    assert.deepEqual(share({ a: 1 }, { b: undefined }), { b: undefined });
  });

  test("leave instances of classes alone", () => {
    const after = { at: new Date(1) };
    assert.equal(share({ at: new Date(0) }, after).at, after.at);
  });

  test(`give what is new, whatever they are, and leave both as they were (seed ${seed})`, () => {
    const random = generator();
    for (let run = 0; run < 4000; run += 1) {
      const [before, after] = [json(random), json(random)];
      const texts = [JSON.stringify(before), JSON.stringify(after)];
      assert.equal(JSON.stringify(share(before, after)), texts[1]);
      assert.deepEqual([JSON.stringify(before), JSON.stringify(after)], texts);
    }
  });
});
