import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { parse } from "graphql";
import { isLive } from "../dist/is_live.js";

describe("over the socket goes", () => {
  for (const [expected, document, { name, variables = {} } = {}] of [
    [true, "subscription { a }"],
    [false, "{ a }"],
    [false, "mutation { a }"],
    [true, "query @live { a }"],
    [true, "query @live(patch: true) { a }"],
    [true, "query @live(if: true) { a }"],
    [false, "query @live(if: false, patch: true) { a }"],
    [true, "query ($l: Boolean!) @live(if: $l) { a }", { variables: { l: true } }],
    [false, "query ($l: Boolean!) @live(if: $l) { a }", { variables: { l: false } }],
    [false, "query ($l: Boolean = false) @live(if: $l) { a }"],
    [true, "query ($l: Boolean = true) @live(if: $l) { a }"],
    [true, "query A @live { a } query B { a }", { name: "A" }],
    [false, "query A @live { a } query B { a }", { name: "B" }],
    [false, "query A { ...F } fragment F on Query { a }", { name: "A" }],
    [true, "fragment F on Query { a } query A @live { ...F }"],
  ]) {
    const shown = `${document} ${JSON.stringify(variables)}${name ? `, ${name}` : ""}`;
    test(`${shown}: ${expected}`, () => assert.equal(isLive(parse(document), name, variables), expected));
  }
});
