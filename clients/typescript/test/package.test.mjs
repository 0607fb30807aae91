// What would be published.

import { strict as assert } from "node:assert";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { describe, test } from "node:test";

const root = new URL("..", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));
const sources = readdirSync(new URL("src", root)).map((file) => file.replace(/\.ts$/, ""));

describe("the package", () => {
  test("has what its sources give, its licences and its readme, and nothing else", () => {
    // `prepack` would build once more, while other tests run what is built.
    execFileSync("node", ["scripts/licences.mjs"], { cwd: root });
    const packed = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root, encoding: "utf8" });
    const [{ files }] = Object.values(JSON.parse(packed));
    const expected = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.json"].concat(
      sources.flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]),
    );
    assert.deepEqual(files.map(({ path }) => path).sort(), expected.sort());
  });

  test("exports files that are there", async () => {
    for (const [path, { types, default: module }] of Object.entries(manifest.exports).filter(([, it]) => typeof it === "object")) {
      assert.ok(readFileSync(new URL(types, root), "utf8").includes("export"), types);
      const name = path.replace(".", manifest.name);
      assert.deepEqual(await import(name), await import(new URL(module, root)));
    }
  });

  test("has no dependencies, and imports what it declares", () => {
    assert.equal(manifest.dependencies, undefined);
    const peers = Object.keys(manifest.peerDependencies);
    const needed = (module) => {
      const text = readFileSync(new URL(`dist/${module}.js`, root), "utf8");
      return [...text.matchAll(/from "([^"]+)"/g)].map(([, from]) => from);
    };
    for (const source of sources) {
      for (const from of needed(source).filter((it) => !it.startsWith("./"))) {
        assert.ok(peers.some((peer) => from === peer || from.startsWith(`${peer}/`)), `${source} imports ${from}`);
      }
    }
    // Who has neither Apollo nor urql can use the rest.
    const optional = Object.keys(manifest.peerDependenciesMeta);
    const reached = new Set(["index"]);
    for (const module of reached) {
      for (const from of needed(module)) {
        if (from.startsWith("./")) reached.add(from.slice(2, -3));
        else assert.ok(!optional.some((peer) => from.startsWith(peer)), `${module} imports ${from}`);
      }
    }
  });

  test("the example of its readme has ten lines", () => {
    const [, example] = /```ts\n(.*?)```/s.exec(readFileSync(new URL("README.md", root), "utf8"));
    assert.ok(example.trim().split("\n").length <= 10, example);
  });
});
